# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tree of files that looks like a system where all is well.

Each test takes one thing away. What files cannot answer, fake_kernel.c does.
"""

import os
import shutil
import struct
import subprocess

KERNEL = "6.1.0-99-test"
MIB = 1 << 20
SIGNING_ENFORCED = "sys/module/module/parameters/sig_enforce"
SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
KMSG_UNKNOWN_KEY = "5,100,1,-;Loading of module with unavailable key is rejected\n"
MEMINFO = "MemTotal: {0} kB\nMemFree: {0} kB\nMemAvailable: {0} kB\n"

# Beside these there is a file for each node in pool/.
NEWER_COUNTERS = ("purgeable_bytes", "chunks_marked", "chunks_reused", "chunks_taken",
                  "pool_bytes", "pool_hits")

SMAPS = """00000000-ffffffffffffffff rw-s 00000000 00:01 1 /all
Rss:                2048 kB
AnonHugePages:    {anon:6} kB
FilePmdMapped:    {file:6} kB
"""

FDINFO = """pos:\t0
flags:\t02100002
mnt_id:\t15
ino:\t{id}
hpheap_id:\t{id}
hpheap_size:\t{size}
hpheap_chunk:\t2097152
hpheap_policy:\tbind
hpheap_nodes:\t0-1
hpheap_flags:\tfork-share,strict-node
hpheap_resident:\t4194304
hpheap_purgeable:\t2097152
hpheap_node0:\t2097152
hpheap_node1:\t2097152
"""


def module_file(vermagic=KERNEL, signer="Test Key"):
    """An object file with the two sections that libkmod and depmod read."""
    info = b"".join(item + b"\0" for item in (
        b"version=0.1.0", b"license=GPL", b"name=hpheap",
        b"parm=max_bytes:most bytes of all arenas", b"parmtype=max_bytes:ullong",
        b"vermagic=" + vermagic.encode() + b" SMP mod_unload "))
    names = b"\0.modinfo\0.shstrtab\0.symtab\0.strtab\0"
    contents = [b"", info, names, bytes(24), b"\0"]
    types = [0, 1, 3, 2, 3]     # NULL, PROGBITS, STRTAB, SYMTAB, STRTAB
    body, headers = b"", b""
    for index, (name, data) in enumerate(zip((b"", b".modinfo", b".shstrtab", b".symtab",
                                              b".strtab"), contents)):
        offset = 64 + len(body)
        body += data + bytes(-len(data) % 8)
        link, entry = (4, 24) if types[index] == 2 else (0, 0)
        headers += struct.pack("=IIQQQQIIQQ", names.index(name + b"\0") if name else 0,
                               types[index], 0, 0, offset if index else 0, len(data),
                               link, 1 if link else 0, 8, entry)
    little = struct.pack("=H", 1) == b"\1\0"
    elf = b"\x7fELF" + bytes((2, 1 if little else 2, 1)) + bytes(9)
    elf += struct.pack("=HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, 5, 2)
    return elf + body + headers + (signature(signer) if signer else b"")


def signature(signer):
    """The form before PKCS#7: signer, key id, signature, struct module_signature."""
    name, key, text = signer.encode(), b"\xab" * 4, bytes(16)
    return name + key + text + struct.pack(">BBBBBxxxI", 1, 4, 1, len(name), len(key),
                                           len(text)) + b"~Module signature appended~\n"


class Root:
    """The tree, below `path`. Contents are text or bytes."""

    def __init__(self, path):
        self.path = path
        self.env = {"FAKE_KERNEL": "1"}
        self.fill()

    def name(self, path):
        return os.path.join(self.path, path)

    def write(self, path, content):
        name = self.name(path)
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())

    def remove(self, path):
        name = self.name(path)
        if os.path.isdir(name) and not os.path.islink(name):
            shutil.rmtree(name)
        else:
            os.remove(name)

    def fake(self, **answers):
        for key, value in answers.items():
            self.env["FAKE_" + key.upper()] = str(value)

    def fill(self):
        self.write("proc/sys/kernel/osrelease", KERNEL + "\n")
        self.write("proc/sys/kernel/modules_disabled", "0\n")
        self.write("proc/modules", "hpheap 40960 0 - Live 0x0000000000000000 (OE)\n")
        self.write("proc/meminfo", MEMINFO.format(4 << 20))
        self.write("proc/buddyinfo", "Node 0, zone   Normal " + "100 " * 11 + "\n")
        self.write("proc/self/cgroup", "0::/user.slice\n")
        self.write("proc/self/smaps", SMAPS.format(anon=2048, file=2048))
        self.write("dev/hpheap", "")
        self.write("dev/kmsg", "6,99,0,-;booted\n")
        self.write("etc/os-release", "ID=debian\n")
        self.write(SIGNING_ENFORCED, "N\n")
        self.fill_memory()
        self.install_module()
        self.loaded()

    def fill_memory(self):
        thp = "sys/kernel/mm/transparent_hugepage/"
        self.write(thp + "enabled", "always [madvise] never\n")
        self.write(thp + "defrag", "always defer defer+madvise [madvise] never\n")
        self.write(thp + "hpage_pmd_size", "2097152\n")
        self.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "8\n")
        self.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "3\n")
        node = "sys/devices/system/node/node0/"
        self.write(node + "meminfo", "Node 0 MemTotal: 4194304 kB\nNode 0 MemFree: 2097152 kB\n")
        self.write(node + "cpulist", "0-3\n")

    def install_module(self, **module):
        self.write(f"lib/modules/{KERNEL}/build/Makefile", "")
        self.write(f"lib/modules/{KERNEL}/updates/dkms/hpheap.ko", module_file(**module))
        self.depmod()

    def depmod(self):
        for name in ("modules.order", "modules.builtin"):
            self.write(f"lib/modules/{KERNEL}/{name}", "")
        subprocess.run(["depmod", "-b", self.path, KERNEL], check=True, stderr=subprocess.DEVNULL,
                       env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})

    def uninstall_module(self):
        self.remove(f"lib/modules/{KERNEL}/updates")
        self.depmod()

    def loaded(self):
        self.write("sys/module/hpheap/initstate", "live\n")
        self.write("sys/module/hpheap/version", "0.1.0\n")
        self.write("sys/module/hpheap/parameters/max_bytes", "0\n")
        for name, value in (("arenas", 0), ("reserved_bytes", 0), ("resident_bytes", 0),
                            ("quarantined_bytes", 0), ("chunks_allocated", 7),
                            ("chunks_released", 5), ("alloc_failures", 0), ("faults", 3),
                            *((name, 0) for name in NEWER_COUNTERS), ("pool/node0", 0)):
            self.counter(name, value)
        self.write("sys/class/misc/hpheap/dev", "10:122\n")

    def older(self):
        """The module is one of before purgeable chunks and the pool."""
        for name in (*NEWER_COUNTERS, "pool"):
            self.remove(f"sys/class/misc/hpheap/{name}")

    def unloaded(self):
        """The module's file stays; module, device and counters are gone."""
        for path in ("sys/module/hpheap", "sys/class/misc/hpheap", "dev/hpheap"):
            self.remove(path)

    def counter(self, name, value):
        self.write(f"sys/class/misc/hpheap/{name}", f"{value}\n")

    def process(self, pid, command="service"):
        self.write(f"proc/{pid}/comm", command if isinstance(command, bytes) else command + "\n")
        self.write(f"proc/{pid}/maps", "00400000-00401000 r-xp 00000000 08:01 42 /bin/service\n")
        for folder in ("fd", "fdinfo", "map_files"):
            os.makedirs(self.name(f"proc/{pid}/{folder}"), exist_ok=True)

    def descriptor(self, pid, fd, target="/hpheap-arena (deleted)", fdinfo=None):
        os.symlink(target, self.name(f"proc/{pid}/fd/{fd}"))
        if fdinfo is not None:
            self.write(f"proc/{pid}/fdinfo/{fd}", fdinfo)

    def arena(self, pid, fd, arena_id, size=8 * MIB):
        self.descriptor(pid, fd, fdinfo=FDINFO.format(id=arena_id, size=size))

    def mapping(self, pid, begin, size, arena_id, name="/hpheap-arena (deleted)", device="00:0f"):
        with open(self.name(f"proc/{pid}/maps"), "a", encoding="utf-8") as file:
            file.write(f"{begin:08x}-{begin + size:08x} rw-s 00000000 {device} {arena_id}"
                       f"                     {name}\n")
