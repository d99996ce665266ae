# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line, info, load, unload, and all commands on damaged systems."""

import errno
import os
import random

from fakeroot import MIB
from harness import CtlTest

COMMANDS = ("info", "doctor", "load", "unload", "stat", "map", "top", "run")


class CommandLine(CtlTest):
    def refused(self, *args):
        result = self.run_raw(*args)
        self.assertEqual(result.status, 2)
        self.assertEqual(result.out, b"")
        self.assertTrue(result.err.startswith(b"hpheapctl: ") or
                        result.err.startswith(self.tool.encode()), result.err)
        self.assertIn(b"--help", result.err)

    def test_help_names_every_command(self):
        out = self.run_raw("--help").out.decode()
        for command in COMMANDS:
            self.assertIn(f"\n  {command} ", out)

    def test_every_command_has_help_with_its_exit_status(self):
        for command in COMMANDS:
            result = self.run_raw(command, "--help")
            self.assertEqual(result.status, 0)
            self.assertIn(b"Exit status:", result.out)

    def test_version_is_printed(self):
        result = self.run_raw("--version")
        self.assertRegex(result.out, rb"^hpheapctl \d+\.\d+\.\d+\n$")

    def test_wrong_usage_is_refused(self):
        for args in ((), ("fly",), ("--fly",), ("--json", "info"), ("info", "--fly"),
                     ("info", "more"), ("info", "--pid", "1"), ("doctor", "--pid", "1"),
                     ("load", "--json"), ("stat", "--size", "1"), ("unload", "it"),
                     ("info", "--root"), ("",), ("map",), ("map", "1", "2"),
                     ("map", "--self", "1"), ("map", "--json", "1"), ("map", "-o"),
                     ("map", "1", "-o", "picture"), ("map", "1", "-o", "a.svg.gz"),
                     ("map", "--self", "-o", "a.jpg"), ("top", "1"), ("top", "-o", "a.svg"),
                     ("stat", "--self"), ("info", "-b")):
            with self.subTest(args=args):
                self.refused(*args)

    def test_sizes_that_are_none_are_refused(self):
        for size in ("", "0", "-1", "1X", "1MM", "M", " 1", "0x10", "1e9", "99999999999999999999",
                     "17179869184G", "2E", "1.5G"):
            with self.subTest(size=size):
                self.refused("doctor", "--size", size)

    def test_sizes_with_a_unit_are_taken(self):
        for size, wanted in (("4096", 4096), ("3k", 3 << 10), ("2M", 2 << 20), ("1G", 1 << 30)):
            report = self.ctl("doctor", "--json", "--size", size).json()
            self.assertEqual(report["size_bytes"], wanted)

    def test_process_numbers_that_are_none_are_refused(self):
        for pid in ("", "0", "-1", "1K", "self", "2147483648", "99999999999999999999"):
            with self.subTest(pid=pid):
                self.refused("stat", "--pid", pid)
                self.refused("map", pid)

    def test_delays_and_counts_that_are_none_are_refused(self):
        for delay in ("", "0", "-1", "0.09", ".5", "1s", "1.2345", "86401", "1e3", "nan"):
            with self.subTest(delay=delay):
                self.refused("top", "--delay", delay)
        for count in ("", "0", "-1", "1K", "x", "99999999999999999999"):
            with self.subTest(count=count):
                self.refused("top", "--count", count)

    def test_output_that_cannot_be_written_is_an_error(self):
        for command in ("info", "doctor", "stat"):
            with open("/dev/full", "wb") as full:
                result = self.ctl(command, "--json", stdout=full, status=4)
            self.assertIn(b"cannot write", result.err)

    def test_closed_output_is_an_error(self):
        self.ctl("info", status=4, stdout=None, preexec_fn=lambda: os.close(1))

    def test_reader_that_goes_away_ends_it(self):
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "wb") as file:
            self.ctl("info", "--json", stdout=file, status=4, restore_signals=False)


class Info(CtlTest):
    def info(self):
        self.ctl("info", status=0)
        return self.ctl("info", "--json", status=0).json()

    def test_shows_module_device_limits_and_memory(self):
        info = self.info()
        self.assertEqual(info["module"]["state"], "loaded")
        self.assertEqual(info["module"]["version"], "0.1.0")
        self.assertEqual(info["module"]["signer"], "Test Key")
        self.assertTrue(info["device"]["usable"])
        self.assertEqual(info["device"]["chunk_sizes"], [2 * MIB, 4 * MIB])
        self.assertEqual(info["limits"]["max_bytes"], 0)
        self.assertEqual(info["thp"]["enabled"], "madvise")
        self.assertEqual(info["hugetlb"], {"bytes": 16 * MIB, "free_bytes": 6 * MIB})
        node = info["nodes"][0]
        self.assertEqual((node["memory_bytes"], node["free_bytes"], node["cpus"]),
                         (4096 * MIB, 2048 * MIB, "0-3"))
        text = self.ctl("info").out.decode()
        for part in ("loaded, version 0.1.0, signed by Test Key", "2 MiB (default) (one PMD)",
                     "4 GiB", "all memory (max_bytes)"):
            self.assertIn(part, text)

    def test_cut_lines_of_free_memory_are_passed_over(self):
        self.root.write("proc/buddyinfo", "Node 0, zone\nNode 0, zone   \nNode 0, zone A\nNode\n")
        self.assertEqual(self.info()["nodes"][0]["free_huge_bytes"], 0)

    def test_nodes_with_holes_are_sorted(self):
        for node in (7, 3):
            self.root.write(f"sys/devices/system/node/node{node}/meminfo",
                            f"Node {node} MemTotal: 1024 kB\n")
        self.assertEqual([node["id"] for node in self.info()["nodes"]], [0, 3, 7])

    def test_empty_system_has_nothing_to_show_and_says_so(self):
        self.root.remove("")
        os.makedirs(self.root.path)
        info = self.info()
        self.assertEqual(info["module"]["state"], "not installed")
        self.assertFalse(info["device"]["exists"])


class Load(CtlTest):
    def load(self, *args, **fake):
        log = os.path.join(self.folder, "log")
        self.root.fake(log=log, **fake)
        result = self.ctl("load", *args)
        if not os.path.exists(log):
            return result, None
        with open(log, encoding="utf-8") as file:
            return result, file.read().strip()

    def setUp(self):
        super().setUp()
        self.root.unloaded()

    def test_loads_the_module_with_its_parameters(self):
        result, told = self.load("max_bytes=1048576")
        self.assertEqual((result.status, told), (0, "max_bytes=1048576"))

    def test_parameters_of_the_configuration_count(self):
        self.root.write("etc/modprobe.d/hpheap.conf", "options hpheap max_bytes=7\n")
        result, told = self.load()
        self.assertEqual((result.status, told), (0, "max_bytes=7"))

    def test_parameter_that_the_module_does_not_have_is_refused(self):
        result, told = self.load("most_bytes=1")
        self.assertEqual((result.status, told), (2, None))
        self.assertIn(b"no parameter 'most_bytes'", result.err)

    def test_argument_that_is_no_parameter_is_refused(self):
        for argument in ("max_bytes", "=1", "max_bytes=1 other=2", "max_bytes=\"", ""):
            result, told = self.load(argument)
            self.assertEqual((result.status, told), (2, None))

    def test_loaded_module_stays_as_it_is(self):
        self.root.loaded()
        self.assertEqual(self.load()[0].status, 0)
        result, told = self.load("max_bytes=1")
        self.assertEqual((result.status, told), (1, None))
        self.assertIn(b"loaded already", result.err)

    def test_module_that_is_not_installed_is_an_error(self):
        self.root.uninstall_module()
        result, told = self.load()
        self.assertEqual((result.status, told), (1, None))
        self.assertIn(b"not installed", result.err)

    def test_each_refusal_of_the_kernel_has_its_reason(self):
        for code, why in ((errno.EPERM, b"root"), (errno.EKEYREJECTED, b"signature"),
                          (errno.ENOEXEC, b"another kernel"), (errno.EINVAL, b"value"),
                          (errno.ENOENT, b"needs something"), (errno.EOPNOTSUPP, b"2 MiB"),
                          (errno.ENOMEM, b"memory")):
            result, told = self.load(load=code, user="alice")
            self.assertEqual((result.status, told), (1, ""))
            self.assertIn(why, result.err)
            self.assertIn(b"hpheapctl doctor", result.err)

    def test_module_loaded_by_somebody_else_meanwhile_is_fine(self):
        self.assertEqual(self.load(load=errno.EEXIST)[0].status, 0)


class Unload(CtlTest):
    def unload(self, status, **fake):
        self.root.fake(**fake)
        return self.ctl("unload", status=status)

    def test_unloads_the_module(self):
        self.assertIn(b"unloaded", self.unload(0).out)

    def test_module_that_is_not_loaded_is_fine(self):
        self.root.unloaded()
        self.assertIn(b"not loaded", self.unload(0).out)

    def test_module_in_use_stays_and_its_holders_are_named(self):
        self.root.process(100, "data\x1bbase")
        self.root.arena(100, 3, 5)
        self.root.process(200, "other")
        self.root.descriptor(200, 3, "/dev/hpheap")
        said = self.unload(1, unload=errno.EAGAIN).err
        self.assertIn(b"in use", said)
        self.assertIn(b"process 100 (data?base) holds arena 5\n", said)
        self.assertIn(b"process 200 (other) holds the device\n", said)

    def test_only_root_unloads(self):
        self.assertIn(b"only root", self.unload(1, unload=errno.EPERM).err)

    def test_module_built_into_the_kernel_stays(self):
        self.root.uninstall_module()
        self.root.remove("sys/module/hpheap/initstate")
        self.assertIn(b"part of this kernel", self.unload(1).err)


class Damage(CtlTest):
    """Every file of the tree may be cut, scrambled or gone: what is said is still valid."""

    def files(self):
        """All but the index of depmod: libkmod 30 itself crashes on a damaged one."""
        return [os.path.join(folder, name) for folder, _, names in os.walk(self.root.path)
                for name in names if not name.endswith(".bin") and
                not os.path.islink(os.path.join(folder, name))]

    def scramble(self, chance, name):
        with open(name, "rb") as file:
            data = bytearray(file.read())
        kind = chance.randrange(4)
        if kind == 0:
            os.remove(name)
            return
        if kind == 1:
            data = data[:chance.randrange(len(data) + 1)]
        elif kind == 2:
            data = bytearray(chance.randbytes(chance.randrange(600)))
        else:
            for _ in range(1 + len(data) // 8):
                data.insert(chance.randrange(len(data) + 1),
                            chance.choice(b"0123456789\xff\n\"\\[]: -/%\0"))
        with open(name, "wb") as file:
            file.write(data)

    def test_damaged_files_never_break_the_output(self):
        chance = random.Random(2026)
        for round_number in range(40):
            self.root.remove("")
            self.root.fill()
            self.root.process(100)
            self.root.arena(100, 3, 5)
            self.root.mapping(100, 0x10000000, MIB, 5)
            names = sorted(self.files())
            for name in chance.sample(names, chance.randrange(1, 8)):
                self.scramble(chance, name)
            for command, good in (("info", (0,)), ("doctor", (0, 1, 3)), ("stat", (0,))):
                result = self.ctl(command, "--json")
                if result.status == 4 and command != "stat":
                    continue    # the index of modules cannot be read
                self.assertIn(result.status, good, (round_number, command, result.err))
                self.assertIsInstance(result.json(), dict)
