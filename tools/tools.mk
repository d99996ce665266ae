# SPDX-License-Identifier: LGPL-2.1-or-later
# hpheapctl: its build, installation and tests.

ctl-sources := $(wildcard tools/*.c)
ctl-objects := $(ctl-sources:%.c=$(O)/%.o)
# Of the library's inside: what it publishes of itself, and its pictures.
ctl-flags   := $(CSTD) -Ilib -pthread -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
	-DHPHEAPCTL_VERSION='"$(VERSION)"' -DHPHEAPCTL_LIBDIR='"$(LIBDIR)"' $(WARNINGS)

$(O)/tools/%.o: tools/%.c tools/tools.mk
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(ctl-flags) $(CFLAGS) -MMD -MP -c $< -o $@

$(O)/hpheapctl: $(ctl-objects) $(lib-static)
	$(call say,LD)$(CC) $(CFLAGS) $(LDFLAGS) $^ -pthread -lkmod -lnuma -o $@

-include $(ctl-objects:.o=.d)

all-targets += $(O)/hpheapctl

.PHONY: install-ctl check-ctl
install-ctl: $(O)/hpheapctl
	install -D -m 755 $(O)/hpheapctl $(DESTDIR)$(BINDIR)/hpheapctl
	install -D -m 644 man/hpheapctl.1 $(DESTDIR)$(MANDIR)/man1/hpheapctl.1
install-targets += install-ctl

.PHONY: uninstall-ctl
uninstall: uninstall-ctl
uninstall-ctl:
	rm -f $(DESTDIR)$(BINDIR)/hpheapctl $(DESTDIR)$(MANDIR)/man1/hpheapctl.1

# A folder to take to a system with the module: there, as root, ctl-on-device/on-device.
ctl-device-dir := $(O)/ctl-on-device

help-lines += \
  ctl-on-device 'hpheapctl with its test for a system that has the module, in $(ctl-device-dir)'

.PHONY: ctl-on-device
ctl-on-device: $(O)/hpheapctl $(O)/tools/tests/hold_arena $(O)/tools/tests/hold_heap
	@mkdir -p $(ctl-device-dir)
	@cp -p $^ tools/tests/on-device $(ctl-device-dir)

$(O)/tools/tests/hold_arena: tools/tests/hold_arena.c include/uapi/linux/hpheap.h tools/tools.mk
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CPPFLAGS) $(ctl-flags) $(CFLAGS) $< -o $@

$(O)/tools/tests/hold_heap: tools/tests/hold_heap.c $(lib-static) tools/tools.mk
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CPPFLAGS) $(ctl-flags) $(CFLAGS) $(LDFLAGS) $< $(lib-static) -pthread -lnuma -o $@

# What run is to start, and what it cannot.
$(O)/tools/tests/take_memory $(O)/tools/tests/take_memory_static: tools/tests/take_memory.c tools/tools.mk
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CPPFLAGS) $(ctl-flags) $(CFLAGS) $(LDFLAGS) $(if $(filter %_static,$@),-static) \
		$< -pthread -o $@

# The same sources with sanitizers, for the tests.
ctl-san-flags := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all

$(O)/tools/san/hpheapctl: $(ctl-sources) $(wildcard tools/*.h lib/*.h) $(lib-sources) tools/tools.mk
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CPPFLAGS) $(ctl-flags) $(ctl-san-flags) $(ctl-sources) $(lib-sources) -lkmod -lnuma \
		-o $@

# Answers for the kernel, so that each answer can be tried.
$(O)/tools/tests/fake_kernel.so: tools/tests/fake_kernel.c tools/tools.mk
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CPPFLAGS) $(CSTD) -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) -fPIC -shared $< -o $@

check-ctl: $(O)/hpheapctl $(O)/tools/san/hpheapctl $(O)/tools/tests/fake_kernel.so \
	   $(O)/tools/tests/hold_heap $(O)/tools/tests/take_memory $(O)/tools/tests/take_memory_static \
	   $(lib-malloc)
	@mkdir -p $(O)/results
	@python3 -B tools/tests/check_ctl.py $(O)
check-targets += check-ctl
