#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Test hpheapctl on made systems.

check_ctl.py OUT    tests OUT/hpheapctl, and OUT/tools/san/hpheapctl (the same
                    sources with the address and undefined behaviour sanitizers),
                    results to OUT/results/check-ctl.results

No module, no privilege and no particular kernel is needed. What only a system
with the module can show is in tools/tests/on-device.
"""

import os
import shutil
import sys
import tempfile
import unittest

import harness
import test_cli
import test_doctor
import test_map
import test_run
import test_stat
import test_top

MODULES = (test_cli, test_doctor, test_map, test_run, test_stat, test_top)


def run(tool, out, prefix, results):
    """Copies the program: a test may run it as a user who cannot read our folder."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        harness.CtlTest.tool = shutil.copy(tool, folder)
        tests = os.path.join(out, "tools/tests")
        harness.CtlTest.preload = shutil.copy(os.path.join(tests, "fake_kernel.so"), folder)
        os.chmod(harness.CtlTest.preload, 0o755)
        harness.CtlTest.hold = os.path.join(tests, "hold_heap")
        for name in ("take_memory", "take_memory_static"):
            shutil.copy(os.path.join(tests, name), folder)
        shutil.copy(os.path.join(out, "libhpheap-malloc.so"), folder)
        count = harness.Count(results, prefix)
        for module in MODULES:
            unittest.defaultTestLoader.loadTestsFromModule(module).run(count)
    return count.testsRun and count.wasSuccessful()


def main():
    out = sys.argv[1]
    good = True
    with open(os.path.join(out, "results/check-ctl.results"), "w", encoding="utf-8") as results:
        for tool, prefix in (("hpheapctl", "ctl."), ("tools/san/hpheapctl", "ctl.sanitized.")):
            good = run(os.path.join(out, tool), out, prefix, results) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
