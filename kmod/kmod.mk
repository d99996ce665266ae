# SPDX-License-Identifier: GPL-2.0-only
# The module as seen from outside the kernel's build system: built from a copy,
# handed to DKMS, and the files with which udev, systemd and modprobe treat it.

module-dir   := $(O)/module
module-tree  := $(O)/dkms/hpheap-$(VERSION)
as-root      := $(if $(filter 0,$(shell id -u)),,sudo)
# What make hands down would reach the kernel's build system through DKMS.
dkms         := $(as-root) env -u MAKEFLAGS -u MFLAGS dkms

# The system reads its rules below /usr and /usr/local; for any other PREFIX they
# must go where it looks as well, which is /etc.
module-confdir := $(if $(filter /usr /usr/local,$(PREFIX)),$(PREFIX)/lib,/etc)
module-examples := $(PREFIX)/share/doc/hpheap/examples

install-targets += install-module-config
check-targets   += check-module-style check-dkms
help-lines      += \
  modules 'build $(module-dir)/kmod/hpheap.ko for KDIR ($(KDIR))' \
  dkms-install 'build and install the module with DKMS for KVER ($(KVER))' \
  dkms-remove 'take it out of DKMS again'

.PHONY: modules install-module-config uninstall-module-config dkms-install dkms-remove
.PHONY: check-dkms check-module-style

# module-copy DIR: what the module consists of, nothing else; files keep their
# times, so that only what changed is built again.
define module-copy
	@mkdir -p $(1)/kmod $(1)/include
	@find $(1) \( -name '*.[ch]' ! -name '*.mod.c' -o -name Kbuild \) -delete
	@cp -p Kbuild dkms.conf $(1)
	@cp -p kmod/Kbuild kmod/*.[ch] $(1)/kmod
	@cp -rp include/uapi $(1)/include
endef

# A make of its own: O, CFLAGS and the like of this command line mean something
# else to the kernel's build system, and would reach it in MAKEFLAGS.
modules:
	$(call module-copy,$(module-dir))
	env -u MAKEFLAGS -u MFLAGS make -j2 -C $(KDIR) M=$(abspath $(module-dir)) W=1 \
		$(if $(V),V=$(V)) $(KMAKEFLAGS) modules

# The two examples limit or allow what only an administrator can decide, so they
# are put where they are read about, not where they take effect.
install-module-config:
	install -D -m 644 kmod/dist/70-hpheap.rules $(DESTDIR)$(module-confdir)/udev/rules.d/70-hpheap.rules
	install -D -m 644 kmod/dist/sysusers.conf $(DESTDIR)$(module-confdir)/sysusers.d/hpheap.conf
	install -D -m 644 kmod/dist/modules-load.conf $(DESTDIR)$(module-confdir)/modules-load.d/hpheap.conf
	install -D -m 644 kmod/dist/modprobe.conf $(DESTDIR)$(module-examples)/modprobe.d-hpheap.conf
	install -D -m 644 kmod/dist/limits.conf $(DESTDIR)$(module-examples)/limits.d-hpheap.conf
	$(if $(DESTDIR),,@echo 'now, or at the next boot: systemd-sysusers && udevadm control --reload && udevadm trigger /dev/hpheap')

uninstall: uninstall-module-config
uninstall-module-config:
	rm -f $(DESTDIR)$(module-confdir)/udev/rules.d/70-hpheap.rules \
		$(DESTDIR)$(module-confdir)/sysusers.d/hpheap.conf \
		$(DESTDIR)$(module-confdir)/modules-load.d/hpheap.conf \
		$(DESTDIR)$(module-examples)/modprobe.d-hpheap.conf \
		$(DESTDIR)$(module-examples)/limits.d-hpheap.conf
	@for dir in $(DESTDIR)$(module-examples) $(DESTDIR)$(dir $(module-examples)); do \
		[ ! -d $$dir ] || rmdir --ignore-fail-on-non-empty $$dir; done

# DKMS copies a whole folder to /usr/src, build outputs as well: it is given a
# clean copy. What it has of this version is replaced.
dkms-install:
	@rm -rf $(module-tree)
	$(call module-copy,$(module-tree))
	$(if $(shell dkms status hpheap/$(VERSION) 2>/dev/null),@$(MAKE) --no-print-directory dkms-remove)
	$(dkms) install $(abspath $(module-tree)) -k $(KVER)

# Sources last: without them DKMS 3.0 can no longer say what it has.
dkms-remove:
	$(dkms) remove hpheap/$(VERSION) --all
	$(as-root) rm -rf /usr/src/hpheap-$(VERSION)

check-module-style:
	@O=$(O) selftests/dkms/style

# The guest also tries hpheapctl with the real module.
check-dkms: ctl-on-device
	@O=$(O) selftests/dkms/check
