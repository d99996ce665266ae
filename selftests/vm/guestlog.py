# SPDX-License-Identifier: GPL-2.0-only
"""Take a guest's log apart: parse(lines) gives a Log of Sections.

What a log looks like: init, which writes it, tells. A section is what happened
between the begin of one test and that of the next; the first, before any test,
is the boot. Kernel messages come as "@k" lines after the test that caused
them, and once the kernel is in trouble also right on the console, in the middle
of whatever else is written there.
"""

import re

CONSOLE = re.compile(r"\[ *\d+\.\d{6}\].*")


class Section:
    """One test's part of the log."""

    def __init__(self, name, kind=None):
        self.name = name
        self.kind = kind            # what else the guest says when it begins
        self.output = []
        self.kernel = []
        self.status = None          # None: it never ended
        self.seconds = 0
        self.arenas = 0             # what it left in the module
        self.resident = 0
        self.chunks = None          # KiB so far, where that is told
        self.unaccounted = None
        self.timeout = None


class Log:
    """All of one guest."""

    def __init__(self):
        self.sections = [Section("boot")]
        self.release = None
        self.page_kib = None
        self.memory = None          # KiB in lost chunks, gone in all, in quarantine
        self.failed = (0, 0)        # slab and page allocations made to fail
        self.lockdep = None         # was it still watching at the end?
        self.leaks = []             # kmemleak's report
        self.killed = None          # why the host ended the guest
        self.done = False

    def section(self, name):
        found = [s for s in self.sections if s.name == name]
        return found[-1] if found else None


def told(log, words):
    """A line in which the guest's init speaks."""
    what, rest = words[0], words[1:]
    section = log.sections[-1]
    if what == "begin":
        log.sections.append(Section(*rest))
    elif what == "end":
        section.status, section.seconds = int(rest[1]), int(rest[2])
        if len(rest) > 3:
            section.arenas, section.resident = map(int, rest[3:5])
        if len(rest) > 5:
            section.chunks, section.unaccounted = map(int, rest[5:7])
    elif what == "timeout":
        section.timeout = int(rest[1])
    elif what == "kernel":
        log.release, log.page_kib = rest[0], int(rest[1])
    elif what == "memory":
        log.memory = tuple(map(int, rest))
    elif what == "failed":
        log.failed = tuple(map(int, rest))
    elif what == "lockdep":
        log.lockdep = rest[0] == "1"
    elif what == "killed":
        log.killed = " ".join(rest)
    elif what == "done":
        log.done = True


def parse(lines):
    log = Log()
    for line in lines:
        line = line.rstrip("\r\n")
        section = log.sections[-1]
        console = CONSOLE.search(line)
        if line.startswith("@vm "):
            told(log, line.split()[1:])
        elif line.startswith("@k "):
            section.kernel.append(line[3:])
        elif line.startswith("@leak "):
            log.leaks.append(line[6:])
        elif console:
            section.kernel.append(console.group())
            if console.start():
                section.output.append(line[:console.start()])
        else:
            section.output.append(line)
    for section in log.sections:
        section.kernel = list(dict.fromkeys(section.kernel))    # both ways: once
    return log
