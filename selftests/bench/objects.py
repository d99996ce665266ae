# SPDX-License-Identifier: GPL-2.0-only
"""The parts of `make bench` that have objects instead of spans: breathing and survivors.

Every allocator has its settings for huge pages on. Memory is compared in bytes
over live bytes, times within a life: the ramp of one contestant with the same
ramp of another, a request in the ramp with one in the steady time before.
"""

import os
import random
import subprocess
import time

import contest

# Name: who it is among contest.CONTESTANTS, what it is told, and what there is to know of that.
SETTINGS = {
    "hpheap": ("hpheap", {}, "transparent huge pages, which it asks for itself"),
    "glibc": ("glibc", {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}, "madvise(MADV_HUGEPAGE)"),
    "jemalloc": ("jemalloc", {"MALLOC_CONF": "thp:always,metadata_thp:auto"},
                 "madvise(MADV_HUGEPAGE); gives back when it is called"),
    "jemalloc/bg": ("jemalloc", {"MALLOC_CONF": "thp:always,metadata_thp:auto,"
                                                "background_thread:true"},
                    "the same, and gives back from a thread"),
    "tcmalloc": ("tcmalloc", {"TCMALLOC_RELEASE_RATE": "10"},
                 "knows nothing of huge pages: it has them where the system gives them to all; "
                 "gives back as fast as it can be told to"),
    "mimalloc": ("mimalloc", {"MIMALLOC_LARGE_OS_PAGES": "1"}, "madvise(MADV_HUGEPAGE)"),
}

TIDES = ("top", "low", "idle", "full")
TIMES = ("steady", "ramp")

IDLE_BOUND = 2.1
P999_BOUND = 2
SPEED_BOUND = 1.05
HUGE_BOUND = 0.98
BACK_BOUND = 0.85
REFILL_BOUND = 1.3


def there(installed):
    return [name for name, (who, _, _) in SETTINGS.items() if who in installed]


def start(program, name, *arguments):
    who, settings, _ = SETTINGS[name]
    call, library = contest.CONTESTANTS[who]
    process = subprocess.Popen(contest.command(program, call, *arguments), text=True,
                               env=contest.environment(who) | settings,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if not contest.origin(process).startswith(library):
        process.kill()
        process.communicate()
        raise contest.Broken(f"{name}: it is not {library} that runs")
    return process


def end(processes):
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def lines_of(process, what):
    """(first word, numbers) of each line, when it has ended well."""
    process.stdin.close()
    text = process.stdout.read()
    if process.wait():
        raise contest.Broken(f"{what} ended early")
    return [(words[0], tuple(map(int, words[1:]))) for words in map(str.split, text.splitlines())]


def footprint(numbers):
    resident, live, touched, huge = numbers
    return {"live": live, "resident": resident / live, "floor": touched / live,
            "huge": huge / resident if resident else 0}


def tide_of(name, process):
    """(first word, numbers) of each line of one round."""
    lines = [line.split() for line in (process.stdout.readline() for _ in TIDES)]
    if [words[0] if words else "" for words in lines] != list(TIDES):
        raise contest.Broken(f"{name}: it stopped breathing")
    return [(words[0], tuple(map(int, words[1:]))) for words in lines]


def breathe_together(out, names, seed, effort):
    """{name: measures} and the live bytes. Round by round each has the machine to itself, and
    waits at high tide while the others breathe, so long at least that what may be done once a
    minute may be done again."""
    processes, lines, full = {}, {name: [] for name in names}, {}
    try:
        for number in range(effort.tides):
            for name in names:
                contest.progress(f"bench: breathing, life {seed} of {effort.seeds}, "
                                 f"round {number + 1}, {name}")
                if not number:
                    processes[name] = start(os.path.join(out, "bench/breathe"), name, seed,
                                            effort.objects_mib, effort.tides, effort.turns,
                                            effort.idle_seconds)
                else:
                    time.sleep(max(0, full[name] + effort.high_seconds - time.monotonic()))
                    processes[name].stdin.write("\n")
                    processes[name].stdin.flush()
                lines[name] += tide_of(name, processes[name])
                full[name] = time.monotonic()
                if number + 1 == effort.tides:
                    lines[name] += lines_of(processes[name], f"{name}: breathing, seed {seed}")
    finally:
        end(processes.values())
    moments = {name: [(word, footprint(numbers)) for word, numbers in told if word in TIDES]
               for name, told in lines.items()}
    times = {name: {word: numbers for word, numbers in told if word in TIMES}
             for name, told in lines.items()}
    return ({name: breath(moments[name], times[name]) for name in names},
            {name: [moment["live"] for _, moment in moments[name]] for name in names})


def breath(moments, times):
    """The worst tide is what memory is judged by, and the last ramp what is huge."""
    worst = {tide: max((moment for word, moment in moments if word == tide),
                       key=lambda moment: moment["resident"]) for tide in TIDES}
    requests, ns, faults, _, p999, _ = times["ramp"]
    return {"top": worst["top"]["resident"], "low": worst["low"]["resident"],
            "idle": worst["idle"]["resident"],
            "floor": worst["idle"]["floor"],
            "full": worst["full"]["resident"], "huge": moments[-1][1]["huge"],
            "faults": faults * 1000 / requests, "p999": p999 / times["steady"][4],
            "ns": ns / requests}


def survivors_at_once(out, names, seed, effort):
    """{name: measures}, and the live bytes. They wait most of the time, and no time is judged:
    all at once."""
    seconds = effort.survivor_seconds
    processes, measures, live = {}, {}, None
    try:
        for name in names:
            processes[name] = start(os.path.join(out, "bench/survive"), name, seed,
                                    effort.objects_mib, *seconds)
        for name in names:
            lines = lines_of(processes[name], f"{name}: survivors with seed {seed}")
            if [word for word, _ in lines] != ["top", *map(str, seconds), "refilled"]:
                raise contest.Broken(f"{name}: it did not tell of all its survivors")
            measures[name] = survival([numbers for _, numbers in lines])
            alive = [numbers[1] for _, numbers in lines]
            live = live or alive
            if live != alive:
                raise contest.Broken(f"{name}: not the survivors of the others")
    finally:
        end(processes.values())
    return measures, live


def survival(numbers):
    """Of what was freed, how much is not resident any more, each time; and what came then."""
    top, *waits, refilled = numbers
    back = [(top[0] - now[0]) / (top[1] - now[1]) for now in waits]
    return {"top": top[0] / top[1], "back": back, "floor": waits[-1][2] / waits[-1][1],
            "kept": waits[-1][0] / waits[-1][1], "refilled": footprint(refilled)["resident"],
            "huge": footprint(refilled)["huge"]}


def at_most(summary, bound):
    if summary["most"] <= bound:
        return "met"
    return "NOT MET" if summary["least"] > bound else "undecided"


def at_least(summary, bound):
    if summary["least"] >= bound:
        return "met"
    return "NOT MET" if summary["most"] < bound else "undecided"


def row(text, values, target="", judge=None, bound=None):
    """A measure of everybody; hpheap's is held against the bound."""
    cell = {"text": text, "target": target,
            "contestants": {name: contest.summary(numbers) for name, numbers in values.items()}}
    if judge:
        cell["verdict"] = judge(cell["contestants"]["hpheap"], bound)
    return cell


def speed_row(values):
    """hpheap's ramp as a multiple of a peer's, life by life; the best peer is the target."""
    mine = values["hpheap"]
    ratios = {name: contest.summary([a / b for a, b in zip(mine, numbers)])
              for name, numbers in values.items() if name != "hpheap"}
    cell = row("ns a request in the ramp", values, f"<= {SPEED_BOUND}")
    if ratios:
        cell["best"] = max(ratios, key=lambda name: ratios[name]["median"])
        cell["ratio"] = ratios[cell["best"]]
        cell["verdict"] = at_most(cell["ratio"], SPEED_BOUND)
    return cell


def breathing_rows(lives, effort):
    """@lives: {name: [measures of a life]}"""
    def of(key):
        return {name: [life[key] for life in lived] for name, lived in lives.items()}
    return {
        "top": row("resident / live at high tide", of("top")),
        "low": row("at low tide", of("low")),
        "idle": row(f"after {effort.idle_seconds} s without requests, at worst",
                    of("idle"), f"<= {IDLE_BOUND}", at_most, IDLE_BOUND),
        "floor": row("of that, base pages with a record", of("floor")),
        "full": row("when the load is back", of("full")),
        "huge": row(f"part on huge pages {effort.idle_seconds} s later", of("huge"),
                    f">= {HUGE_BOUND}", at_least, HUGE_BOUND),
        "faults": row("page faults in 1000 requests of the ramp", of("faults")),
        "p999": row("p99.9 in the ramp / before", of("p999"), f"<= {P999_BOUND}", at_most,
                    P999_BOUND),
        "ns": speed_row(of("ns")),
    }


def survivors_rows(lives, effort):
    def of(key):
        return {name: [life[key] for life in lived] for name, lived in lives.items()}
    rows = {"top": row("resident / live before", of("top"))}
    for i, seconds in enumerate(effort.survivor_seconds):
        back = {name: [life["back"][i] for life in lived] for name, lived in lives.items()}
        last = i == len(effort.survivor_seconds) - 1
        rows[f"back {seconds}"] = row(f"part that came back in {seconds} s", back,
                                      *((f">= {BACK_BOUND}", at_least, BACK_BOUND) if last else ()))
    rows["kept"] = row("resident / live then", of("kept"))
    rows["floor"] = row("of that, base pages with a record", of("floor"))
    rows["refilled"] = row("resident / live refilled", of("refilled"), f"<= {REFILL_BOUND}",
                           at_most, REFILL_BOUND)
    rows["huge"] = row("part on huge pages 3 s later", of("huge"), f">= {HUGE_BOUND}", at_least,
                       HUGE_BOUND)
    return rows


def breathing(out, installed, effort):
    names, order = there(installed), random.Random(1)
    lives, live = {name: [] for name in names}, {}
    for seed in range(1, effort.seeds + 1):
        measures, alive = breathe_together(out, order.sample(names, len(names)), seed, effort)
        for name in names:
            if live.setdefault(seed, alive[name]) != alive[name]:
                raise contest.Broken(f"{name}: not the life of the others with seed {seed}")
            lives[name].append(measures[name])
    return {"rows": breathing_rows(lives, effort)}


def survivors(out, installed, effort):
    names = there(installed)
    lives = {name: [] for name in names}
    for seed in range(1, effort.survivor_seeds + 1):
        contest.progress(f"bench: survivors, {seed} of {effort.survivor_seeds}, all at once, "
                         f"{effort.survivor_seconds[-1]} s")
        measures, _ = survivors_at_once(out, names, seed, effort)
        for name in names:
            lives[name].append(measures[name])
    return {"rows": survivors_rows(lives, effort)}
