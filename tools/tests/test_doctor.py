# SPDX-License-Identifier: LGPL-2.1-or-later
"""doctor: on a system that lacks one thing, that thing is named and mended."""

import ctypes
import errno
import glob
import os
import re
import resource

from fakeroot import (KERNEL, KMSG_UNKNOWN_KEY, MEMINFO, SECURE_BOOT, SIGNING_ENFORCED, SMAPS)
from harness import CtlTest

HERE = os.path.dirname(os.path.abspath(__file__))
PR_SET_THP_DISABLE = 41
LOCKDOWN = "sys/kernel/security/lockdown"
THP = "sys/kernel/mm/transparent_hugepage/"


def mended(mends, wanted):
    return any(line.startswith(wanted) for line in mends)


class DoctorTest(CtlTest):
    def expect(self, missing, *mends, which="device", status=1, args=(), **more):
        """The finding, its commands, and nothing else; the same in text and JSON."""
        report = self.ctl("doctor", "--json", *args, status=status, **more).json()
        self.assertEqual(report["exit_status"], status)
        self.assertEqual(report[which]["missing"], missing)
        self.assertEqual(report[which]["works"], missing is None)
        for wanted in mends:
            self.assertTrue(mended(report[which]["mend"], wanted),
                            f"{wanted!r} is not in {report[which]['mend']}")
        self.only_one_missing(report)
        text = self.ctl("doctor", *args, status=status, **more).out.decode()
        for line in report[which]["mend"]:
            self.assertIn(f"\n    {line}\n", text)
        if missing:
            self.assertTrue(report[which]["mend"], "nothing that mends it")
            self.assertIn(f": {report[which]['reason']}.\n", text)
        return report

    def only_one_missing(self, report):
        """ok, ok, missing, not reached, not reached"""
        states = [check["state"] for check in report["checks"]]
        if report["device"]["missing"] is None:
            self.assertEqual(set(states), {"ok"})
            return
        first = states.index("missing")
        self.assertEqual(set(states[:first]) - {"ok"}, set())
        self.assertEqual(set(states[first + 1:]) - {"not reached"}, set())


class Module(DoctorTest):
    def setUp(self):
        super().setUp()
        self.root.unloaded()

    def enforce(self, **module):
        self.root.write(SIGNING_ENFORCED, "Y\n")
        self.root.install_module(**module)

    def lock_down(self, **module):
        self.root.write(LOCKDOWN, "none [integrity] confidentiality\n")
        self.root.write(SECURE_BOOT, b"\x06\0\0\0\1")
        self.root.install_module(**module)

    def test_module_not_installed_is_built_by_dkms(self):
        self.root.uninstall_module()
        self.expect("module-not-installed", "dkms install . -k " + KERNEL, "modprobe hpheap")

    def test_module_not_installed_and_no_headers_installs_them_first(self):
        self.root.uninstall_module()
        self.root.remove(f"lib/modules/{KERNEL}/build")
        report = self.expect("module-not-installed", "dkms install", "modprobe hpheap")
        self.assertEqual(report["device"]["mend"][0], f"apt install linux-headers-{KERNEL}")

    def test_module_not_installed_with_sources_known_to_dkms_needs_no_checkout(self):
        self.root.uninstall_module()
        self.root.write("usr/src/hpheap-0.1.0/dkms.conf", "")
        self.expect("module-not-installed", "dkms install hpheap/0.1.0 -k " + KERNEL)

    def test_no_module_folder_at_all_is_not_installed(self):
        self.root.remove("lib")
        self.expect("module-not-installed", "apt install linux-headers")

    def test_fedora_gets_its_own_command_for_headers(self):
        self.root.remove("lib")
        self.root.write("etc/os-release", "NAME=x\nID=fedora\n")
        self.expect("module-not-installed", f"dnf install kernel-devel-{KERNEL}")

    def test_module_not_indexed_runs_depmod(self):
        for name in glob.glob(self.root.name(f"lib/modules/{KERNEL}/modules.*")):
            os.remove(name)
        self.expect("module-not-indexed", "depmod -a " + KERNEL, "modprobe hpheap")

    def test_module_of_another_kernel_is_built_again(self):
        self.root.install_module(vermagic="5.10.0-1-old")
        report = self.expect("module-wrong-kernel", "rm ", "dkms install", "modprobe hpheap")
        self.assertIn("5.10.0-1-old", report["device"]["reason"])

    def test_module_installed_and_not_loaded_is_loaded(self):
        report = self.expect("module-not-loaded", "modprobe hpheap")
        self.assertEqual(report["device"]["mend"], ["modprobe hpheap"])

    def test_module_on_its_way_is_waited_for(self):
        self.root.write("sys/module/hpheap/initstate", "coming\n")
        self.expect("module-loading", "hpheapctl doctor")

    def test_unsigned_module_is_signed_where_signatures_are_enforced(self):
        self.enforce(signer=None)
        self.expect("module-unsigned", "apt install openssl", "dkms install hpheap/0.1.0")

    def test_unsigned_module_under_secure_boot_is_signed_and_the_key_enrolled(self):
        self.lock_down(signer=None)
        report = self.expect("module-unsigned", "mokutil --import", "reboot", "modprobe hpheap")
        self.assertIn("Secure Boot", report["device"]["reason"])

    def test_rejected_key_is_enrolled(self):
        self.enforce(signer="Somebody")
        self.root.write("sys/firmware/efi/systab", "")
        self.root.write("dev/kmsg", KMSG_UNKNOWN_KEY)
        report = self.expect("module-key-rejected", "mokutil --import", "reboot")
        self.assertIn("Somebody", report["device"]["reason"])

    def test_rejected_key_under_lockdown_is_enrolled(self):
        self.lock_down()
        self.root.write("dev/kmsg", "5,1,1,-;Lockdown: modprobe: unsigned module loading is "
                        "restricted; see man kernel_lockdown.7\n")
        self.expect("module-key-rejected", "modprobe hpheap    # if", "mokutil --import")

    def test_rejected_key_without_uefi_says_that_none_can_be_enrolled(self):
        self.enforce()
        self.root.write("dev/kmsg", KMSG_UNKNOWN_KEY)
        self.expect("module-key-rejected", "# this machine has no UEFI")

    def test_signed_module_that_was_never_tried_is_loaded(self):
        self.enforce()
        self.expect("module-not-loaded", "modprobe hpheap")

    def test_unreadable_log_is_told_in_a_note(self):
        self.enforce()
        self.root.remove("dev/kmsg")
        report = self.expect("module-not-loaded", "modprobe hpheap")
        self.assertIn("only root may read", report["notes"][0])

    def test_locked_module_loading_needs_a_reboot(self):
        self.root.write("proc/sys/kernel/modules_disabled", "1\n")
        self.expect("modules-disabled", "echo hpheap > /etc/modules-load.d", "reboot")

    def test_kernel_without_modules_is_named(self):
        self.root.remove("proc/modules")
        self.expect("kernel-without-modules", "# boot")


class Device(DoctorTest):
    def test_a_system_where_all_is_well_uses_the_device(self):
        report = self.expect(None, status=0)
        self.assertEqual(report["backend"], "device")
        self.assertIsNone(report["fallback"]["missing"])
        self.assertEqual(report["notes"], [])

    def test_missing_node_is_made(self):
        self.root.remove("dev/hpheap")
        self.expect("device-missing", "mknod -m 660 /dev/hpheap c 10 122", "chgrp hpheap")

    def test_private_dev_of_a_service_is_named(self):
        self.root.remove("dev")
        self.expect("device-hidden", "# in the service's unit: PrivateDevices=no")

    def test_container_is_given_the_device(self):
        self.root.remove("dev/hpheap")
        self.root.write("run/.containerenv", "")
        self.expect("device-not-in-container", "# start the container with: --device /dev/hpheap")

    def test_user_outside_the_group_is_added(self):
        self.root.fake(open=errno.EACCES, user="alice")
        self.expect("device-permission", "usermod -aG hpheap alice")
        self.assertIn(b"are for root.", self.ctl("doctor").out)

    def test_user_added_during_this_session_logs_in_again(self):
        self.root.fake(open=errno.EACCES, user="alice", group=990)
        self.expect("group-not-active", "newgrp hpheap")

    def test_node_of_root_alone_gets_the_udev_rule(self):
        self.root.fake(open=errno.EACCES, user="alice", gid=0)
        self.expect("device-root-only", "udevadm control --reload", "udevadm trigger")

    def test_device_control_group_is_named(self):
        self.root.fake(open=errno.EPERM)
        self.expect("device-forbidden", "# a systemd service: DeviceAllow=/dev/hpheap rw")

    def test_node_that_leads_nowhere_is_made_again(self):
        self.root.fake(open=errno.ENXIO)
        self.expect("device-stale", "rm /dev/hpheap", "modprobe -r hpheap && modprobe hpheap")

    def test_other_device_of_that_name_is_named(self):
        self.root.fake(info=errno.ENOTTY)
        self.expect("device-other", "ls -l /dev/hpheap")

    def test_other_interface_version_wants_one_release(self):
        self.root.fake(abi=7)
        self.expect("interface-version", "# install module and library of one release")

    def test_locked_memory_limit_is_raised_to_what_is_wanted(self):
        self.root.fake(create=errno.EDQUOT, user="alice")
        limit = (65536, resource.getrlimit(resource.RLIMIT_MEMLOCK)[1])
        report = self.expect("memlock", "# a systemd service: LimitMEMLOCK=1048576K",
                             "echo 'alice - memlock 1048576'", args=("--size", "1G"),
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_MEMLOCK, limit))
        self.assertIn("64 KiB (65536 bytes)", report["device"]["reason"])

    def test_module_limit_is_raised(self):
        self.root.fake(create=errno.ENOSPC, reserved=1 << 30)
        self.expect("max-bytes", "hpheapctl stat",
                    f"echo {(1 << 30) + (64 << 20)} > /sys/module/hpheap/parameters/max_bytes")

    def test_more_than_there_is_is_named(self):
        self.root.fake(create=errno.EFBIG)
        self.expect("too-large", "hpheapctl doctor --size")

    def test_arena_refused_for_another_reason_is_told(self):
        self.root.fake(create=errno.EMFILE)
        self.expect("create", "dmesg")

    def test_fragmented_memory_is_compacted(self):
        self.root.fake(allocate=errno.ENOMEM)
        self.expect("fragmentation", "echo 1 > /proc/sys/vm/compact_memory")

    def test_full_memory_is_not_called_fragmented(self):
        self.root.fake(allocate=errno.ENOMEM)
        self.root.write("proc/meminfo", MEMINFO.format(1024))
        self.expect("memory-full", "hpheapctl stat")

    def test_full_control_group_is_named(self):
        self.root.fake(allocate=errno.ENOMEM)
        self.root.write("proc/self/cgroup", "0::/a/b\n")
        self.root.write("sys/fs/cgroup/a/memory.max", "4194304\n")
        self.root.write("sys/fs/cgroup/a/memory.current", "4190000\n")
        self.root.write("sys/fs/cgroup/a/b/memory.max", "max\n")
        self.expect("cgroup-limit", "# a systemd service: a higher MemoryMax=")

    def test_full_control_group_leaves_the_fallback_no_room_either(self):
        self.root.fake(allocate=errno.ENOMEM)
        self.root.write("proc/self/smaps", SMAPS.format(anon=0, file=0))
        self.root.write("proc/self/cgroup", "0::/a/b\n")
        for group, limit, used in (("a", 30 << 20, 29 << 20), ("a/b", 20 << 20, 5 << 20)):
            self.root.write(f"sys/fs/cgroup/{group}/memory.max", f"{limit}\n")
            self.root.write(f"sys/fs/cgroup/{group}/memory.current", f"{used}\n")
        report = self.expect("cgroup-limit", status=3)
        self.assertEqual(report["fallback"]["missing"], "cgroup-limit")
        self.assertIn("29 MiB of 30 MiB", report["device"]["reason"])

    def test_allocation_refused_for_another_reason_is_told(self):
        self.root.fake(allocate=errno.EIO)
        self.expect("allocate", "dmesg")

    def test_chunk_that_is_not_zero_is_a_fault(self):
        self.root.fake(dirty=1)
        self.expect("mapping", "dmesg")

    def test_chunk_that_is_not_mapped_huge_is_a_fault(self):
        self.root.write("proc/self/smaps", SMAPS.format(anon=2048, file=0))
        self.expect("mapping", "dmesg")

    def test_few_free_blocks_are_told_in_a_note(self):
        self.root.write("proc/buddyinfo", "Node 0, zone Normal 9 9 9 9 9 9 9 9 9 2 1\n")
        report = self.expect(None, status=0)
        self.assertIn("compact", report["notes"][0])


class Fallback(DoctorTest):
    """Without the device as well: not even the fallback works."""

    def setUp(self):
        super().setUp()
        self.root.unloaded()

    def expect_none(self, missing, *mends, **more):
        report = self.expect(missing, *mends, which="fallback", status=3, **more)
        self.assertEqual(report["backend"], "small")
        return report

    def test_thp_switched_off_is_switched_on(self):
        self.root.write(THP + "enabled", "always madvise [never]\n")
        self.expect_none("thp-never", "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")

    def test_thp_switched_off_for_the_pmd_size_is_switched_on_there(self):
        self.root.write(THP + "hugepages-2048kB/enabled", "always inherit madvise [never]\n")
        self.expect_none("thp-never", "echo inherit > /sys/kernel/mm/transparent_hugepage/"
                         "hugepages-2048kB/enabled")

    def test_thp_switched_off_does_not_matter_with_the_device(self):
        self.root.write(THP + "enabled", "always madvise [never]\n")
        self.root.loaded()
        self.root.write("dev/hpheap", "")
        report = self.expect(None, status=0)
        self.assertEqual(report["fallback"]["missing"], "thp-never")

    def test_kernel_without_thp_is_named(self):
        self.root.remove("sys/kernel/mm/transparent_hugepage")
        self.expect_none("thp-absent", "# boot a kernel")

    def test_thp_disabled_for_the_process_is_named(self):
        libc = ctypes.CDLL(None)
        self.expect_none("thp-disabled", "# look who starts this process",
                         preexec_fn=lambda: libc.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))

    def test_thp_that_is_not_given_is_named(self):
        self.root.write("proc/self/smaps", SMAPS.format(anon=0, file=0))
        self.expect_none("thp-none-free", "echo 1 > /proc/sys/vm/compact_memory")

    def test_thp_of_half_a_gigabyte_is_no_fallback(self):
        self.root.write(THP + "hpage_pmd_size", f"{512 << 20}\n")
        self.expect_none("thp-too-large", "# use the device")

    def test_thp_of_half_a_gigabyte_beside_2_mib_is_switched_to_these(self):
        self.root.write(THP + "hpage_pmd_size", f"{512 << 20}\n")
        self.root.write(THP + "hugepages-2048kB/enabled", "always inherit madvise [never]\n")
        self.expect_none("thp-too-large", "echo madvise > /sys/kernel/mm/transparent_hugepage/"
                         "hugepages-2048kB/enabled")
        self.root.write(THP + "hugepages-2048kB/enabled", "always inherit [madvise] never\n")
        report = self.ctl("doctor", "--json", status=1).json()
        self.assertIsNone(report["fallback"]["missing"])
        self.assertIn(b"pages of 2 MiB, as the settings say", self.ctl("doctor").out)


class Setting(DoctorTest):
    def test_environment_that_says_thp_is_named(self):
        report = self.expect("setting", "unset HPHEAP_BACKEND", env={"HPHEAP_BACKEND": "thp"})
        self.assertEqual(report["backend"], "thp")

    def test_environment_that_says_small_gets_no_huge_pages(self):
        self.expect("setting", "unset HPHEAP_BACKEND", status=3, env={"HPHEAP_BACKEND": "small"})

    def test_environment_that_says_device_has_no_fallback(self):
        self.root.unloaded()
        report = self.expect("module-not-loaded", status=3, env={"HPHEAP_BACKEND": "device"})
        self.assertEqual(report["backend"], "none")

    def test_wrong_word_in_the_environment_is_told(self):
        report = self.expect(None, status=0, env={"HPHEAP_BACKEND": "fast\x1b[1m\""})
        self.assertIn("names no backend", report["notes"][0])

    def test_other_device_path_is_taken_from_the_environment(self):
        report = self.expect("device-missing", env={"HPHEAP_DEVICE": "/dev/elsewhere"})
        self.assertIn("/dev/elsewhere", report["device"]["reason"])


class Complete(CtlTest):
    def test_every_finding_is_tested_and_in_the_manual(self):
        with open(__file__, encoding="utf-8") as file:
            tests = file.read()
        with open(os.path.join(HERE, "../../man/hpheapctl.1"), encoding="utf-8") as file:
            manual = file.read()
        found = set()
        for name in glob.glob(os.path.join(HERE, "../doctor_*.c")):
            with open(name, encoding="utf-8") as file:
                found |= set(re.findall(r'\bfind\([^,;]+,\s*"([a-z-]+)"', file.read()))
        self.assertGreater(len(found), 30)
        for finding in found:
            self.assertIn(f'"{finding}"', tests)
            self.assertRegex(manual, rf"(?m)^\.B[R ].*\b{finding}\b")
