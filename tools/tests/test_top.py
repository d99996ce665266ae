# SPDX-License-Identifier: LGPL-2.1-or-later
"""top: in a pipe, and on a terminal that is left as it was."""

import csv
import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from fakeroot import MIB
from harness import CLEAN, SANITIZER_OPTIONS, CtlTest

NOBODY = 65534


def size(number):
    """As hpheapctl writes it."""
    unit = 0
    while number >> 10 * (unit + 1):
        unit += 1
    tenths = (number >> 10 * (unit - 1) & 1023) * 10 // 1024 if unit else 0
    name = ("B", "KiB", "MiB", "GiB")[unit]
    return f"{number >> 10 * unit}" + (f".{tenths}" if tenths else "") + " " + name


class Batch(CtlTest):
    def top(self, *args, **more):
        result = self.run_raw("top", "-b", *args, **more)
        self.assertEqual(result.status, 0, result.err)
        self.assertNotIn(b"\033", result.out)
        return result.out.decode()

    def line_of(self, process, text):
        found = re.findall(rf"^ *{process.pid} .*$", text, re.MULTILINE)
        self.assertTrue(found, text)
        return [re.split(r" {2,}", line.strip()) for line in found]

    def test_shows_what_the_process_says_of_itself(self):
        process = self.start("varied")
        regions = list(csv.DictReader(io.StringIO(self.own("own.csv").decode())))
        total = {kind: sum(int(region["bytes"]) for region in regions if region["kind"] == kind)
                 for kind in ("span", "cached", "free")}
        text = self.top("-n", "2", "-d", "0.1")
        lines = self.line_of(process, text)
        self.assertEqual(len(lines), 2)
        for line in lines:
            self.assertEqual(line[0], f"{process.pid} hold_heap")
            self.assertEqual((line[1], line[3], line[4]), (
                "1", size(total["span"]), size(total["cached"] + total["free"])))
        self.assertEqual((lines[0][-1], lines[1][-1]), ("-", "0 B"))

    def test_shows_how_fast_the_scavenger_gives_back(self):
        for _ in range(5):      # it gives back once: a slow machine may look too late
            process = self.start("varied", scavenge="on")
            lines = self.line_of(process, self.top("-n", "30", "-d", "0.2"))
            if [line for line in lines if line[-1] not in ("-", "0 B")]:
                return
        self.fail(lines)

    def test_other_version_of_the_library_is_told(self):
        self.start("layout")
        self.assertRegex(self.top("-n", "1"), r"[1-9]\d* process(es)? with another version")

    def test_damaged_heaps_break_nothing(self):
        processes = [self.start("damage", seed) for seed in range(100, 112)]
        self.assertIn("hpheapctl top", self.top("-n", "2", "-d", "0.1"))
        for process in processes:
            self.stop(process)

    def test_heap_at_work_is_shown(self):
        process = self.start("churn")
        self.assertGreater(len(self.line_of(process, self.top("-n", "5", "-d", "0.1"))), 2)

    def test_what_could_not_be_seen_is_counted(self):
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        self.start("varied")
        self.assertRegex(self.top("-n", "1", **user),
                         r"[1-9]\d* process(es)? could not be looked into; root can")

    def test_pipe_gets_plain_text_without_being_told(self):
        result = self.run_raw("top", "-n", "1")
        self.assertNotIn(b"\033", result.out)

    def test_signal_ends_it_well(self):
        process = subprocess.Popen([self.tool, "top", "-b"], stdout=subprocess.PIPE,
                                   env={**CLEAN, **SANITIZER_OPTIONS})
        process.stdout.readline()
        process.terminate()
        process.stdout.read()
        process.stdout.close()
        self.assertEqual(process.wait(timeout=60), 0)

    def test_output_that_cannot_be_written_ends_it(self):
        with open("/dev/full", "wb") as full:
            self.assertEqual(self.run_raw("top", "-b", stdout=full).status, 4)


class Device(CtlTest):
    def top(self, **more):
        return self.ctl("top", "-b", "-n", "1", status=0, **more).out.decode()

    def test_shows_the_device_and_the_pool_of_each_node(self):
        for name, value in (("arenas", 2), ("reserved_bytes", 64 * MIB),
                            ("resident_bytes", 32 * MIB), ("purgeable_bytes", 6 * MIB),
                            ("pool_bytes", 12 * MIB), ("pool_hits", 77), ("pool/node10", 4 * MIB),
                            ("pool/node2", 8 * MIB), ("pool/nodes", 1), ("pool/node3", "x")):
            self.root.counter(name, value)
        text = self.top()
        self.assertIn("2 arenas: 64 MiB reserved, 32 MiB resident, 6 MiB purgeable", text)
        self.assertIn("pool    12 MiB; node 0: 0 B, node 2: 8 MiB, node 10: 4 MiB; "
                      "77 chunks came from it", text)

    def test_numbers_that_are_none_are_not_made_up(self):
        self.root.counter("pool_hits", "x")
        self.root.counter("purgeable_bytes", "x")
        text = self.top()
        self.assertIn("? purgeable", text)
        self.assertIn("; ? chunks came from it", text)

    def test_module_that_is_not_loaded_is_told(self):
        self.root.unloaded()
        self.assertIn("the module is not loaded", self.top())

    def test_module_of_before_the_pool_is_shown(self):
        self.root.older()
        self.assertNotIn("pool", self.top())

    def test_processes_that_cannot_be_read_do_no_harm(self):
        self.root.process(100)
        self.root.write("proc/100/maps", "7f0000000000-7f0000001000 r--p 00000000 00:00 0 \n"
                        "x-y r--p\n10-0 r--p 0 0:0 0\n")
        self.root.write("proc/100/mem", b"")
        self.assertIn("0 in 0 processes", self.top())

    def test_one_is_told_in_the_singular(self):
        self.root.counter("arenas", 1)
        self.show(self.start("varied"))
        self.show(self.start("layout"))
        text = self.top()
        for part in (" 1 arena: ", " 1 in 1 process: ", " 1 process with another version"):
            self.assertIn(part, text)

    def test_none_and_many_are_told_in_the_plural(self):
        for text in ("0 arenas: ", "0 in 0 processes: "):
            self.assertIn(text, self.top())
        self.root.counter("arenas", 2)
        for what in ("varied", "varied", "layout", "layout"):
            self.show(self.start(what))
        text = self.top()
        for part in (" 2 arenas: ", " 2 in 2 processes: ", " 2 processes with another version"):
            self.assertIn(part, text)

    def test_processes_that_are_hidden_are_counted(self):
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        for pid, text in ((100, "1 process could not"), (101, "2 processes could not")):
            self.root.process(pid)
            self.root.write(f"proc/{pid}/mem", b"")
            os.chmod(self.root.name(f"proc/{pid}/mem"), 0)
            self.assertIn(text, self.top(**user))

    def test_proc_that_is_not_there_is_an_error(self):
        self.root.remove("proc")
        self.assertIn(b"cannot read /proc", self.ctl("top", "-b", status=1).err)


class Terminal(CtlTest):
    def setUp(self):
        super().setUp()
        self.master, self.slave = pty.openpty()
        self.addCleanup(os.close, self.master)
        self.addCleanup(os.close, self.slave)
        self.resize(12, 70)
        self.before = termios.tcgetattr(self.slave)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def begin(self, *args):
        def own_terminal():
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            # Whoever runs the tests in the background has it ignored, and top heeds that.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        self.process = subprocess.Popen([self.tool, "top", "--root", self.root.path, *args],
                                        stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                        preexec_fn=own_terminal, pass_fds=(self.slave,),
                                        env={**CLEAN, **SANITIZER_OPTIONS})
        self.addCleanup(self.end)
        return self.drawn()

    def end(self):
        self.process.kill()
        self.process.wait()

    def drawn(self, until=b"\033[J"):
        """What comes until a page is whole."""
        text = b""
        deadline = time.monotonic() + 60
        while until not in text:
            ready, _, _ = select.select([self.master], [], [], 60)
            self.assertTrue(ready and time.monotonic() < deadline, text)
            text += os.read(self.master, 65536)
        return text.decode()

    def left_as_it_was(self, rest):
        self.assertEqual(self.process.wait(timeout=60), 0)
        self.assertTrue(rest.endswith("\033[?25h\033[?1049l"), rest)
        self.assertEqual(termios.tcgetattr(self.slave), self.before)

    def test_key_ends_it_and_leaves_the_terminal_as_it_was(self):
        page = self.begin()
        self.assertTrue(page.startswith("\033[?1049h\033[?25l\033[H"), page)
        self.assertIn("q ends it", page)
        self.assertNotEqual(termios.tcgetattr(self.slave), self.before)
        os.write(self.master, b"xq")
        self.left_as_it_was(self.drawn("\033[?1049l".encode()))

    def test_interrupt_ends_it_and_leaves_the_terminal_as_it_was(self):
        self.begin()
        os.write(self.master, b"\x03")
        self.left_as_it_was(self.drawn("\033[?1049l".encode()))

    def test_count_ends_it_and_leaves_the_terminal_as_it_was(self):
        self.begin("-n", "2", "-d", "0.1")
        self.left_as_it_was(self.drawn("\033[?1049l".encode()))

    def lines(self, page):
        return re.sub(r"\033\[[?0-9;]*[a-zA-Z]", "", page).split("\r\n")

    def test_page_fits_the_screen_also_when_that_changes(self):
        for _ in range(4):
            self.show(self.start("empty"))
        lines = self.lines(self.begin("-d", "1000"))
        self.assertEqual(len(lines), 12 if len(lines) > 11 else len(lines))
        self.assertLessEqual(max(map(len, lines)), 70)
        self.resize(7, 33)
        lines = self.lines(self.drawn())
        self.assertEqual(len(lines), 7)
        self.assertLessEqual(max(map(len, lines)), 33)
        self.assertRegex(lines[-1], r"^and \d+ more$")
        self.resize(1, 1)
        self.assertEqual(self.lines(self.drawn()), ["h"])

    def test_stopped_it_gives_the_terminal_back_for_a_while(self):
        self.begin("-d", "1000")
        os.write(self.master, b"\x1a")
        self.drawn("\033[?1049l".encode())
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status))
        self.assertEqual(termios.tcgetattr(self.slave), self.before)
        self.process.send_signal(signal.SIGCONT)
        self.assertIn("hpheapctl top", self.drawn())
        os.write(self.master, b"q")
        self.left_as_it_was(self.drawn("\033[?1049l".encode()))
