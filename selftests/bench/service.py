# SPDX-License-Identifier: GPL-2.0-only
"""The part of `make bench` that sees malloc() as a service does.

All are malloc() by LD_PRELOAD, hpheap too, each with its settings for huge pages. Round by round
they have their turn, in processes that live through all rounds; what is judged is the
quotient within a round. "by hand" is what the kernel gives who asks for huge pages himself.
"""

import os
import random
import re
import shutil
import subprocess
import tempfile
import time

import contest
import objects

HAND = "by hand"

ACCESS_BOUND = 1.03
TOUCH_BOUND = 0.65
IDLE_BOUND = 0.62
LARGE_PEER, RESIDENT_PEER = "mimalloc", "glibc"

PERCENTILES = ("p50", "p99", "p99.9", "p99.99")
JUDGED = ("p99.9", "p99.99")


def environment(name, out):
    """Of a process whose malloc() is that of @name."""
    who, settings, _ = objects.SETTINGS[name]
    return contest.environment(who, contest.MALLOCS, out) | settings


def start(out, name, measure, mib):
    hand = name == HAND
    owner = "glibc" if hand else name
    process = subprocess.Popen(
        contest.command(os.path.join(out, "bench/service"), measure, mib, *["hand"] * hand),
        env=environment(owner, out), text=True, bufsize=1, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE)
    library = contest.MALLOCS[objects.SETTINGS[owner][0]][1]
    if not contest.origin(process).startswith(library):
        objects.end([process])
        raise contest.Broken(f"{name}: it is not {library} that runs")
    return process


def expect_ready(name, measure, process):
    line = process.stdout.readline()
    while line.startswith("from "):
        line = process.stdout.readline()
    if line != "ready\n":
        raise contest.Broken(f"{name}: {measure} cannot begin")


def ask(name, measure, process, count):
    """The numbers of one round."""
    process.stdin.write(f"{count}\n")
    process.stdin.flush()
    numbers = tuple(map(int, process.stdout.readline().split()))
    if not numbers:
        raise contest.Broken(f"{name}: {measure} has ended early")
    return numbers


def by_turns(out, names, measure, mib, count, rounds):
    """{name: [numbers of a round]}"""
    order, processes = random.Random(1), {}
    values = {name: [] for name in names}
    contest.progress(f"bench: service, {measure}")
    try:
        for name in names:
            processes[name] = start(out, name, measure, mib)
            expect_ready(name, measure, processes[name])
            ask(name, measure, processes[name], count)      # the first one is not like the others
        for _ in range(rounds):
            for name in order.sample(names, len(names)):
                values[name].append(ask(name, measure, processes[name], count))
    finally:
        objects.end(processes.values())
    return values


def column(values, index, scale=1.0):
    return {name: [numbers[index] * scale for numbers in told] for name, told in values.items()}


def ratio_row(text, values, bound, against):
    """hpheap over one of @against, round by round: over the best of them, which is told."""
    mine = values["hpheap"]
    ratios = {name: contest.summary([a / b for a, b in zip(mine, values[name])])
              for name in against if name in values}
    cell = objects.row(text, values, f"<= {bound:.2f}")
    if ratios:
        cell["best"] = max(ratios, key=lambda name: ratios[name]["median"])
        cell["ratio"] = ratios[cell["best"]]
        cell["verdict"] = objects.at_most(cell["ratio"], bound)
    return cell


def requests(out, names, effort):
    peers = [name for name in names if name != "hpheap"]
    values = by_turns(out, names, "requests", effort.service_mib, effort.requests,
                      effort.turns_of_requests)
    rows = {}
    for i, text in enumerate(PERCENTILES):
        of_one = column(values, i)
        rows[text] = (ratio_row(f"a request, {text}, ns", of_one, 1, peers) if text in JUDGED
                      else objects.row(f"a request, {text}, ns", of_one))
    return rows


def access(out, names, effort):
    values = by_turns(out, names + [HAND], "access", effort.access_mib, effort.accesses,
                      effort.turns_of)
    return {"access": ratio_row(f"a read at random in {effort.access_mib} MiB, ns",
                                column(values, 0, 1 / effort.accesses), ACCESS_BOUND, [HAND])}


def touch(out, names, effort):
    values = by_turns(out, names + [HAND], "touch", effort.touch_mib, effort.touch_mib // 2,
                      effort.turns_of)
    return {"touch": ratio_row("2 MiB of fresh memory, touched, us",
                               column(values, 0, 2 / effort.touch_mib / 1000), TOUCH_BOUND, [HAND])}


def large(out, names, effort):
    values = by_turns(out, names, "large", effort.service_mib, effort.large,
                      effort.turns_of_large)
    resident = {name: [r / w for _, r, w in told] for name, told in values.items()}
    return {"large": ratio_row("1 to 32 MiB and back, us",
                               column(values, 0, 1 / effort.large / 1000), 1, [LARGE_PEER]),
            "resident": ratio_row("resident / written of those", resident, 1, [RESIDENT_PEER])}


def idle_at_once(out, names, seed, effort):
    """{name: (resident, live, huge)} of a life. Most of it they rest, and no time is judged: all at
    once."""
    contest.progress(f"bench: service, idle, life {seed} of {effort.idle_lives}, all at once")
    processes = {}
    try:
        for name in names:
            processes[name] = start(out, name, "idle", effort.service_mib)
        for name, process in processes.items():
            expect_ready(name, "idle", process)
            process.stdin.write(f"{seed}\n")
            process.stdin.flush()
        told = {name: tuple(map(int, process.stdout.readline().split()))
                for name, process in processes.items()}
    finally:
        objects.end(processes.values())
    if len({live for _, live, _ in told.values()}) != 1:
        raise contest.Broken("idle: not the same is left of all")
    return told


def idle(out, names, effort):
    lives = [idle_at_once(out, names, seed + 1, effort) for seed in range(effort.idle_lives)]
    peers = [name for name in names if name != "hpheap"]
    return {"idle": ratio_row("resident / live of 30 %, after 3 s of rest",
                              {name: [life[name][0] / life[name][1] for life in lives]
                               for name in names}, IDLE_BOUND, peers),
            "idle huge": objects.row("part of that on huge pages",
                                     {name: [life[name][2] / life[name][0] for life in lives]
                                      for name in names})}


class Redis:
    """A redis-server on a socket of its own."""

    def __init__(self, out, name, folder):
        self.name, self.socket = name, os.path.join(folder, re.sub(r"\W", "-", name) + ".sock")
        self.process = subprocess.Popen(
            contest.command(shutil.which("redis-server"), "--port", "0", "--unixsocket",
                            self.socket, "--save", "", "--appendonly", "no", "--dir", folder),
            env=environment(name, out),
            stdout=subprocess.DEVNULL)
        library = contest.MALLOCS[objects.SETTINGS[name][0]][1]
        end = time.monotonic() + 20
        while not os.path.exists(self.socket):
            if time.monotonic() > end or self.process.poll() is not None:
                raise contest.Broken(f"{name}: redis-server does not begin")
            time.sleep(0.05)
        with open(f"/proc/{self.process.pid}/maps", encoding="ascii") as maps:
            if library not in maps.read():
                raise contest.Broken(f"{name}: redis-server runs without {library}")

    def run(self, number):
        """(SET, GET) in requests a second."""
        told = subprocess.run(
            ["redis-benchmark", "-s", self.socket, "-n", str(number), "-c", "16", "-P", "16",
             "-r", "200000", "-d", "512", "-t", "set,get", "--csv"],
            check=True, capture_output=True, text=True).stdout
        rates = dict(re.findall(r'^"(SET|GET)","([0-9.]+)"', told, re.M))
        return float(rates["SET"]), float(rates["GET"])


def redis(out, names, effort):
    """Microseconds a request: redis-benchmark's, on the same machine as the server."""
    order, servers, values = random.Random(1), [], {name: [] for name in names}
    contest.progress("bench: service, redis-benchmark")
    with tempfile.TemporaryDirectory(prefix="hpheap-bench-") as folder:
        try:
            for name in names:
                servers.append(Redis(out, name, folder))
                servers[-1].run(effort.redis_requests)
            for _ in range(effort.turns_of):
                for server in order.sample(servers, len(servers)):
                    values[server.name].append(server.run(effort.redis_requests))
        finally:
            objects.end([server.process for server in servers])
    peers = [name for name in names if name != "hpheap"]
    return {f"redis {word}": ratio_row(
        f"redis {word}, us",
        {name: [1e6 / rates[i] for rates in told] for name, told in values.items()}, 1, peers)
        for i, word in enumerate(("SET", "GET"))}


def there():
    """Is redis installed?"""
    return all(map(shutil.which, ("redis-server", "redis-benchmark")))


def service(out, installed, effort):
    names = [name for name in objects.there(installed) if name != "jemalloc/bg"]
    rows = {}
    for part in (requests, access, touch, large, idle) + ((redis,) if there() else ()):
        rows |= part(out, names, effort)
    return {"rows": rows, "redis": there()}

