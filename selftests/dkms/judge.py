#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Judge what the DKMS guest said on its boots.

judge.py DIR RESULTS    DIR/install.log and DIR/restart.log

A step is one result, and so is hpheapctl's test, and a test program that an
ordinary user ran: its cases are told one by one by `make check-vm`, where they
run as root. What only root may do, and what this system cannot, is skipped here,
and nothing else is.
"""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "vm"))

import guestlog     # noqa: E402
import klog         # noqa: E402
import ktap         # noqa: E402

BOOTS = {"install": "6.1", "restart": "6.12"}
# The reasons for which an ordinary user may skip a case on this system.
MAY_SKIP = re.compile(r"\bonly root\b|\bthis kernel\b|\bchunks of one size\b|"
                      r"userfaultfd: Operation not permitted")


class Results:
    """What was found, told at once and kept for the file."""

    def __init__(self):
        self.lines = []
        self.failed = False

    def add(self, verdict, name, why="", details=()):
        line = f"{verdict} {name}" + (f": {why}" if why else "")
        self.lines.append(line)
        self.failed |= verdict == "fail"
        print(line)
        for detail in details:
            print("      " + detail)


def program(section):
    """Verdict, reason and details for a program of test cases."""
    try:
        cases = ktap.cases(section.output, re.sub(r".*/|_32$", "", section.name))
    except ktap.Broken as broken:
        ended = [line.lstrip("# ") for line in section.output if "did not run to its end" in line]
        return "fail", "; ".join([str(broken)] + ended), section.output[-12:]
    bad = [f"{case.name}: {case.why}" for case in cases if case.verdict == "fail" or
           case.verdict == "skip" and not MAY_SKIP.search(case.why)]
    if bad or section.status not in (0, 4):
        return "fail", f"{len(bad)} of {len(cases)} cases, exit status {section.status}", bad
    if all(case.verdict == "skip" for case in cases):
        return "skip", cases[0].why, ()
    return "pass", "", ()


def step(section):
    if section.status == 0:
        return "pass", "", ()
    words = [line for line in section.output if line.strip()]
    return "fail", words[-1] if words else f"exit status {section.status}", words[-25:]


def judge_section(results, boot, section):
    words = section.name if section.kind == "ktap" else section.name.replace("_", " ")
    name = f"dkms {BOOTS[boot]}: {words}"
    if section.status is None:
        verdict, why, details = "fail", "the guest ended in it", section.output[-25:]
    else:
        verdict, why, details = (program if section.kind == "ktap" else step)(section)
    results.add(verdict, name, why, details)


def read_lines(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().split("\n")
    except FileNotFoundError:   # what was to be there is missed all the same
        return []


def judge_boot(results, directory, boot):
    log = guestlog.parse(read_lines(os.path.join(directory, boot + ".log")))
    console = read_lines(os.path.join(directory, boot + ".console"))
    series = BOOTS[boot]
    for section in log.sections[1:]:
        judge_section(results, boot, section)
    if log.done and (log.release or "").startswith(series + "."):
        results.add("pass", f"dkms {series}: the system runs to its end")
    else:
        results.add("fail", f"dkms {series}: the system runs to its end",
                    f"Linux {log.release}, {log.killed or 'not done'}", console[-25:])
    complaints = [c for section in log.sections for c in klog.complaints(section.kernel)]
    complaints += klog.complaints([line for line in console if guestlog.CONSOLE.search(line)])
    if complaints:
        results.add("fail", f"dkms {series}: the kernel complains of nothing",
                    klog.headline(complaints[0]), complaints[0])
    else:
        results.add("pass", f"dkms {series}: the kernel complains of nothing")
    return log


def main():
    directory, path = sys.argv[1:]
    results = Results()
    logs = {boot: judge_boot(results, directory, boot) for boot in BOOTS}
    tests = read_lines(os.path.join(directory, "errand", "tests", "arena", "list"))
    for program in ["arena/" + test for test in tests if test] + ["hpheapctl"]:
        if not logs["install"].section(program):
            results.add("fail", f"dkms 6.1: {program}", "did not run")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in results.lines)
    sys.exit(results.failed)


if __name__ == "__main__":
    main()
