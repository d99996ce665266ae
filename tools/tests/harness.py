# SPDX-License-Identifier: LGPL-2.1-or-later
"""Running hpheapctl on a made tree, and keeping count of the tests."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from fakeroot import Root

# What a sanitizer says when it found something; its exit status must be none of ours.
SANITIZER_STATUS = 99
SANITIZER_OPTIONS = {
    # libkmod believes what a damaged file says of its length, and takes a NULL for it.
    "ASAN_OPTIONS": f"verify_asan_link_order=0:allocator_may_return_null=1:"
                    f"exitcode={SANITIZER_STATUS}",
    "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:exitcode={SANITIZER_STATUS}",
}
CLEAN = {"PATH": os.environ["PATH"], "LC_ALL": "C"}


class Result:
    def __init__(self, process):
        self.status = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    def json(self):
        return json.loads(self.out, parse_constant=lambda word: 1 / 0)


class CtlTest(unittest.TestCase):
    """The program under test is `tool`, in a folder that any user can reach."""

    tool = preload = hold = None

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder)
        self.root = Root(os.path.join(self.folder, "root"))

    def run_raw(self, *args, env=None, **more):
        more.setdefault("stdout", subprocess.PIPE)
        environment = {**CLEAN, **SANITIZER_OPTIONS, "LD_PRELOAD": self.preload, **(env or {})}
        result = Result(subprocess.run([self.tool, *map(str, args)], env=environment,
                                       stderr=subprocess.PIPE, timeout=60, check=False, **more))
        said = result.err.decode(errors="replace")
        self.assertGreaterEqual(result.status, 0, f"killed by a signal: {said}")
        self.assertNotEqual(result.status, SANITIZER_STATUS, said)
        self.assertNotRegex(said, r"runtime error:|ERROR: \w+Sanitizer")
        return result

    def start(self, what, *args, scavenge="off"):
        """A process with heaps: see hold_heap.c. What it says before "ready" is in .words."""
        process = subprocess.Popen([self.hold, what, self.folder, *map(str, args)],
                                   env={**CLEAN, "HPHEAP_BACKEND": "thp",
                                        "HPHEAP_SCAVENGE": scavenge},
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self.stop, process)
        process.words = process.stdout.readline().decode().split()
        self.assertEqual(process.words[-1:], ["ready"])
        return process

    def show(self, process):
        """A running process in the made tree, where no other is."""
        os.symlink(f"/proc/{process.pid}", self.root.name(f"proc/{process.pid}"))

    @staticmethod
    def stop(process):
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()

    def own(self, name):
        """A file that the process wrote."""
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()

    def ctl(self, command, *args, status=None, env=None, **more):
        """On the made tree."""
        result = self.run_raw(command, "--root", self.root.path, *args,
                              env={**self.root.env, **(env or {})}, **more)
        if status is not None:
            said = (result.out or b"") + result.err
            self.assertEqual(result.status, status, said.decode(errors="replace"))
        return result


def sentence(test):
    """test_names_the_holder -> names_the_holder"""
    return re.sub(r"^test_", "", test.id().rsplit(".", 1)[-1])


class Count(unittest.TestResult):
    """Writes `pass NAME`, `fail NAME: why` or `skip NAME: why` for each test."""

    def __init__(self, results, prefix):
        super().__init__()
        self.results, self.prefix = results, prefix

    def note(self, verdict, test, why=None):
        line = f"{verdict} {self.prefix}{sentence(test)}" + (f": {why}" if why else "")
        print(line, flush=True)
        self.results.write(line + "\n")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note("pass", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note("skip", test, reason)

    def bad(self, test, err):
        print(self._exc_info_to_string(err, test))
        self.note("fail", test, str(err[1]).strip().replace("\n", " ")[:200])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.bad(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.bad(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.bad(test, err)
