# SPDX-License-Identifier: GPL-2.0-only
"""Read a test program's KTAP: cases(lines) gives the results of its test cases."""

import collections
import re

Case = collections.namedtuple("Case", "name verdict why")

RESULT = re.compile(r"^(not )?ok +(\d+)(?: +(?:- +)?([^#\s][^#]*?))?(?: *# *(.*))?$")
RUN = re.compile(r"^# +RUN +(\S+) \.\.\.")


class Broken(Exception):
    """The output is not that of a program which ran to its end."""


def short(name, program):
    """Without the fixture, where it says nothing: all tests without one are in "global"."""
    fixture, dot, rest = name.partition(".")
    return rest if dot and fixture in ("global", program) else name


def verdict(failed, directive, details):
    word = directive.split()[0].upper() if directive else ""
    if failed:
        return "fail", "; ".join(details[-4:]) or directive or "no details"
    if word == "SKIP":
        return "skip", directive[len("SKIP"):].strip() or "no reason given"
    return "pass", ""


def cases(lines, program=""):
    """All cases of a program, or Broken: a program that died says ok to its first tests, too."""
    plan, results, running, details = None, [], None, []
    for line in lines:
        match = re.match(r"^1\.\.(\d+)(?: # SKIP *(.*))?$", line)
        if match:
            plan = int(match[1])
            if match[2] is not None:
                raise Broken("skipped as a whole: " + match[2])
            continue
        match = RUN.match(line)
        if match:
            running, details = match[1], []
            continue
        match = RESULT.match(line)
        if not match:
            if line.strip() and not re.match(r"^# +(OK|FAIL) ", line):
                details.append(re.sub(r"\S*/(\w+\.c:\d+:)", r"\1", line.lstrip("# ").strip()))
            continue
        if int(match[2]) != len(results) + 1:
            raise Broken(f"result {match[2]} comes after {len(results)} results")
        name = short(match[3] or running or f"test {match[2]}", program)
        results.append(Case(name, *verdict(match[1], match[4] or "", details)))
        running, details = None, []
    if plan is None:
        raise Broken("no plan in its output")
    if plan != len(results):
        where = f", ended in {short(running, program)}" if running else ""
        raise Broken(f"{len(results)} results of {plan} planned{where}")
    if not plan:
        raise Broken("a plan of no tests")
    return results
