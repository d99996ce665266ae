# SPDX-License-Identifier: GPL-2.0-only
"""Runs the contestants of `make bench` side by side and does the arithmetic.

A time means nothing on a machine that does other work, so no time stands alone:
in each round every contestant has its turn, in an order that changes, and what
is compared is the quotient within the round. Medians of those, and how sure they are.
"""

import dataclasses
import glob
import math
import os
import random
import statistics
import subprocess
import sys

# Where another release of the system lies whose C library and allocators are to be measured
# (selftests/vm/fetch peers), or nothing: this system's are.
ROOT = os.environ.get("PEERS_ROOT", "")
LIBRARIES = min(glob.glob(os.path.join(ROOT, "usr/lib/*-linux-gnu*")), default="") if ROOT else ""


def library(soname):
    """The name of an allocator's library there: the number at its end may be another. Where there
    is none, one that is nowhere, lest this system's is measured for it."""
    stem = soname[:soname.index(".so") + 3]
    return min((os.path.basename(path) for path in glob.glob(f"{LIBRARIES}/{stem}.?*")),
               key=len, default=f"{stem}.none") if ROOT else soname


def command(program, *arguments):
    """How a program is started: with that C library all of them run, hpheap too."""
    words = [program, *map(str, arguments)]
    if not ROOT:
        return words
    loader = glob.glob(os.path.join(LIBRARIES, "ld*.so.?"))
    if not loader:
        raise Broken(f"{ROOT} has no C library")
    return [loader[0], "--library-path", LIBRARIES, *words]


def versions():
    with open(os.path.join(ROOT, "versions"), encoding="ascii") as file:
        return file.read().split()


# Name: what the programs call it, and the library that is its malloc.
CONTESTANTS = {
    "hpheap": ("hpheap", "libhpheap.so.0"),
    "glibc": ("malloc", "libc.so.6"),
    "jemalloc": ("malloc", library("libjemalloc.so.2")),
    "tcmalloc": ("malloc", library("libtcmalloc_minimal.so.4")),
    "mimalloc": ("malloc", library("libmimalloc.so.2")),
    "mmap": ("mmap", "libc.so.6"),
}
PRELOADED = ("jemalloc", "tcmalloc", "mimalloc")

# Where all of them are malloc(), hpheap too.
MALLOCS = {name: entry for name, entry in CONTESTANTS.items() if name != "mmap"}
MALLOCS["hpheap"] = ("malloc", "libhpheap-malloc.so")

SIZES = (8 << 10, 64 << 10, 1 << 20, 8 << 20)
SMALL_SIZES = (32, 256, 2 << 10, 16 << 10)
SMALL_WORKLOADS = ("pair", "churn", "mixed", "handed")
WORKLOADS = {1: ("pair", "churn"), 2: ("pair", "churn", "handed")}
MOMENTS = ("peak", "end", "idle", "asked")
NO_TARGET = "-"
EXTENT_BOUND = 1.5
MOST_WINDOW = 16384
EXTENTS = (64, 1024, 64 << 10, 1 << 20) # MiB


@dataclasses.dataclass(frozen=True)
class Effort:
    """How long and how large. A churn's window is at least so many bytes and spans."""
    starts: int = 4
    rounds: int = 11
    round_ns: int = 40_000_000
    window_bytes: int = 64 << 20
    window_spans: int = 16
    seeds: int = 3
    peak_mib: int = 512
    life_seconds: int = 120
    idle_seconds: int = 3
    objects_mib: int = 256
    tides: int = 2
    turns: int = 1
    high_seconds: int = 60
    survivor_seeds: int = 2
    survivor_seconds: tuple = (3, 10, 65)
    extents: tuple = EXTENTS
    service_mib: int = 256
    access_mib: int = 1024
    touch_mib: int = 128
    requests: int = 200_000
    accesses: int = 1_000_000
    large: int = 64
    idle_lives: int = 3
    redis_requests: int = 200_000
    turns_of: int = 31
    turns_of_requests: int = 121    # a few percent lie between the best of them
    turns_of_large: int = 401       # no two rounds have the same sizes


class Broken(Exception):
    """A contestant did not do what it was told."""


def progress(text):
    print(text, file=sys.stderr, flush=True)


def environment(name, among=None, folder=""):
    """Nothing in it that tunes an allocator. Those of the system are found by the loader."""
    clean = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
    if name in PRELOADED:
        clean["LD_PRELOAD"] = CONTESTANTS[name][1]
    elif among is MALLOCS and name == "hpheap":
        clean["LD_PRELOAD"] = os.path.join(os.path.abspath(folder), MALLOCS[name][1])
        clean["HPHEAP_BACKEND"] = "thp"
    return clean


def start(program, name, *arguments, errors=None, among=None):
    folder = os.path.dirname(os.path.dirname(program))
    return subprocess.Popen(command(program, (among or CONTESTANTS)[name][0], *arguments),
                            env=environment(name, among, folder), text=True, bufsize=1,
                            stderr=errors, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def origin(process):
    """The file name of the allocator that a process measures, as its first line says."""
    words = process.stdout.readline().split(maxsplit=1)
    return os.path.basename(words[1].strip()) if words[:1] == ["from"] and words[1:] else ""


def installed(out):
    """Those that are there. The loader goes on without a library it cannot preload, with
    glibc's malloc: so the process is asked."""
    there = []
    for name, (_, library) in CONTESTANTS.items():
        quiet = subprocess.DEVNULL if name in PRELOADED else None
        with start(os.path.join(out, "bench/span"), name, "pair", SIZES[0], 1, 1,
                   errors=quiet) as process:
            found = origin(process)
        if found.startswith(library):
            there.append(name)
        elif name not in PRELOADED:
            raise Broken(f"{name} comes from '{found}', not from {library}")
    return there


class Runner:
    """A process that runs rounds when told."""

    def __init__(self, out, name, workload, size, threads, window, among=None):
        among = among or CONTESTANTS
        self.what = f"{name}: {workload}, {size} bytes, {threads} threads"
        self.process = start(os.path.join(out, "bench/span"), name, workload, size, threads,
                             window, among=among)
        if not origin(self.process).startswith(among[name][1]):
            raise Broken(f"{self.what}: it is not {among[name][1]} that runs")
        self.ops = 0

    def run(self, ops):
        """Nanoseconds that so many operations took."""
        try:
            self.process.stdin.write(f"{ops}\n")
            self.process.stdin.flush()
            took = int(self.process.stdout.readline())
        except (OSError, ValueError):
            took = 0
        if took <= 0:
            raise Broken(f"{self.what}: no answer")
        return took

    def warm(self, round_ns):
        """Finds how many operations fill a round, twice in a row: the first may be slow."""
        self.ops, filled = 8, 0
        while filled < 2:
            took = self.run(self.ops)
            if took >= round_ns:
                filled += 1
            else:
                filled = 0
                self.ops = min(self.ops * 8, self.ops * round_ns * 9 // (took * 8) + 1)

    def round(self):
        """Nanoseconds per operation."""
        return self.run(self.ops) / self.ops

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, method="inclusive")
    return low, middle, high


def sure(values):
    """Between which of the values the median of all that could have been measured lies, with
    95 % confidence (the sign test; no distribution is assumed). Few values are not as sure."""
    ordered, chance, cut = sorted(values), 0.5 ** len(values), 0
    while chance <= 0.025:
        cut += 1
        chance += math.comb(len(values), cut) * 0.5 ** len(values)
    cut = max(cut - 1, 0)
    return ordered[cut], ordered[-1 - cut]


def summary(values):
    low, middle, high = quartiles(values)
    least, most = sure(values)
    return {"median": middle, "low": low, "high": high, "least": least, "most": most,
            "values": values}


def verdict(ratio):
    """Of a ratio that shall be more than 1."""
    if ratio["least"] > 1:
        return "met"
    return "NOT MET" if ratio["most"] < 1 else "undecided"


def bounded(ratio, bound):
    """Of a ratio that shall be less than that."""
    if ratio["most"] < bound:
        return "met"
    return "NOT MET" if ratio["least"] > bound else "undecided"


def compare(values, lowest_wins_over):
    """The numbers of each, their ratios to hpheap's round by round, and the best of
    @lowest_wins_over against it."""
    mine = values["hpheap"]
    cell = {"contestants": {name: summary(numbers) for name, numbers in values.items()},
            "ratios": {name: summary([a / b for a, b in zip(numbers, mine)])
                       for name, numbers in values.items() if name != "hpheap"}}
    peers = [name for name in lowest_wins_over if name in values]
    cell["best"] = min(peers, key=lambda name: cell["ratios"][name]["median"])
    cell["verdict"] = verdict(cell["ratios"][cell["best"]])
    return cell


def span_rounds(runner_of, names, effort, order):
    """{name: [nanoseconds per operation]}, of all by turns, in processes of their own."""
    runners, values = {}, {name: [] for name in names}
    try:
        for name in names:
            runners[name] = runner_of(name)
            runners[name].warm(effort.round_ns)
        for _ in range(effort.rounds):
            for name in order.sample(names, len(names)):
                values[name].append(runners[name].round())
    finally:
        for runner in runners.values():
            runner.stop()
    return values


def span_cell(out, names, workload, size, threads, effort, among=None):
    """Processes are begun anew some times: where one's memory lies is chance, and stays."""
    window = min(max(effort.window_bytes // size, effort.window_spans), MOST_WINDOW)
    values = {name: [] for name in names}
    order = random.Random(1)
    for _ in range(effort.starts):
        of_one = span_rounds(
            lambda name: Runner(out, name, workload, size, threads, window, among),
            names, effort, order)
        for name in names:
            values[name] += of_one[name]
    cell = compare(values, [name for name in names if name != "hpheap"])
    return {"workload": workload, "size": size, "threads": threads, **cell}


def spans(out, names, effort):
    """Nanoseconds per operation of everybody, for each workload, size and thread count."""
    cells = []
    for threads, workloads in WORKLOADS.items():
        for workload in workloads:
            for size in SIZES:
                progress(f"bench: span {workload} {size >> 10} KiB, {threads} "
                         f"thread{'s' * (threads > 1)}")
                cells.append(span_cell(out, names, workload, size, threads, effort))
    return cells


def size_text(size):
    return f"{size} B" if size < 1 << 10 else f"{size >> 10} KiB"


def mallocs(out, names, effort):
    """The same of small objects, from malloc(); and over all rows the geometric mean of what
    the best peer of each takes, as a multiple of hpheap's time."""
    names = [name for name in names if name in MALLOCS]
    cells = []
    for threads in (1, 2):
        for workload in SMALL_WORKLOADS[:3 + (threads > 1)]:
            for size in SMALL_SIZES:
                progress(f"bench: malloc {workload} {size_text(size)}, {threads} "
                         f"thread{'s' * (threads > 1)}")
                cells.append(span_cell(out, names, workload, size, threads, effort, MALLOCS))
    logs = [math.log(cell["ratios"][cell["best"]]["median"]) for cell in cells]
    return {"cells": cells, "mean": math.exp(statistics.fmean(logs))}


def moments_of(process, name, seed):
    """{moment: (resident, live)}"""
    if not origin(process).startswith(CONTESTANTS[name][1]):
        raise Broken(f"{name}: it is not {CONTESTANTS[name][1]} that lives")
    moments = {}
    for line in process.stdout:
        when, *numbers = line.split()
        moments[when] = tuple(map(int, numbers))
    if process.wait() or tuple(moments) != MOMENTS:
        raise Broken(f"{name}: its life with seed {seed} ended early")
    return moments


def live_together(out, names, seed, effort):
    """{name: moments}. They rest most of the time, and no time is judged: all at once."""
    processes = {}
    try:
        for name in names:
            processes[name] = start(os.path.join(out, "bench/life"), name, seed, effort.peak_mib,
                                    effort.life_seconds, effort.idle_seconds)
        return {name: moments_of(processes[name], name, seed) for name in names}
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


def lives(out, names, effort):
    """Resident over live bytes at each moment; the target is what is left after the life. The
    system's own pages are no peer: with one system call for each span nothing is ever kept,
    and nothing is fast."""
    ratios = {moment: {name: [] for name in names} for moment in MOMENTS}
    live = {}
    for seed in range(1, effort.seeds + 1):
        progress(f"bench: life {seed} of {effort.seeds}, of all at once, "
                 f"{effort.life_seconds + effort.idle_seconds} s")
        for name, moments in live_together(out, names, seed, effort).items():
            for moment, (resident, alive) in moments.items():
                if live.setdefault((seed, moment), alive) != alive:
                    raise Broken(f"{name}: not the life of the others with seed {seed}")
                ratios[moment][name].append(resident / alive)
    peers = [name for name in names if name not in ("hpheap", "mmap")]
    cells = {moment: compare(ratios[moment], peers) for moment in MOMENTS}
    cells["peak"]["verdict"] = NO_TARGET
    return {"live": {moment: [live[seed, moment] for seed in range(1, effort.seeds + 1)]
                     for moment in MOMENTS}, "moments": cells}


class Extent(Runner):
    """A heap of so many MiB, without memory."""

    def __init__(self, out, mib):
        self.what = f"extent {mib} MiB"
        self.process = subprocess.Popen([os.path.join(out, "bench/extent"), str(mib)],
                                        env=environment("hpheap"), text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ops = 0
        if self.process.stdout.readline() != "ready\n":
            raise Broken(f"{self.what}: it cannot be built")


def extents(out, _, effort):
    """Nanoseconds per operation in small and large heaps, and as multiples of the smallest."""
    heaps, values = {}, {mib: [] for mib in effort.extents}
    order = random.Random(1)
    try:
        for mib in effort.extents:
            progress(f"bench: extent {mib} MiB")
            heaps[mib] = Extent(out, mib)
            heaps[mib].warm(effort.round_ns)
        for _ in range(effort.rounds):
            for mib in order.sample(effort.extents, len(effort.extents)):
                values[mib].append(heaps[mib].round())
    finally:
        for heap in heaps.values():
            heap.stop()
    cells = []
    for mib, numbers in values.items():
        ratio = summary([a / b for a, b in zip(numbers, values[effort.extents[0]])])
        cells.append({"mib": mib, "ns": summary(numbers), "ratio": ratio,
                      "verdict": bounded(ratio, EXTENT_BOUND)})
    return cells
