#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Boot guests and keep what they say.

run.py DIR GUEST...     each guest's output to DIR/GUEST/log, progress to stdout
run.py --shell DIR NAME one guest on this terminal

A GUEST is NAME or NAME+faults: the same kernel with failing allocations. The
folder DIR/GUEST holds its image and initramfs. Every guest is emulated, so that
the result does not depend on the machine; two run at a time, if the machine has
memory for both.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import table

PARALLEL = 2
GUEST_SECONDS = 60 * 60     # for all of a guest's tests
SILENT_SECONDS = 240        # times the kernel's speed: longer than any test may take
QEMU_MIB = 512              # what an emulator takes beside the guest's memory

# What QEMU needs to be told for an architecture, and the guest's console.
# POWER runs its CPUs in turns: QEMU 7.2 writes the Referenced and Changed bits
# back with a plain store (target/ppc/mmu-radix64.c), so that an entry which
# another CPU has just cleared returns from the dead. Real hardware does it
# atomically, as QEMU does for the other two. A tmpfs with huge pages shows it.
MACHINES = {
    "amd64": ("qemu-system-x86_64", "multi",
              ["-machine", "pc", "-cpu", "max,la57=off"], "ttyS0"),
    "arm64": ("qemu-system-aarch64", "multi",
              ["-machine", "virt,gic-version=3", "-cpu", "max,pauth-impdef=on"], "ttyAMA0"),
    "ppc64el": ("qemu-system-ppc64", "single",
                ["-machine", "pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,"
                 "cap-ccf-assist=off", "-cpu", "power9"], "hvc0"),
}
# Emulated CPUs stand still when the machine is busy: stretch the watchdogs that
# would take that for a fault of the kernel.
KERNEL_OPTIONS = ("panic=-1 printk.time=1 log_buf_len=4M watchdog_thresh=60 "
                  "rcupdate.rcu_cpu_stall_timeout=120 "
                  "transparent_hugepage=madvise brd.rd_nr=1 brd.rd_size=65536")


def nodes(kernel):
    """Two nodes with a CPU and memory each, and one that has only a CPU."""
    _, threads, _, _ = MACHINES[kernel.arch]
    numa = ["-numa", "node,nodeid=2,cpus=2"]
    for node in (0, 1):
        numa += ["-object", f"memory-backend-ram,id=m{node},size={kernel.node}M",
                 "-numa", f"node,nodeid={node},cpus={node},memdev=m{node}"]
    return ["-accel", f"tcg,thread={threads}", "-smp", "3,sockets=3",
            "-m", f"{2 * kernel.node}M", *numa]


def command(kernel, directory, mode, computer, extra=()):
    """QEMU's command line; computer: what says how many CPUs, how much memory."""
    qemu, _, machine, console = MACHINES[kernel.arch]
    options = f"console={console} {KERNEL_OPTIONS} vm.mode={mode} vm.speed={kernel.speed}"
    if os.environ.get("TEST"):
        options += " vm.only=" + os.environ["TEST"]
    return [qemu, *machine, *computer,
            "-nodefaults", "-display", "none", "-no-reboot",
            "-kernel", f"{directory}/image", "-initrd", f"{directory}/initramfs",
            "-append", options, *extra]


class Guest:
    """One run of one guest."""

    def __init__(self, directory, name, started, mode=None, computer=None):
        self.name = name
        self.kernel = table.kernels()[name.split("+")[0]]
        self.mode = mode or ("faults" if name.endswith("+faults") else "test")
        self.computer = computer or nodes(self.kernel)
        self.images = os.path.join(directory, name)
        self.log = os.path.join(directory, name, "log")
        self.mebibytes = 2 * self.kernel.node + QEMU_MIB
        self.started = started
        self.qemu = None
        self.heard = time.monotonic()

    def say(self, text):
        print(f"[{time.monotonic() - self.started:5.0f}s] {self.name:24} {text}", flush=True)

    def progress(self, line):
        match = re.match(r"@vm (begin|end|timeout) (\S+)(?: (\d+) (\d+))?", line)
        if not match:
            return
        what, test, status, seconds = match.groups()
        if what == "timeout":
            self.say(f"{test}: out of time")
        elif what == "end":
            word = {"0": "", "4": "skipped"}.get(status, f"exit status {status}")
            self.say(f"{test} {seconds}s {word}")

    def listen(self, pipe, log):
        for raw in iter(pipe.readline, b""):
            self.heard = time.monotonic()
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            print(line, file=log, flush=True)
            self.progress(line)

    def run(self):
        os.makedirs(os.path.dirname(self.log), exist_ok=True)
        self.say("boots")
        with open(self.log, "w", encoding="utf-8") as log:
            self.qemu = subprocess.Popen(
                command(self.kernel, self.images, self.mode, self.computer, ["-serial", "stdio"]),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            listener = threading.Thread(target=self.listen, args=(self.qemu.stdout, log))
            listener.start()
            self.heard = begin = time.monotonic()
            reason = None
            while self.qemu.poll() is None:
                time.sleep(0.2)
                now = time.monotonic()
                if now - begin > GUEST_SECONDS:
                    reason = f"not done after {GUEST_SECONDS} seconds"
                elif now - self.heard > SILENT_SECONDS * self.kernel.speed:
                    reason = f"silent for {SILENT_SECONDS * self.kernel.speed} seconds"
                if reason:
                    self.qemu.kill()
                    break
            self.qemu.wait()
            listener.join()
            if reason:
                print(f"\n@vm killed {reason}", file=log)
                self.say(f"killed: {reason}")
        self.say(f"off after {time.monotonic() - begin:.0f}s")


class Crowd:
    """Guests that wait, and guests that run."""

    def __init__(self, guests, mebibytes):
        self.waiting = list(guests)
        self.running = []
        self.free = mebibytes
        self.changed = threading.Condition()

    def take(self):
        """The next guest for which there is memory; None when all have begun."""
        with self.changed:
            while self.waiting:
                for guest in self.waiting:
                    if guest.mebibytes <= self.free or not self.running:
                        self.waiting.remove(guest)
                        self.running.append(guest)
                        self.free -= guest.mebibytes
                        return guest
                self.changed.wait()
            return None

    def put(self, guest):
        with self.changed:
            self.running.remove(guest)
            self.free += guest.mebibytes
            self.changed.notify_all()

    def work(self):
        while guest := self.take():
            try:
                guest.run()
            finally:
                self.put(guest)


def available_mebibytes():
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        return next(int(line.split()[1]) for line in meminfo
                    if line.startswith("MemAvailable:")) // 1024


def run_all(directory, names):
    started = time.monotonic()
    crowd = Crowd([Guest(directory, name, started) for name in names], available_mebibytes())

    def end_all(*_):
        crowd.waiting.clear()
        for guest in crowd.running:
            if guest.qemu:
                guest.qemu.kill()
        sys.exit("run.py: interrupted")

    signal.signal(signal.SIGINT, end_all)
    signal.signal(signal.SIGTERM, end_all)
    workers = [threading.Thread(target=crowd.work) for _ in range(PARALLEL)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()


def main():
    if sys.argv[1] == "--shell":
        directory, name = sys.argv[2:]
        kernel = table.kernels()[name]
        line = command(kernel, os.path.join(directory, name), "shell", nodes(kernel),
                       ["-chardev", "stdio,id=tty,signal=off", "-serial", "chardev:tty"])
        os.execvp(line[0], line)
    run_all(sys.argv[1], sys.argv[2:])


if __name__ == "__main__":
    main()
