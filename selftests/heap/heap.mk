# SPDX-License-Identifier: GPL-2.0-only
# The tests of the library: on this machine with 64 and 32 bits, with
# sanitizers, and as static programs for guests.

heap-dir      := selftests/heap
heap-tests    := basic malloc lazy guard scavenger policy breathing survivors misuse units growth random random_objects threads fork snapshots hosts sandbox sparse hollow efence fake_device fake_fork fake_purge model walk pictures placement caches rounding probe
heap-32-tests := fragments	# there is no filling 64 bits
heap-programs := $(heap-tests:%=$(O)/heap/%)
heap-guest    := device basic malloc lazy guard scavenger scarce hog breathing survivors units random random_objects threads fork snapshots hosts numa sparse hollow efence model walk pictures placement caches
heap-cflags   := $(CSTD:c11=gnu11) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -pthread -Wall -Wextra -Werror \
		 -Ilib -isystem $(O)/ksft

# Of the library's inside, tests see the headers in lib/; it is linked statically. Some are
# linked with heap-wrap, or have further sources in heap-more.
$(O)/heap/%: $(heap-dir)/%.c $(heap-dir)/heap.h $(heap-dir)/regions.h $(heap-dir)/heap.mk $(O)/ksft/.stamp $(O)/libhpheap.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CPPFLAGS) $(CFLAGS) $(heap-cflags) $(LDFLAGS) $(heap-wrap) -o $@ $< $(heap-more) $(O)/libhpheap.a $(lib-libs)

# The tests' own device: see fake_device.h.
$(O)/heap/fake_device $(O)/heap/fake_fork $(O)/heap/fake_purge: heap-wrap := -Wl,--wrap=ioctl -Wl,--wrap=madvise \
	-Wl,--wrap=hph_os_forbid
$(O)/heap/fake_device $(O)/heap/fake_fork $(O)/heap/fake_purge: $(heap-dir)/fake_device.h
# It tells how long writes took.
$(O)/heap/snapshots $(O)/guest/heap_snapshots: heap-more := -Iexamples/kv examples/kv/latency.c
$(O)/heap/snapshots $(O)/guest/heap_snapshots: examples/kv/latency.c examples/kv/latency.h
$(O)/heap/rounding: heap-wrap := -Wl,--wrap=hph_pages_alloc
$(O)/heap/probe: heap-wrap := -Wl,--wrap=mincore

# Nodes, and what can be made inaccessible, are what the world of world.h says.
heap-world-wrap := -Wl,--wrap=hph_numa_nodes -Wl,--wrap=hph_numa_distance \
		   -Wl,--wrap=hph_numa_cpu -Wl,--wrap=hph_numa_mark_cpus -Wl,--wrap=hph_numa_node_valid \
		   -Wl,--wrap=hph_os_forbid
$(O)/heap/model $(O)/guest/heap_model: heap-wrap := $(heap-world-wrap)
heap-model-headers := $(addprefix $(heap-dir)/,fake_backend.h fake_parts.h fake_space.h interpret.h \
			invariants.h invariants_indexes.h invariants_maps.h lives.h naive.h \
			operations.h regressions.h shrink.h world.h)
$(O)/heap/model $(O)/guest/heap_model: $(heap-model-headers)
$(O)/heap/placement $(O)/guest/heap_placement: $(addprefix $(heap-dir)/,fake_backend.h \
	fake_parts.h fake_space.h)

$(O)/heap/hollow $(O)/guest/heap_hollow: heap-wrap := -Wl,--wrap=madvise
$(O)/heap/hollow $(O)/guest/heap_hollow: $(addprefix $(heap-dir)/,invariants_slabs.h invariants_maps.h)
$(O)/heap/random_objects $(O)/guest/heap_random_objects: $(wildcard $(heap-dir)/invariants*.h)

$(O)/ksft/.stamp: selftests/ksft-headers
	@selftests/ksft-headers $(O)/ksft

check-targets += check-heap check-heap32 check-heap-sanitize check-heap-tidy check-heap-install
help-lines    += \
  check-heap 'the library, with 64 bits; also check-heap32, -sanitize, -tidy, -install' \
  guest-heap 'its tests as static programs, for a guest, in $(O)/guest'

.PHONY: heap-programs guest-heap check-heap check-heap32 check-heap-sanitize check-heap-tidy \
	check-heap-install

heap-programs: $(heap-programs)

check-heap: heap-programs
	@$(heap-dir)/report $(O)/results/$@.results heap $(heap-programs)

# A compiler for 32 bits that does not exclude the cross compilers has no asm/
# headers of its own: those of the 64-bit system serve both.
heap32-cc     := gcc-12 -m32
heap32-libs    = $(shell selftests/vm/fetch sysroot i386)/usr/lib/i386-linux-gnu
heap32-cflags := -O2 -g -idirafter /usr/include/$(shell gcc-12 -print-multiarch)

check-heap32:
	@$(MAKE) --no-print-directory O=$(O)/m32 CC='$(heap32-cc)' CFLAGS='$(heap32-cflags)' \
		LDFLAGS='-static -Wl,--no-warnings -L$(heap32-libs)' SYSROOT= \
		heap-programs $(heap-32-tests:%=$(O)/m32/heap/%)
	@$(heap-dir)/report $(O)/results/$@.results heap32 \
		$(patsubst %,$(O)/m32/heap/%,$(heap-tests) $(heap-32-tests))

# hosts.c limits address space and system calls, which sanitizers need for themselves; guard.c
# faults, which they see first.
heap-san-tests := $(filter-out hosts sandbox guard,$(heap-tests))
heap-tsan-tests := threads malloc lazy random fork snapshots walk pictures caches scavenger hollow
heap-san-flags := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all

check-heap-sanitize:
	@$(MAKE) --no-print-directory O=$(O)/asan LDFLAGS= SYSROOT= \
		CFLAGS='$(heap-san-flags) -fsanitize=address,undefined' \
		$(heap-san-tests:%=$(O)/asan/heap/%)
	@$(MAKE) --no-print-directory O=$(O)/tsan LDFLAGS= SYSROOT= \
		CFLAGS='$(heap-san-flags) -fsanitize=thread' \
		$(heap-tsan-tests:%=$(O)/tsan/heap/%)
	@status=0; mkdir -p $(O)/results; \
	$(heap-dir)/report $(O)/results/heap-asan.part asan $(heap-san-tests:%=$(O)/asan/heap/%) || status=1; \
	TSAN_OPTIONS=halt_on_error=1:report_thread_leaks=0 \
	$(heap-dir)/report $(O)/results/heap-tsan.part tsan $(heap-tsan-tests:%=$(O)/tsan/heap/%) || status=1; \
	cat $(O)/results/heap-[at]san.part >$(O)/results/$@.results; \
	rm $(O)/results/heap-[at]san.part; exit $$status

check-heap-tidy:
	@O=$(O) CC='$(CC)' $(heap-dir)/tidy '$(CPPFLAGS) $(lib-cppflags) $(CSTD)' lib/*.c

check-heap-install: lib
	@O=$(O) MAKE='$(MAKE)' CC='$(CC)' $(heap-dir)/install

# For a guest that has nothing else:
#   make O=DIR CC=CROSS-GCC SYSROOT=DIR guest-heap
# SYSROOT is an unpacked libnuma-dev of that architecture.
guest-heap: $(heap-guest:%=$(O)/guest/heap_%)

$(O)/guest/heap_%: $(heap-dir)/%.c $(heap-dir)/heap.h $(heap-dir)/regions.h $(wildcard selftests/arena/*.h) $(O)/ksft/.stamp $(O)/libhpheap.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) -static -Wl,--no-warnings $(CPPFLAGS) $(CFLAGS) $(heap-cflags) $(LDFLAGS) $(heap-wrap) -o $@ $< $(heap-more) $(O)/libhpheap.a $(lib-libs)
