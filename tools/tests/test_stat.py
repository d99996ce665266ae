# SPDX-License-Identifier: LGPL-2.1-or-later
"""stat: every arena once, with who holds it, whatever the processes do."""

import os
import unittest

from fakeroot import FDINFO, MIB, NEWER_COUNTERS
from harness import CtlTest

NOBODY = 65534


class StatTest(CtlTest):
    def stat(self, *args, **more):
        """As JSON; the text must come out as well."""
        self.ctl("stat", *args, status=0, **more)
        return self.ctl("stat", "--json", *args, status=0, **more).json()


class Stat(StatTest):
    def test_without_the_module_there_is_nothing(self):
        self.root.unloaded()
        report = self.stat()
        self.assertEqual(report["arenas"], [])
        self.assertIsNone(report["counters"]["arenas"])
        self.assertIn(b"not loaded", self.ctl("stat").out)

    def test_shows_all_that_the_kernel_tells_of_an_arena(self):
        self.root.process(100)
        self.root.arena(100, 5, 4711)
        self.root.counter("arenas", 1)
        report = self.stat()
        arena = report["arenas"][0]
        holder = arena.pop("holders")[0]
        self.assertEqual(arena, {
            "id": 4711, "bytes": 8 * MIB, "chunk_bytes": 2 * MIB, "resident_bytes": 4 * MIB,
            "purgeable_bytes": 2 * MIB, "policy": "bind", "nodes": "0-1",
            "flags": ["fork-share", "strict-node"],
            "node_bytes": [{"node": 0, "bytes": 2 * MIB}, {"node": 1, "bytes": 2 * MIB}]})
        self.assertEqual(holder, {
            "pid": 100, "uid": os.geteuid(), "command": "service", "descriptors": 1,
            "mapped_bytes": 0})
        self.assertEqual(report["counters"]["chunks_allocated"], 7)
        self.assertEqual(report["hidden_arenas"], 0)
        text = self.ctl("stat").out.decode()
        for part in ("4711", "8 MiB", "4 MiB", "bind", "0-1", "fork-share,strict-node",
                     "node 1: 2 MiB", "process 100 (service)", "1 descriptor,"):
            self.assertIn(part, text)

    def test_shared_arena_is_shown_once_with_all_holders(self):
        for pid in (100, 200, 300):
            self.root.process(pid)
            self.root.arena(pid, 5, 7)
        self.root.arena(200, 6, 7)
        self.root.mapping(300, 0x10000000, 4 * MIB, 7)
        self.root.mapping(300, 0x20000000, 2 * MIB, 7)
        arenas = self.stat()["arenas"]
        self.assertEqual(len(arenas), 1)
        self.assertEqual(len(arenas[0]["node_bytes"]), 2)
        held = {holder["pid"]: holder for holder in arenas[0]["holders"]}
        self.assertEqual([held[pid]["descriptors"] for pid in (100, 200, 300)], [1, 2, 1])
        self.assertEqual(held[300]["mapped_bytes"], 6 * MIB)

    def test_mapped_arena_without_descriptor_is_shown(self):
        self.root.process(100)
        self.root.mapping(100, 0x7f0000000000, 4 * MIB, 9)
        arena = self.stat()["arenas"][0]
        self.assertEqual((arena["id"], arena["bytes"], arena["policy"]), (9, None, None))
        self.assertEqual(arena["holders"][0]["mapped_bytes"], 4 * MIB)

    def test_descriptor_elsewhere_completes_a_mapped_arena(self):
        self.root.process(100)
        self.root.process(101)
        self.root.mapping(100, 0x7f0000000000, 4 * MIB, 9)
        self.root.arena(101, 3, 9)
        arenas = self.stat()["arenas"]
        self.assertEqual([(arena["id"], arena["bytes"]) for arena in arenas], [(9, 8 * MIB)])

    def test_arenas_come_sorted_and_counted(self):
        self.root.process(100)
        for fd, arena in enumerate((30, 4, 1000, 7)):
            self.root.arena(100, fd, arena)
        self.root.counter("arenas", 6)
        report = self.stat()
        self.assertEqual([arena["id"] for arena in report["arenas"]], [4, 7, 30, 1000])
        self.assertEqual(report["hidden_arenas"], 2)
        self.assertIn(b"2 arenas are not shown", self.ctl("stat").out)

    def test_shows_all_counters_of_the_module(self):
        counters = {"purgeable_bytes": 6 * MIB, "chunks_marked": 9, "chunks_reused": 5,
                    "chunks_taken": 2, "pool_bytes": 12 * MIB, "pool_hits": 77}
        for name, value in (*counters.items(), ("pool/node0", 8 * MIB), ("pool/node10", 4 * MIB)):
            self.root.counter(name, value)
        report = self.stat()
        self.assertEqual(report["counters"], {
            **{name: 0 for name in ("arenas", "reserved_bytes", "resident_bytes",
                                    "quarantined_bytes", "alloc_failures")},
            "chunks_allocated": 7, "chunks_released": 5, "faults": 3, **counters})
        self.assertEqual(report["pool_node_bytes"], [{"node": 0, "bytes": 8 * MIB},
                                                     {"node": 10, "bytes": 4 * MIB}])
        text = self.ctl("stat").out.decode()
        for part in (" 0 B resident, 6 MiB purgeable.\n",
                     "Chunks made purgeable: 9; used again: 5; taken by the kernel: 2.",
                     "holds 12 MiB (node 0: 8 MiB, node 10: 4 MiB); 77 chunks came from it."):
            self.assertIn(part, text)

    def test_module_of_before_the_pool_is_shown(self):
        self.root.older()
        self.root.process(100)
        self.root.descriptor(100, 3, fdinfo="hpheap_id:\t5\nhpheap_size:\t4194304\n")
        report = self.stat()
        self.assertIsNone(report["arenas"][0]["purgeable_bytes"])
        self.assertEqual([report["counters"][name] for name in NEWER_COUNTERS], [None] * 6)
        self.assertEqual(report["pool_node_bytes"], [])
        text = self.ctl("stat").out.decode()
        self.assertIn("0 B resident.\nSince it was loaded: 7 chunks allocated", text)
        self.assertNotIn("pool", text)
        self.assertNotIn("made purgeable", text)

    def test_one_is_told_in_the_singular(self):
        for name in ("arenas", "chunks_allocated", "alloc_failures", "faults", "pool_hits"):
            self.root.counter(name, 1)
        text = self.ctl("stat", status=0).out
        self.assertIn(b"has 1 arena: ", text)
        self.assertIn(b" 1 chunk allocated, 5 released, 1 allocation failure, 1 fault.", text)
        self.assertIn(b" 1 chunk came from it.", text)

    def test_one_process_alone_can_be_asked_for(self):
        for pid in (100, 200):
            self.root.process(pid)
            self.root.arena(pid, 3, pid)
        report = self.stat("--pid", "200")
        self.assertEqual([arena["id"] for arena in report["arenas"]], [200])
        self.assertIsNone(report["hidden_arenas"])

    def test_process_that_is_not_there_is_an_error(self):
        result = self.ctl("stat", "--pid", "999", status=1)
        self.assertIn(b"No such process", result.err)

    def test_who_has_the_device_open_is_told(self):
        self.root.process(100)
        self.root.descriptor(100, 3, "/dev/hpheap", "pos: 0\n")
        holder = self.stat()["device_holders"][0]
        self.assertEqual((holder["pid"], holder["descriptors"]), (100, 1))

    def test_thousands_of_arenas_take_no_time(self):
        for pid in range(1000, 1020):
            self.root.process(pid)
            for arena in range(150):
                self.root.arena(pid, arena, arena if pid % 2 else pid * 1000 + arena)
        start = os.times()
        self.assertEqual(len(self.stat()["arenas"]), 150 + 10 * 150)
        spent = os.times()
        self.assertLess(spent.children_user - start.children_user, 5)


class Hostile(StatTest):
    def one(self, fdinfo):
        self.root.process(100)
        self.root.descriptor(100, 3, fdinfo=fdinfo)
        return self.stat()["arenas"]

    def test_numbers_too_large_are_not_known(self):
        arena = self.one("hpheap_id:\t5\nhpheap_size:\t99999999999999999999999\n"
                         "hpheap_chunk:\t-1\nhpheap_resident:\t12x\nhpheap_policy:\tlocal\n")[0]
        self.assertEqual([arena[key] for key in ("bytes", "chunk_bytes", "resident_bytes")],
                         [None] * 3)

    def test_largest_numbers_come_out_as_they_are(self):
        big = (1 << 64) - 2
        arena = self.one(f"hpheap_id:\t{big}\nhpheap_size:\t{big}\n")[0]
        self.assertEqual((arena["id"], arena["bytes"]), (big, big))

    def test_file_without_an_id_is_no_arena(self):
        self.assertEqual(self.one("hpheap_size:\t5\n"), [])

    def test_empty_fdinfo_is_no_arena(self):
        self.assertEqual(self.one(""), [])

    def test_fdinfo_of_noise_is_no_arena(self):
        self.assertEqual(self.one(os.urandom(4096)), [])

    def test_fdinfo_cut_short_shows_what_is_there(self):
        arena = self.one("hpheap_id:\t5\nhpheap_size:\t4096\nhpheap_chu")[0]
        self.assertEqual((arena["bytes"], arena["chunk_bytes"]), (4096, None))

    def test_endless_line_is_taken(self):
        arena = self.one("hpheap_id:\t5\nhpheap_nodes:\t" + "0," * 100000 + "1\n")[0]
        self.assertEqual(len(arena["nodes"]), 200001)

    def test_repeated_lines_do_no_harm(self):
        self.assertEqual(len(self.one(FDINFO.format(id=5, size=1) * 50)), 1)

    def test_descriptor_that_vanished_is_passed_over(self):
        self.assertEqual(self.one(None), [])

    def test_process_that_vanished_is_passed_over(self):
        self.root.process(100)
        self.root.remove("proc/100/fd")
        self.root.process(101)
        self.root.remove("proc/101/maps")
        self.root.process(102)
        self.root.arena(102, 1, 2)
        self.assertEqual(len(self.stat()["arenas"]), 1)

    def command(self, name):
        self.root.process(100, name)
        self.root.arena(100, 3, 5)
        text = self.ctl("stat", status=0).out
        self.assertNotIn(b"\x1b", text)
        return self.stat()["arenas"][0]["holders"][0]["command"]

    def test_process_name_with_quotes_and_newlines_is_valid_json(self):
        self.assertEqual(self.command('a"b\\c\nd\te\x1b[31m'), 'a"b\\c\nd\te\x1b[31m')

    def test_process_name_that_is_no_utf8_is_valid_json(self):
        self.assertEqual(self.command(b"caf\xe9 \xed\xa0\x80\xf5\xff\xc3\n"),
                         "caf\ufffd " + "\ufffd" * 6)

    def test_process_name_in_utf8_stays_as_it_is(self):
        self.assertEqual(self.command("größe→𝄞"), "größe→𝄞")

    def test_newline_in_a_process_name_does_not_break_the_table(self):
        self.root.process(100, "a\n 4711   1 EiB")
        self.root.arena(100, 3, 5)
        self.assertIn(b"process 100 (a? 4711   1 EiB)", self.ctl("stat", status=0).out)

    def test_mapping_of_a_file_that_calls_itself_an_arena_is_none(self):
        self.root.process(100)
        self.root.mapping(100, 0x10000000, 4096, 9, device="08:01")
        self.root.mapping(100, 0x20000000, 4096, 10, device="00:2a")
        self.root.write("proc/100/map_files/20000000-20001000", "a file on another file system")
        self.assertEqual(self.stat()["arenas"], [])

    def test_broken_maps_do_no_harm(self):
        self.root.process(100)
        self.root.write("proc/100/maps", "/hpheap-arena\nx-y z /hpheap-arena\n"
                        "20-10 rw-s 0 00:01 5 /hpheap-arena\n"
                        "ffffffffffffffffffffff-0 rw-s 0 00:01 5 /hpheap-arena\n\0\0\n")
        self.assertEqual(self.stat()["arenas"], [])

    def test_counters_that_are_no_numbers_are_not_known(self):
        for name in ("faults", "chunks_taken", "pool_hits", "pool/node0"):
            self.root.counter(name, "many")
        report = self.stat()
        self.assertEqual([report["counters"][name]
                          for name in ("faults", "chunks_taken", "pool_hits")], [None] * 3)
        self.assertEqual(report["pool_node_bytes"], [])
        text = self.ctl("stat").out
        for part in (b" ? faults.", b"taken by the kernel: ?.", b"holds 0 B; ? chunks came"):
            self.assertIn(part, text)
        self.root.counter("arenas", -1)
        self.assertIsNone(self.stat()["counters"]["arenas"])


class Unprivileged(StatTest):
    """A process of another user: its folders cannot be read."""

    def setUp(self):
        super().setUp()
        self.root.counter("arenas", 2)
        for pid in (100, 200):
            self.root.process(pid)
            self.root.arena(pid, 3, pid)
        for name in ("fd", "fdinfo", "maps"):
            os.chmod(self.root.name(f"proc/200/{name}"), 0)
        self.addCleanup(os.chmod, self.root.name("proc/200/fd"), 0o700)
        self.addCleanup(os.chmod, self.root.name("proc/200/fdinfo"), 0o700)
        self.user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} \
            if os.geteuid() == 0 else {}

    def test_shows_what_may_be_seen_and_counts_the_rest(self):
        report = self.stat(**self.user)
        self.assertEqual([arena["id"] for arena in report["arenas"]], [100])
        self.assertEqual((report["hidden_processes"], report["hidden_arenas"]), (1, 1))
        text = self.ctl("stat", **self.user).out
        self.assertIn(b"1 arena is not shown", text)
        self.assertIn(b"1 process could not be looked into; root can.", text)

    def test_process_of_another_user_asked_for_is_an_error(self):
        result = self.ctl("stat", "--pid", "200", status=1, **self.user)
        self.assertIn(b"Permission denied", result.err)


class Live(CtlTest):
    """The system that the tests run on."""

    @unittest.skipUnless(os.path.isdir("/proc/self/fdinfo"), "this system has no /proc")
    def test_looks_at_the_running_system(self):
        report = self.run_raw("stat", "--json").json()
        self.assertGreater(report["processes"], 0)
