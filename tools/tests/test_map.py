# SPDX-License-Identifier: LGPL-2.1-or-later
"""map: what is drawn from outside is what the process itself says."""

import csv
import io
import os
import resource
import signal
import struct
import subprocess
import xml.dom.minidom
import zlib

from harness import CLEAN, SANITIZER_OPTIONS, CtlTest

NOBODY = 65534
UNIT = 2 << 20
PAGE = 8192
COLUMNS = 64


def png_lines(data):
    """Checks all of a PNG file; its lines, a byte for each dot."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = [], 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == \
            zlib.crc32(kind + body)
        chunks.append((kind, body))
        at += 12 + length
    assert at == len(data)
    kinds = [kind for kind, _ in chunks]
    assert kinds[:2] == [b"IHDR", b"PLTE"] and kinds[-1] == b"IEND"
    assert set(kinds[2:-1]) == {b"IDAT"}
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    assert rest == [8, 3, 0, 0, 0]
    dots = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    assert len(dots) == (width + 1) * height
    lines = [dots[i:i + width + 1] for i in range(0, len(dots), width + 1)]
    assert all(line[0] == 0 and max(line) < len(chunks[1][1]) // 3 for line in lines)
    return [line[1:] for line in lines]


def letter(kinds):
    """Of a unit: how many pages are of each kind."""
    live, kept = kinds.get("span", 0), kinds.get("cached", 0)
    memory = live + kept + kinds.get("free", 0)
    if not memory:
        return "."
    if not live + kept:
        return "_" if memory == 256 else "x"
    if live == 256:
        return "#"
    return ("0123456789" if memory == 256 else "abcdefghij")[live * 10 // 256]


def letters(text):
    """{unit: letter} of a map for programs."""
    units = {}
    for line in csv.DictReader(io.StringIO(text.decode())):
        first = int(line["address"], 16)
        for page in range(first, first + int(line["bytes"]), PAGE):
            kinds = units.setdefault(page // UNIT, {})
            kinds[line["kind"]] = kinds.get(line["kind"], 0) + 1
    return {unit: letter(kinds) for unit, kinds in units.items()}


def drawn(text):
    """{unit: letter} of a map for terminals, which has one heap."""
    units = {}
    for line in text.decode().splitlines()[4:]:
        address, cells = line.split(maxsplit=1)
        words = cells.split()
        if words[0] == "...":
            cells = "." * int(words[1])
        for i, cell in enumerate(cells):
            units[int(address, 16) // UNIT + i] = cell
    return units


class Map(CtlTest):
    def map(self, process, *args, status=0, **more):
        pid = process if isinstance(process, (int, str)) else process.pid
        result = self.run_raw("map", pid, *args, **more)
        self.assertEqual(result.status, status, result.err)
        return result

    def path(self, name):
        return os.path.join(self.folder, name)

    def test_text_shows_each_unit_as_the_process_sees_it(self):
        process = self.start("varied")
        wanted = letters(self.own("own.csv"))
        self.assertEqual(drawn(self.map(process).out), wanted)
        for kind in "#_x.":
            self.assertIn(kind, wanted.values())
        self.assertTrue(set("0123456789") & set(wanted.values()))
        self.assertTrue(set("abcdefghij") & set(wanted.values()))

    def test_pictures_are_those_that_the_process_draws_itself(self):
        process = self.start("varied")
        for name in ("own.svg", "own.png"):
            result = self.map(process, "-o", self.path("tool" + name))
            self.assertEqual((result.out, result.err), (b"", b""))
            self.assertEqual(self.own("tool" + name), self.own(name))

    def test_picture_as_svg_is_well_formed_and_names_the_process(self):
        process = self.start("varied")
        self.map(process, "--output", self.path("a.svg"))
        document = xml.dom.minidom.parse(self.path("a.svg"))
        self.assertEqual(document.documentElement.tagName, "svg")
        self.assertIn(f"hold_heap (process {process.pid}): 1 heap, ".encode(), self.own("a.svg"))

    def test_picture_as_png_is_whole_and_has_all_colours(self):
        self.map(self.start("varied"), "-o", self.path("a.png"))
        lines = png_lines(self.own("a.png"))
        # Below the legend: live, kept and free in whole units, live in thin ones, free units.
        cells = set().union(*lines[len(lines) * 2 // 3:])
        self.assertLessEqual({0, 3, 4, 6, 7, 10}, cells)

    def test_picture_as_text_file_is_what_is_printed(self):
        process = self.start("varied")
        self.map(process, "-o", self.path("a.txt"))
        self.assertEqual(self.own("a.txt"), self.map(process).out)

    def test_child_of_fork_is_drawn_with_its_own_heaps(self):
        process = self.start("two")
        child = int(process.words[0])
        parents = self.map(process).out.decode()
        childs = self.map(child).out.decode()
        for text in (parents, childs):
            heaps = [line for line in text.splitlines() if line.startswith("heap ")]
            self.assertEqual([heap.split()[1] for heap in heaps], ["1", "2"])
            self.assertIn(" 0 huge units", heaps[1])
        self.assertNotEqual(parents.split("\n", 1)[1], childs.split("\n", 1)[1])

    def test_heap_without_memory_has_a_picture(self):
        process = self.start("empty")
        self.assertIn(b": 0 huge units, 0 B;", self.map(process).out)
        self.map(process, "-o", self.path("a.svg"))
        self.assertEqual(self.own("a.svg"), self.own("own.svg"))

    def test_process_without_heaps_is_an_error(self):
        process = self.start("none")
        self.assertIn(b"has no heap", self.map(process, status=1).err)

    def test_copy_of_what_was_published_is_not_believed(self):
        self.assertIn(b"has no heap", self.map(self.start("copy"), status=1).err)

    def test_library_of_another_layout_is_named_with_both_versions(self):
        said = self.map(self.start("layout"), status=1).err.decode()
        self.assertRegex(said, r"has hpheap 9\.8\.7 \(layout [0-9a-f]{16}\), this is hpheapctl "
                         r"\d+\.\d+\.\d+ \(layout [0-9a-f]{16}\)")

    def test_process_of_another_word_size_is_named(self):
        said = self.map(self.start("word"), status=1).err
        self.assertRegex(said, rb"is a (32|64)-bit process")

    def test_process_that_is_not_there_is_an_error(self):
        self.assertIn(b"there is none", self.map(2147483647, status=1).err)

    def test_process_that_has_ended_is_an_error(self):
        process = self.start("varied")
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        self.map(process, status=1)
        process.wait()
        self.assertIn(b"there is none", self.map(process, status=1).err)

    def test_process_of_another_user_is_an_error(self):
        process, user = self.start("varied"), {}
        if os.geteuid() == 0:
            user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        result = self.map(process if user else 1, "-o", "/tmp/never.svg", status=1, **user)
        self.assertIn(b"no right to read its memory", result.err)
        self.assertFalse(os.path.exists("/tmp/never.svg"))

    def test_process_that_dies_meanwhile_does_no_harm(self):
        for _ in range(8):
            process = self.start("churn")
            tools = [subprocess.Popen([self.tool, "map", str(process.pid)],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      env={**CLEAN, **SANITIZER_OPTIONS})
                     for _ in range(3)]
            process.kill()
            self.assertLessEqual({tool.wait(timeout=60) for tool in tools}, {0, 1})

    def test_heap_at_work_is_drawn(self):
        process, good = self.start("churn"), 0
        for _ in range(20):
            result = self.run_raw("map", process.pid, "-o", self.path("a.svg"))
            self.assertIn(result.status, (0, 1))
            if result.status == 0:
                good += 1
                xml.dom.minidom.parse(self.path("a.svg"))
        self.assertGreater(good, 10)

    def test_damaged_heaps_break_nothing(self):
        statuses = set()
        for seed in range(24):
            process = self.start("damage", seed)
            for name in ("a.svg", "a.png", "a.txt"):
                result = self.run_raw("map", process.pid, "-o", self.path(name))
                self.assertIn(result.status, (0, 1), (seed, result.err))
                statuses.add(result.status)
                if result.status == 0 and name == "a.svg":
                    xml.dom.minidom.parse(self.path(name))
            self.stop(process)
        self.assertEqual(statuses, {0, 1})

    def test_own_heap_shows_what_a_picture_looks_like(self):
        result = self.run_raw("map", "--self", "-o", self.path("a.svg"))
        self.assertEqual(result.status, 0, result.err)
        self.assertIn(b"2 huge units", self.own("a.svg"))
        self.assertIn(b"A cell is a huge unit of 2 MiB", self.own("a.svg"))


class Output(CtlTest):
    """A file is there whole, or as it was."""

    def setUp(self):
        super().setUp()
        self.files = os.path.join(self.folder, "files")
        os.mkdir(self.files)
        self.file = os.path.join(self.files, "a.svg")

    def map(self, status, file=None, **more):
        result = self.run_raw("map", "--self", "-o", file or self.file, **more)
        self.assertEqual(result.status, status, result.err)
        return result

    def test_file_has_the_usual_mode(self):
        self.map(0, preexec_fn=lambda: os.umask(0o027))
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o640)

    def test_folder_that_is_not_there_is_an_error(self):
        result = self.map(4, os.path.join(self.files, "none/a.svg"))
        self.assertIn(b"cannot write", result.err)

    def test_full_disk_is_an_error_and_leaves_nothing(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        self.assertIn(b"cannot write", self.map(4, preexec_fn=limit).err)
        self.assertEqual(os.listdir(self.files), [])
        with open(self.file, "w", encoding="ascii") as file:
            file.write("before")
        self.map(4, preexec_fn=limit)
        self.assertEqual(os.listdir(self.files), ["a.svg"])
        with open(self.file, encoding="ascii") as file:
            self.assertEqual(file.read(), "before")

    def test_device_that_takes_nothing_is_an_error(self):
        os.symlink("/dev/full", self.file)
        self.assertIn(b"No space left", self.map(4).err)

    def test_link_stays_a_link(self):
        os.symlink("b.svg", self.file)
        with open(os.path.join(self.files, "b.svg"), "wb"):
            pass
        self.map(0)
        self.assertTrue(os.path.islink(self.file))
        self.assertGreater(os.path.getsize(self.file), 1000)

    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "wb") as full:
            result = self.run_raw("map", "--self", stdout=full)
        self.assertEqual(result.status, 4)
