# SPDX-License-Identifier: LGPL-2.1-or-later
# Examples: small programs against the public header, and the key-value store
# that `make run` runs. Linked with the static library, so that they run from
# the build folder.

example-programs := hello probe per_node share_arena
example-bins     := $(example-programs:%=$(O)/examples/%)
kv-common        := $(filter-out %/main.c %/guest.c,$(sort $(wildcard examples/kv/*.c)))
kv-objects       := $(kv-common:%.c=$(O)/%.o)
example-flags    := $(CSTD) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -pthread $(WARNINGS)
example-libs     := $(O)/libhpheap.a -lnuma

# What else `make run` reads: this project's own text.
kv-text          := $(wildcard README.md docs include kmod lib tools selftests examples man)

all-targets      += $(example-bins) $(O)/hpheap-kv
check-targets    += check-examples
help-lines       += \
  guest-kv 'static tests for a guest, in $(O)/guest: the store, share_arena, per_node'

.PHONY: check-examples guest-kv

$(O)/examples/%.o: examples/%.c examples/examples.mk
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(example-flags) $(CFLAGS) -MMD -MP -c $< -o $@

$(example-bins): $(O)/examples/%: $(O)/examples/%.o $(O)/libhpheap.a
	$(call say,LD)$(CC) $(CFLAGS) $(LDFLAGS) -pthread $< $(example-libs) -o $@

$(O)/hpheap-kv: $(kv-objects) $(O)/examples/kv/main.o $(O)/libhpheap.a
	$(call say,LD)$(CC) $(CFLAGS) $(LDFLAGS) -pthread $(filter %.o,$^) $(example-libs) -o $@

$(O)/examples/kv-guest: $(kv-objects) $(O)/examples/kv/guest.o $(O)/libhpheap.a
	$(call say,LD)$(CC) $(CFLAGS) $(LDFLAGS) -pthread $(filter %.o,$^) $(example-libs) -o $@

-include $(wildcard $(O)/examples/*.d $(O)/examples/kv/*.d)

# Packages first; only then is there surely a compiler.
run: deps
	@$(MAKE) --no-print-directory $(O)/hpheap-kv
	@$(O)/hpheap-kv --picture=$(O)/heap.svg $(KV_ARGS) $(kv-text)

check-examples: $(example-bins) $(O)/hpheap-kv $(O)/examples/kv-guest
	@mkdir -p $(O)/results
	@examples/check $(O)

# Static, for a system with nothing else: make O=DIR CC=CROSS-GCC SYSROOT=DIR guest-kv
# where SYSROOT is an unpacked libnuma-dev of that architecture.
guest-libdirs = $(if $(SYSROOT),-L$(SYSROOT)/usr/lib/$(shell $(CC) -dumpmachine))

guest-kv: $(O)/guest/kv $(O)/guest/share_arena $(O)/guest/per_node

$(O)/guest/kv: $(kv-objects) $(O)/examples/kv/guest.o $(O)/libhpheap.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) -static $(CFLAGS) $(LDFLAGS) -pthread $(filter %.o,$^) $(guest-libdirs) $(example-libs) -o $@

$(O)/guest/share_arena $(O)/guest/per_node: $(O)/guest/%: $(O)/examples/%.o $(O)/libhpheap.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) -static $(CFLAGS) $(LDFLAGS) -pthread $< $(guest-libdirs) $(example-libs) -o $@
