# SPDX-License-Identifier: GPL-2.0-only
"""Find what a kernel complains of: complaints(lines) gives each with its lines.

The log is searched for what the kernel prints about its own faults, whoever is
to blame: the tests do nothing that may cause one.
"""

import re

COMPLAINT = re.compile("|".join((
    r"\bWARNING: ", r"\bBUG\b", r"\bOops\b", r"kernel BUG at", r"Kernel panic", r"Internal error",
    r"general protection fault", r"Unable to handle kernel", r"unable to handle (page|kernel)",
    r"\bKASAN\b: (?!KernelAddress)", r"\bUBSAN\b: ", r"\bKFENCE\b: ",
    r"INFO: possible", r"INFO: task .* blocked", r"INFO: trying to register", r"INFO: lockdep is",
    r"possible (recursive|circular|irq|deadlock)", r"inconsistent lock state", r"bad unlock balance",
    r"held lock freed", r"lock held when returning", r"suspicious RCU usage",
    r"rcu.*(detected|self-detected) .*stall", r"rcu.*kthread starved",
    r"soft lockup", r"hard LOCKUP", r"scheduling while atomic", r"sleeping function called",
    r"Bad page", r"Bad rss-counter", r"page dumped because", r"non-zero pgtables_bytes",
    r"refcount_t: ", r"list_(add|del) corruption", r"pagealloc: (memory|single)",
    r"page allocation failure", r"VM_FAULT_OOM leaked", r"Objects remaining", r"Slab.*(Poison|corrupt)",
    r"new suspected memory leaks", r"kmemleak: .*disabled",
    r"hpheap: leaked", r"sysfs: cannot create", r"kobject.*tried to",
    r"traps: .*trap", r"BUG_ON|WARN_ON",
)))
# The report of a trace that nothing above has announced.
TRACE = re.compile(r"^\[[^]]*\] *Call [Tt]race:")
# These print a trace too, and are what a test may rightly lead to.
RIGHTLY = re.compile(r"invoked oom-killer|sysrq: Show Blocked State")
BEFORE, AFTER = 1, 28


def complaints(lines):
    """A list of complaints, each a list of lines; what follows closely belongs to the first."""
    found, last = [], None
    for i, line in enumerate(lines):
        complained = COMPLAINT.search(line)
        if not complained and TRACE.search(line):
            complained = not any(RIGHTLY.search(before) for before in lines[max(0, i - 8):i])
        if not complained or (last is not None and i - last <= AFTER):
            continue
        last = i
        found.append(lines[max(0, i - BEFORE):i + AFTER])
    return found


def headline(complaint):
    """The one line that says most, without its time stamp."""
    for line in complaint:
        if COMPLAINT.search(line):
            return re.sub(r"^\[[^]]*\] *", "", line)
    return re.sub(r"^\[[^]]*\] *", "", complaint[0])
