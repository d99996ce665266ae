#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Judge what guests said.

judge.py DIR RESULTS GUEST...    DIR/GUEST/log against DIR/GUEST/tests

Writes a line for every test case to the file RESULTS, prints a table (test by
guest) and all that failed; the exit status tells whether anything did.
DIR/GUEST/tests is the list of what must have run, as the guest has it; a test
that says nothing, or a guest that goes quiet, is a failure like any other.

In a guest NAME+faults the module's allocations fail at random. Programs that
are declared to stand it are judged as always. Of the others, cases may fail
there, so they are judged by the rest: the kernel's log, that they end, that the
module has everything back afterwards.
"""

import collections
import os
import re
import sys

import guestlog
import klog
import ktap
import table

Result = collections.namedtuple("Result", "verdict test case why lines")

# Memory that may be away at the end without a reason. Lost chunks are counted
# one by one; this is for what is smaller: so many base pages, which is what the
# kernel's own caches take. Debug kernels collect stack traces, which nothing
# counts.
NOISE_PAGES, NOISE_KIB, NOISE_DEBUG_KIB = 64, 1024, 8192


class Judge:
    """What one guest's log amounts to."""

    def __init__(self, name, log, expected, skips):
        self.name = name
        self.kernel = table.kernels()[name.split("+")[0]]
        self.faults = name.endswith("+faults")
        self.log = log
        self.expected = expected        # [(test, kind, tolerant)]
        self.skips = skips              # [(guest, test.case)] patterns
        self.results = []

    def add(self, verdict, test, case, why="", lines=()):
        self.results.append(Result(verdict, test, case, why, list(lines)))

    def check(self, good, test, case, why="", lines=()):
        self.add("pass" if good else "fail", test, case, "" if good else why, lines)
        return good

    def complaints(self, section):
        found = klog.complaints(section.kernel)
        for complaint in found:
            self.add("fail", section.name, "kernel_log",
                     "the kernel said: " + klog.headline(complaint), complaint)
        if not found:
            self.add("pass", section.name, "kernel_log")

    def may_skip(self, test, case):
        return any(re.fullmatch(guest, self.name) and re.fullmatch(what, f"{test}.{case}")
                   for guest, what in self.skips)

    def cases(self, section, kind):
        """The cases of a program that ended by itself."""
        name = section.name
        if kind == "plain":
            self.check(section.status == 0, name, "exit_status",
                       f"exit status {section.status}", section.output[-12:])
            return
        try:
            cases = ktap.cases(section.output, re.sub(r".*/|_32$", "", name))
        except ktap.Broken as broken:
            self.add("fail", name, "output", str(broken), section.output[-12:])
            return
        for case in cases:
            if case.verdict == "skip" and not self.may_skip(name, case.name):
                self.add("fail", name, case.name,
                         "skipped, which is not expected here: " + case.why)
            else:
                self.add(case.verdict, name, case.name, case.why)
        failed = any(case.verdict == "fail" for case in cases)
        if bool(section.status) != failed:
            self.add("fail", name, "exit_status",
                     f"exit status {section.status}, which its cases do not explain")

    def survived(self, section):
        """Failing allocations: the program may fail, but not hang."""
        hung = [line for line in section.output if "terminated by timeout" in line]
        self.check(not hung, section.name, "does_not_hang", "; ".join(hung))

    def left_behind(self, section):
        left = [f"{section.arenas} arenas"] if section.arenas > 0 else []
        left += [f"{section.resident} bytes in chunks"] if section.resident > 0 else []
        self.check(not left, section.name, "leaves_nothing", "still there: " + ", ".join(left))

    def test(self, test, kind, tolerant):
        section = self.log.section(test)
        if not section:
            self.add("fail", test, "runs", f"did not run; the guest's last words were in "
                     f"{self.log.sections[-1].name}")
            return
        self.complaints(section)
        if section.timeout:
            self.add("fail", test, "ends", f"not done after {section.timeout} seconds",
                     section.output[-12:])
        elif section.status is None:
            self.add("fail", test, "ends", f"the guest {self.end()} in it", section.output[-25:])
        elif self.faults and not tolerant:
            self.survived(section)
        else:
            self.cases(section, kind)
        if section.status is not None:
            self.left_behind(section)

    def end(self):
        return f"was killed ({self.log.killed})" if self.log.killed else "died"

    def guest(self):
        """What is not the doing of one test."""
        log, last = self.log, self.log.sections[-1]
        self.complaints(log.sections[0])
        self.check(log.page_kib == self.kernel.page, "guest", "base_page_size",
                   f"{log.page_kib} KiB, should be {self.kernel.page}")
        self.check(log.done, "guest", "runs_to_the_end", f"it {self.end()} in {last.name}",
                   (last.kernel or last.output)[-25:])
        load = log.section("load")
        self.check(load and load.status == 0, "guest", "module_loads", "insmod failed",
                   load.output + load.kernel[-5:] if load else ())
        if load:
            self.complaints(load)
        self.unloading()

    def unloading(self):
        log = self.log
        unload = log.section("unload")
        if self.check(unload and unload.status == 0, "guest", "module_unloads",
                      "rmmod failed" if unload else "not reached",
                      unload.output if unload else ()):
            self.complaints(unload)
            self.memory()
        if self.faults and len(self.expected) > 1:  # one alone may need no memory
            self.check(min(log.failed) > 0, "guest", "allocations_failed",
                       "{} of slabs and {} of pages".format(*log.failed))
        if "-debug" in self.kernel.name:
            self.check(log.lockdep, "guest", "lockdep_watched_all",
                       "lockdep was off at the end: it had met something, or run out of room")
            self.check(not log.leaks, "guest", "no_kmemleak_report",
                       "objects that nothing points to", log.leaks[:40])

    def memory(self):
        if not self.log.memory:
            self.add("fail", "guest", "memory_is_given_back", "not reached")
            return
        chunks, gone, quarantined = self.log.memory
        tests = [s for s in self.log.sections if s.chunks is not None]
        self.check(chunks <= 0, "guest", "chunks_are_given_back", f"{chunks} KiB in lost chunks",
                   [f"{s.chunks:9} KiB after {s.name}" for s in tests])
        noise = max(NOISE_DEBUG_KIB if "-debug" in self.kernel.name else NOISE_KIB,
                    NOISE_PAGES * self.kernel.page)
        self.check(gone - quarantined <= noise, "guest", "memory_is_given_back",
                   f"{gone - quarantined} KiB are gone",
                   [f"{s.unaccounted:9} KiB after {s.name}" for s in tests])

    def run(self):
        self.guest()
        for test in self.expected:
            self.test(*test)
        return self.results


def read_lines(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().split("\n")
    except FileNotFoundError:
        return []


def read_tests(path):
    """Lines NAME KIND [tolerant]."""
    rows = [line.split() for line in read_lines(path) if line.strip()]
    return [(row[0], row[1], "tolerant" in row[2:]) for row in rows]


def read_skips():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected-skips")
    rows = [line.split() for line in read_lines(path) if line and not line.startswith("#")]
    return [(row[0], row[1]) for row in rows]


def judge(directory, name):
    folder = os.path.join(directory, name)
    unprepared = read_lines(os.path.join(folder, "unprepared"))
    if unprepared:
        return [Result("fail", "guest", "is_prepared", unprepared[0], unprepared[1:])]
    log = guestlog.parse(read_lines(os.path.join(folder, "log")))
    expected = read_tests(os.path.join(folder, "tests"))
    if not expected:
        return [Result("fail", "guest", "has_tests", "there is nothing to run", [])]
    return Judge(name, log, expected, read_skips()).run()


def write_results(path, judged):
    with open(path, "w", encoding="utf-8") as file:
        for name, results in judged.items():
            for r in results:
                why = f": {r.why}" if r.why else ""
                print(f"{r.verdict} {name}: {r.test.split('/')[-1]}.{r.case}{why}", file=file)


def cell(results, partly):
    if not results:
        return "-"
    count = collections.Counter(r.verdict for r in results)
    if count["fail"]:
        return f"FAIL {count['fail']}/{len(results)}"
    mark = "*" if partly else ""
    return f"{count['pass']}{mark}" + (f" +{count['skip']} skip" if count["skip"] else "")


def print_table(directory, judged):
    rows = list(dict.fromkeys(r.test for results in judged.values() for r in results))
    partly = {name: {test for test, _, tolerant in
                     read_tests(os.path.join(directory, name, "tests"))
                     if name.endswith("+faults") and not tolerant} for name in judged}
    first = max(map(len, rows)) + 2
    heads = [re.match(r"(.*?-[0-9]+k)-?(.*)", name).groups() for name in judged]
    widths = [max(13, *(len(part) + 2 for part in head)) for head in heads]
    for part in (0, 1) if any(head[1] for head in heads) else (0,):
        print(" " * first + "".join(head[part].ljust(w) for head, w in zip(heads, widths)))
    for test in rows:
        cells = [cell([r for r in results if r.test == test], test in partly[name])
                 for name, results in judged.items()]
        print(test.ljust(first) + "".join(c.ljust(w) for c, w in zip(cells, widths)))
    if any(partly.values()):
        print("* cases may fail with failing allocations: judged by the kernel's log, "
              "that it ends, and what it leaves behind")


def print_failures(directory, judged):
    for name, results in judged.items():
        failed = [r for r in results if r.verdict == "fail"]
        if failed:
            print(f"\n{name}: log in {os.path.join(directory, name, 'log')}")
        for r in failed:
            print(f"  {r.test}.{r.case}: {r.why}")
            for line in r.lines:
                print(f"      {line}")


def main():
    directory, path, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    judged = {name: judge(directory, name) for name in names}
    write_results(path, judged)
    print()
    print_table(directory, judged)
    print_failures(directory, judged)
    sys.exit(any(r.verdict == "fail" for results in judged.values() for r in results))


if __name__ == "__main__":
    main()
