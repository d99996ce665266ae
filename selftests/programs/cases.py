# SPDX-License-Identifier: GPL-2.0-only
"""Programs that run twice, with libhpheap-malloc.so and without, and have to write the same."""

import collections
import difflib
import hashlib
import os
import shlex
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
SECONDS = 120
PYTHON = "/usr/bin/python3"	# a program, where others put a script that looks for one

Case = collections.namedtuple("Case", "name needs check")


class Place:
    """Where what was built is, and the environments with and without the library."""

    def __init__(self, out):
        self.out = out
        self.library = os.path.join(out, "libhpheap-malloc.so")
        # python keeps small objects to itself, unless it is told not to.
        self.plain = {**os.environ, "LC_ALL": "C", "PYTHONHASHSEED": "1", "PERL_HASH_SEED": "1",
                      "PYTHONMALLOC": "malloc"}
        self.plain.pop("LD_PRELOAD", None)
        self.preloaded = {**self.plain, "LD_PRELOAD": self.library}


def run(command, env, folder, seconds=SECONDS):
    """What it writes; it has to succeed."""
    done = subprocess.run(command, env=env, cwd=folder, timeout=seconds, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    text = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, f"{command[0]}: exit status {done.returncode}: {text[-500:]}"
    return text


def takes_malloc(place, program):
    """By the loader's word, for just this program and environment; it is not started.

    That a library is loaded does not say that anybody calls it: what counts is where
    each reference to malloc() leads, the C library's own included. Some lead to the
    program, where it is at a fixed address and passes on what calls it.
    """
    traced = run([shutil.which(program)], {
        **place.preloaded, "LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "1", "LD_BIND_NOW": "1",
        "LD_DEBUG": "bindings"}, "/")
    found = [line for line in traced.splitlines() if "symbol `malloc'" in line]
    here = [line for line in found if f" to {place.library} [" in line]
    passed_on = [line for line in found if f" to {shutil.which(program)} [" in line]
    assert here and len(here + passed_on) == len(found), f"{program} has another malloc(): {found}"


def maps_library(place, pid):
    """A process that runs has it."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        assert place.library in maps.read(), f"process {pid} has not mapped the library"


def digests(folder):
    """What is left in a folder: each file's name and content."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


def difference(plain, preloaded):
    """Some of it."""
    return " | ".join(line for line in difflib.unified_diff(
        plain.splitlines(), preloaded.splitlines(), "without", "with", n=0, lineterm=""))


def same(commands, keeps_files=False):
    """A check: what the commands write is the same, and what they leave, if that is meant."""
    def one(place, env, folder):
        os.mkdir(folder)
        text = "".join(run(shlex.split(command.format(here=HERE, top=TOP, out=place.out)), env,
                           folder) for command in commands)
        return text, digests(folder) if keeps_files else None

    def check(place, folder):
        for command in commands:
            takes_malloc(place, shlex.split(command.format(here=HERE, top=TOP, out=place.out))[0])
        # The same folder name, one after the other: it may be in what is written.
        work = os.path.join(folder, "work")
        plain = one(place, place.plain, work)
        shutil.rmtree(work)
        preloaded = one(place, place.preloaded, work)
        assert plain[0] or plain[1], "nothing was written"
        assert plain[0] == preloaded[0], difference(plain[0], preloaded[0])
        assert plain[1] == preloaded[1], "it leaves other files"
    return check


def compiles(place, folder):
    """The compiler and all that it starts; the library's own sources, with debug information."""
    flags = "-std=c11 -O2 -g -D_GNU_SOURCE -fPIC -Iinclude -Iinclude/uapi -c"
    sources = [os.path.join(TOP, "lib", name) for name in ("heap.c", "pagealloc.c", "picture.c")]
    takes_malloc(place, "gcc")
    objects = []
    for env in (place.plain, place.preloaded):
        for source in sources:
            run(["gcc", *flags.split(), source, "-o", os.path.join(folder, "object.o")], env, TOP)
            with open(os.path.join(folder, "object.o"), "rb") as file:
                objects.append(file.read())
    assert objects[:len(sources)] == objects[len(sources):], "object files differ"


def same_history(place, folder):
    """A repository made of the files of this one, whose history may not be here: cloned, packed."""
    takes_malloc(place, "git")
    source = os.path.join(folder, "source")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    run([*git, "init", "-q", source], place.plain, folder)
    for step, name in enumerate(("lib", "kmod", "selftests")):
        shutil.copytree(os.path.join(TOP, name), os.path.join(source, name))
        run([*git, "add", "-A"], place.preloaded, source)
        run([*git, "commit", "-q", "-m", f"Step {step}"], place.preloaded, source)
    copy = os.path.join(folder, "copy")
    run([*git, "clone", "-q", "--no-local", source, copy], place.preloaded, folder)
    run([*git, "gc", "-q", "--aggressive"], place.preloaded, copy)
    run([*git, "fsck", "--full", "--strict"], place.preloaded, copy)
    log = ["git", "log", "--stat", "-p"]
    assert run(log, place.plain, source) == run(log, place.preloaded, copy), "the logs differ"
    run([*git, "fsck", "--full", "--strict"], place.plain, copy)


PYTHON_TESTS = "test_dict test_list test_bytes test_json test_thread test_fork1 test_gc " \
               "test_memoryview test_lzma test_marshal"


def python_tests(place, folder):
    """Its own, of modules that are heavy on memory: they tell themselves."""
    takes_malloc(place, PYTHON)
    text = run([PYTHON, "-m", "test", *PYTHON_TESTS.split()], place.preloaded, folder)
    assert "Tests result: SUCCESS" in text, text[-500:]


# What memcheck says of each, and in it.
FAULTS = {
    "behind": "Invalid write of size 1",
    "uninitialised": "depends on uninitialised value",
    "after": "Invalid write of size 1",
    "large-behind": "Invalid write of size 1",
    "large-uninitialised": "depends on uninitialised value",
}


def found_by_valgrind(place, folder):
    """With valgrind's malloc() in place of the library's, and told by the library of its own."""
    for program, env in (("faults", place.preloaded), ("faults-hpheap", place.plain)):
        for fault, words in {"none": "", **FAULTS}.items():
            done = subprocess.run(
                ["valgrind", "-q", "--error-exitcode=9", os.path.join(place.out, "programs", program),
                 fault], env={**env, "HPHEAP_BACKEND": "thp"}, cwd=folder, timeout=SECONDS,
                check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            told = f"{program} {fault}: exit status {done.returncode}: {done.stdout[-500:]}"
            assert done.returncode == (9 if words else 0), told
            assert words in done.stdout and ("main (faults.c:" in done.stdout) == bool(words), told


def own(name):
    return same(["{out}/programs/" + name])


CASES = [
    Case("semantics_are_those_of_glibc", [], own("semantics")),
    Case("first_and_last_moments", [], own("edges")),
    Case("cxx_containers_in_threads", [], own("containers")),
    Case("a_heap_before_the_first_request", [], same(["env HPHEAP_GUARD=10 {out}/programs/first"])),
    Case("valgrind_finds_faults", ["valgrind"], found_by_valgrind),
    Case("python_objects", [PYTHON], same([PYTHON + " {here}/objects.py"])),
    Case("python_forks", [PYTHON], same([PYTHON + " {here}/forks.py"])),
    Case("python_tests_itself", [PYTHON], python_tests),
    Case("perl", ["perl"], same(["perl {here}/words.pl"])),
    Case("gcc", ["gcc"], compiles),
    Case("git", ["git"], same_history),
    Case("sqlite3", ["sqlite3"], same(["sqlite3 rows.db -init {here}/rows.sql .quit"])),
    Case("xz", ["xz", "perl"], same([
        "perl {here}/words.pl words.txt", "xz -T4 -k --block-size=500000 words.txt",
        "xz -d -T4 -k -c words.txt.xz"], keeps_files=True)),
]
