# SPDX-License-Identifier: LGPL-2.1-or-later
"""run: what it starts, what it refuses, and what it says of the end."""

import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import unittest

from fakeroot import MIB
from harness import CLEAN, SANITIZER_OPTIONS, SANITIZER_STATUS, CtlTest

NOBODY = 65534
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": MIB, "GiB": 1 << 30}
ELF64, ELF32 = 2, 1
EXECUTABLE, OBJECT = 2, 1
S390 = 22
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1,
           signal.SIGUSR2, signal.SIGKILL)


def elf(bits=ELF64, order=1, kind=EXECUTABLE, machine=None):
    """The header of a program without segments; for this machine, if for no other."""
    if machine is None:
        with open(sys.executable, "rb") as file:
            machine = struct.unpack_from("=H", file.read(20), 18)[0]
    begin = b"\x7fELF" + bytes((bits, order, 1)) + bytes(9)
    return (begin + struct.pack("=HH", kind, machine)).ljust(64, b"\0")


class RunTest(CtlTest):
    def run_it(self, *args, status=0, env=None, **more):
        result = self.run_raw("run", *args, env=env, **more)
        self.assertEqual(result.status, status, result.err.decode(errors="replace"))
        return result

    def refused(self, status, why, *args, **more):
        result = self.run_it(*args, status=status, **more)
        self.assertEqual(result.out, b"")
        self.assertRegex(result.err.decode(), why)
        self.assertTrue(result.err.startswith(b"hpheapctl: "), result.err)

    def file(self, name, contents, mode=0o755):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(contents)
        os.chmod(path, mode)
        return path

    def beside(self, name):
        """A file in the folder of the program under test."""
        return os.path.join(os.path.dirname(self.tool), name)

    def ask(self, expression, *args, env=None):
        """What a shell that was started says."""
        return self.run_it(*args, "sh", "-c", f'printf %s "{expression}"', env=env).out.decode()

    def begin(self, *args):
        def own_signals():
            os.setpgid(0, 0)    # SIGTSTP passes by a group that nobody is there to wake up
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            for number in set(SIGNALS) - {signal.SIGKILL}:
                signal.signal(number, signal.SIG_DFL)   # it may be ignored here
        process = subprocess.Popen([self.tool, "run", *args], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   preexec_fn=own_signals, env={**CLEAN, **SANITIZER_OPTIONS})
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        process.kill()
        process.communicate()

    def may_watch(self, said):
        if b"may not be watched here" in said:
            self.skipTest("ptrace is not permitted here")


class Start(RunTest):
    def test_program_has_the_library_as_its_malloc(self):
        maps = self.run_it("cat", "/proc/self/maps").out
        self.assertIn(self.beside("libhpheap-malloc.so").encode(), maps)

    def test_what_was_preloaded_stays(self):
        library = self.beside("libhpheap-malloc.so")
        self.assertEqual(self.ask("$LD_PRELOAD"), f"{library}:{self.preload}")
        self.assertEqual(self.ask("$LD_PRELOAD", env={"LD_PRELOAD": ""}), library)

    def test_options_become_the_environment(self):
        for option, variable, values in (
                ("backend", "BACKEND", ("auto", "thp", "small")),
                ("limit", "LIMIT", ("0", "1073741824", "1G")),
                ("node", "NODE", ("local", "interleave", "0")),
                ("fork", "FORK", ("cow", "share", "none")),
                ("scavenge", "SCAVENGE", ("on", "off", "window=500,margin=10"))):
            for value in values:
                with self.subTest(option=option, value=value):
                    said = self.ask(f"$HPHEAP_{variable}", f"--{option}", value,
                                    env={f"HPHEAP_{variable}": "other"})
                    self.assertEqual(said, value)
        self.assertEqual(self.ask("$HPHEAP_EFENCE", "--efence"), "1")

    def test_environment_stays_without_options(self):
        self.assertEqual(self.ask("$HPHEAP_BACKEND,$HPHEAP_EFENCE", env={"HPHEAP_BACKEND": "thp"}),
                         "thp,")

    def test_options_end_where_the_program_begins(self):
        result = self.run_it("echo", "--stats", "-h", "--root", "--", "x")
        self.assertEqual(result.out, b"--stats -h --root -- x\n")
        self.assertEqual(self.run_it("--", "echo", "--").out, b"--\n")

    def test_program_gets_its_name_as_it_was_given(self):
        self.assertEqual(self.run_it("sh", "-c", "echo $0").out, b"sh\n")

    def test_exit_status_is_the_programs(self):
        for status in (0, 1, 2, 4, 125, 255):
            for options in ((), ("--stats",)):
                self.run_it(*options, "sh", "-c", f"exit {status}", status=status)

    def test_input_and_output_are_the_programs(self):
        for options in ((), ("--stats",)):
            result = self.run_it(*options, "cat", input=b"in and out")
            self.assertEqual(result.out, b"in and out")

    def test_nothing_is_said_when_all_is_well(self):
        self.assertEqual(self.run_it("true").err, b"")

    def test_signal_reaches_the_program(self):
        for number in SIGNALS:
            for options in ((), ("--stats",)):
                with self.subTest(signal=number, options=options):
                    process = self.begin(*options, "sh", "-c", "echo ready; exec sleep 60")
                    process.stdout.readline()
                    process.send_signal(number)
                    process.communicate(timeout=60)
                    self.assertEqual(process.returncode, -number)

    def test_handled_signal_is_handled_once(self):
        for options in ((), ("--stats",)):
            process = self.begin(*options, "sh", "-c", "trap 'echo got' USR1; echo ready; "
                                 "read line; read line; exit 5")
            process.stdout.readline()
            process.send_signal(signal.SIGUSR1)
            self.assertEqual(process.stdout.readline(), b"got\n")
            self.assertEqual(process.communicate(b"1\n2\n", timeout=60)[0], b"")
            self.assertEqual(process.returncode, 5)

    def test_stopped_program_is_seen_stopped_and_goes_on(self):
        for number in (signal.SIGSTOP, signal.SIGTSTP):
            for options in ((), ("--stats",)):
                process = self.begin(*options, "sh", "-c", f"kill -{number} $$; exit 7")
                _, status = os.waitpid(process.pid, os.WUNTRACED)
                self.assertTrue(os.WIFSTOPPED(status), status)
                if number == signal.SIGTSTP and os.WSTOPSIG(status) != number:
                    self.fail(status)
                process.send_signal(signal.SIGCONT)
                process.communicate(timeout=60)
                self.assertEqual(process.returncode, 7)

    def test_file_without_a_format_is_the_shells(self):
        self.assertEqual(self.run_it(self.file("text", b"echo I am text\n")).out, b"I am text\n")

    def test_empty_element_of_the_path_is_the_current_folder(self):
        self.file("here", b"#!/bin/sh\necho here\n")
        for path in ("", "/nowhere:", ":/nowhere"):
            result = self.run_it("here", env={"PATH": path}, cwd=self.folder)
            self.assertEqual(result.out, b"here\n")

    def test_script_of_scripts_is_started(self):
        last = "/bin/sh"
        for level in range(5):
            last = self.file(f"script{level}", f"#! {last}\nexit 6\n".encode())
        self.run_it(last, status=6)
        self.refused(126, "too many scripts", self.file("sixth", f"#!{last}\n".encode()))

    def test_library_may_be_given(self):
        library = shutil.copy(self.beside("libhpheap-malloc.so"), os.path.join(self.folder, "l.so"))
        self.assertEqual(self.ask("$LD_PRELOAD", "--library", library, env={"LD_PRELOAD": ""}),
                         os.path.realpath(library))

    def test_library_is_found_where_all_was_installed(self):
        os.makedirs(os.path.join(self.folder, "bin"))
        os.makedirs(os.path.join(self.folder, "lib"))
        library = shutil.copy(self.beside("libhpheap-malloc.so"), os.path.join(self.folder, "lib"))
        self.tool = shutil.copy(self.tool, os.path.join(self.folder, "bin"))
        self.assertEqual(self.ask("$LD_PRELOAD", env={"LD_PRELOAD": ""}),
                         os.path.realpath(library))


class Refusal(RunTest):
    def test_values_that_are_none_are_refused_before_anything_starts(self):
        for option, values, why in (
                ("backend", ("", "thp ", "DEVICE", "huge"), "no backend: auto, device"),
                ("limit", ("", "-1", "1X", "1.5G", "1 G", "99999999999999999999"), "no limit:"),
                ("node", ("", "here", "-1", "4095", "99999999999"), "no place: local"),
                ("fork", ("", "copy", "0"), "no way to fork: cow"),
                ("scavenge", ("", "no", "window", "window=1", "widow=500", "window=500,"),
                 "no policy: on, off")):
            for value in values:
                with self.subTest(option=option, value=value):
                    self.refused(2, why, f"--{option}", value, "echo", "started")
        self.refused(2, "run takes a program")
        self.refused(2, "takes no option '--root", "--root=/", "true")
        self.refused(2, "takes no option '--json", "--json", "true")

    def test_program_that_is_not_there_is_told(self):
        for name, why in (("no-such-program", "in no folder of PATH"), ("", "No such file"),
                          ("/no/such/program", "No such file"), ("/dev/null/x", "Not a dir")):
            self.refused(127, why, name)
        self.refused(127, "in no folder of PATH", "sh", env={"PATH": self.folder})

    def test_file_that_is_no_program_is_told(self):
        plain = self.file("plain", b"#!/bin/sh\n", 0o644)
        self.refused(126, "Permission denied", plain)
        self.refused(126, "Permission denied", "plain", env={"PATH": self.folder})
        self.refused(126, "directory", self.folder)
        self.refused(126, "Permission denied", "/dev/null")

    def test_static_program_is_told(self):
        self.refused(125, "linked statically", self.beside("take_memory_static"))

    def test_program_for_another_machine_is_told(self):
        mine = struct.calcsize("P") == 8
        for program, why in ((elf(machine=S390), r"other machines \(ELF number 22\)"),
                             (elf(bits=ELF32 if mine else ELF64), "bits, the library is one"),
                             (elf(order=2 if sys.byteorder == "little" else 1),
                              "another order of bytes")):
            self.refused(125, why, self.file("program", program))

    def test_damaged_program_is_told(self):
        header = bytearray(elf())
        header[32:40] = struct.pack("=Q", 1 << 63)
        header[56:58] = struct.pack("=H", 7)
        for program in (elf()[:30], b"\x7fELF\x09" + bytes(59), bytes(header)):
            self.refused(126, "damaged ELF file", self.file("program", program))
        self.refused(126, "no program", self.file("object.o", elf(kind=OBJECT)))

    def test_no_cut_or_scrambled_program_breaks_it(self):
        with open(sys.executable, "rb") as file:
            whole = file.read(4096)
        for length in (*range(0, 128, 7), 300, 1000, 4096):
            path = self.file("program", whole[:length])
            for options in ((), ("--stats",)):
                process = self.begin(*options, path)    # it may start, and not get far
                out, said = process.communicate(timeout=60)
                self.assertEqual(out, b"")
                self.assertNotRegex(said, rb"runtime error:|ERROR: \w+Sanitizer")
                self.assertNotEqual(process.returncode, SANITIZER_STATUS)

    def test_script_is_judged_by_its_interpreter(self):
        static = self.beside("take_memory_static")
        self.refused(125, "linked statically", self.file("script", f"#!{static}\n".encode()))
        self.refused(126, "its interpreter '/no/such': No such", self.file("lost", b"#!/no/such x"))
        self.refused(126, "its interpreter '': No such", self.file("empty", b"#!\n"))

    def test_program_with_more_rights_is_told(self):
        if os.geteuid():
            self.skipTest("only root makes one")
        if os.statvfs(self.folder).f_flag & os.ST_NOSUID:
            self.skipTest("such rights mean nothing here")
        program = shutil.copy(self.beside("take_memory"), os.path.join(self.folder, "rights"))
        os.chown(program, NOBODY, -1)
        os.chmod(program, 0o4755)
        self.refused(125, "another user", program, "1", "1", "return")
        os.chown(program, 0, NOBODY)
        os.chmod(program, 0o2755)
        self.refused(125, "another group", program, "1", "1", "return")
        # Rights that one has already are none: the loader listens.
        os.chown(program, 0, 0)
        os.chmod(program, 0o6755)
        self.run_it(program, "1", "1", "return", status=3)
        os.chmod(program, 0o755)
        try:
            os.setxattr(program, "security.capability",
                        struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
        except OSError:
            self.skipTest("no capabilities on this file system")
        self.refused(125, "capabilities", program, "1", "1", "return", user=NOBODY, group=NOBODY,
                     extra_groups=[])

    def test_library_that_is_not_there_is_told(self):
        self.refused(125, "/no/library: No such", "--library", "/no/library", "true")
        self.tool = shutil.copy(self.tool, self.folder)
        result = self.run_raw("run", "true")
        if result.status == 0:
            self.skipTest("it is installed")
        self.refused(125, f"no {self.folder}/libhpheap-malloc.so, .*no /.*; --library", "true")

    def test_library_that_is_none_is_told(self):
        for contents in (b"", b"text", elf(), elf(machine=S390), elf()[:20]):
            self.refused(125, "no library that this system", "--library",
                         self.file("library.so", contents), "true")

    def test_library_whose_name_the_loader_would_split_is_told(self):
        for name in ("a b.so", "a:b.so", "$LIB.so"):
            library = shutil.copy(self.beside("libhpheap-malloc.so"),
                                  os.path.join(self.folder, name))
            self.refused(125, "LD_PRELOAD takes no name", "--library", library, "true")

    def test_device_that_is_not_there_is_told_where_nothing_else_is_allowed(self):
        env = {"HPHEAP_DEVICE": "/no/device"}
        self.refused(125, "/no/device cannot be used", "--backend", "device", "true", env=env)
        self.refused(125, "/no/device cannot be used", "true",
                     env={**env, "HPHEAP_BACKEND": "device"})
        self.run_it("true", env=env)


class Stats(RunTest):
    def numbers(self, result):
        self.may_watch(result.err)
        said = result.err.decode()
        self.assertRegex(said, r"\Ahpheapctl: \S+ \(process \d+\) at its end, 1 heap:\n")
        found = {}
        for name, number, unit in re.findall(r"^  (\w+) +([\d.]+) (\w+)$", said, re.MULTILINE):
            found[name] = float(number) * UNITS[unit]
        found["huge"] = int(re.search(r"^  huge pages +(\d+) %$", said, re.MULTILINE)[1])
        found["backend"] = re.search(r"^  backend +(\S+)$", said, re.MULTILINE)[1]
        return found

    def take(self, *args, options=(), status=3):
        args = ("--stats", "--scavenge=off", *options, self.beside("take_memory"), *args)
        return self.numbers(self.run_it(*args, status=status))

    def check(self, found, taken, kept):
        self.assertTrue(taken <= found["peak"] <= taken + 8 * MIB, found)
        self.assertTrue(kept <= found["live"] <= kept + 2 * MIB, found)
        self.assertTrue(kept <= found["committed"] <= found["peak"], found)
        self.assertTrue(kept <= found["resident"] <= found["committed"], found)

    def test_numbers_are_those_of_the_program(self):
        for taken, kept in ((64, 64), (64, 8), (16, 0)):
            found = self.take(taken, kept, "return", options=("--backend=thp",))
            self.check(found, taken * MIB, kept * MIB)
            self.assertEqual(found["backend"], "thp")

    def test_backend_is_told(self):
        found = self.take(16, 16, "return", options=("--backend=small",))
        self.assertEqual((found["backend"], found["huge"]), ("small", 0))

    def test_end_by_another_thread_is_an_end(self):
        self.check(self.take(32, 16, "thread"), 32 * MIB, 16 * MIB)

    def test_end_by_a_signal_is_an_end(self):
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV):
            process = self.begin("--stats", "--scavenge=off", self.beside("take_memory"),
                                 "32", "16", str(int(number)))
            _, said = process.communicate(timeout=60)
            self.assertEqual(process.returncode, -number)
            self.may_watch(said)
            self.assertIn(b"at its end, 1 heap:\n", said)

    def test_program_that_another_took_the_place_of_is_the_other(self):
        result = self.run_it("--stats", "--scavenge=off", "sh", "-c",
                             f"exec {self.beside('take_memory')} 32 16 return", status=3)
        self.assertIn(b"take_memory", result.err)
        self.check(self.numbers(result), 32 * MIB, 16 * MIB)

    def test_program_without_a_heap_is_told(self):
        result = self.run_it("--stats", "sh", "-c",
                             f"exec {self.beside('take_memory_static')} 1 1 return", status=3)
        self.may_watch(result.err)
        self.assertIn(b"has no heap of hpheap", result.err)

    def test_program_that_does_not_start_has_no_numbers(self):
        program = shutil.copy(self.beside("take_memory"), os.path.join(self.folder, "busy"))
        with open(program, "r+b"):
            result = self.run_it("--stats", program, status=126)
        self.assertRegex(result.err, rb"\Ahpheapctl: .*: Text file busy\n\Z")

    def test_watcher_that_goes_leaves_the_program_running(self):
        process = self.begin("--stats", "sh", "-c", "echo ready; read line; exit 9")
        process.stdout.readline()
        with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
            watcher = int(re.search(r"^TracerPid:\s+(\d+)$", file.read(), re.MULTILINE)[1])
        if not watcher:
            self.skipTest("ptrace is not permitted here")
        os.kill(watcher, signal.SIGTERM)    # is nothing to it
        os.kill(watcher, signal.SIGKILL)
        self.assertEqual(process.communicate(b"\n", timeout=60), (b"", b""))
        self.assertEqual(process.returncode, 9)

    def test_watched_already_it_is_told_and_goes_on(self):
        # The watcher of the first is in the way of the second's.
        result = self.run_it("--stats", "env", "-u", "LD_PRELOAD", self.tool, "run", "--stats",
                             "sh", "-c", "exit 8", status=8)
        self.assertIn(b"no statistics: the program may not be watched here", result.err)


if __name__ == "__main__":
    unittest.main()
