# SPDX-License-Identifier: GPL-2.0-only
# The tests of the library: on this machine with 64 and 32 bits, with
# sanitizers, and as static programs for guests.

heap-dir      := selftests/heap
heap-tests    := basic misuse units random threads fork hosts sandbox fake_device
heap-programs := $(heap-tests:%=$(O)/heap/%)
heap-guest    := device basic units random threads fork hosts
heap-cflags   := $(CSTD:c11=gnu11) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -pthread -Wall -Wextra -Werror \
		 -Ilib -isystem $(O)/ksft

# Of the library's inside, tests see the headers in lib/; it is linked statically.
$(O)/heap/%: $(heap-dir)/%.c $(heap-dir)/heap.h $(heap-dir)/heap.mk $(O)/ksft/.stamp $(O)/libhpheap.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(heap-cflags) $(LDFLAGS) $(heap-wrap) -o $@ $< $(O)/libhpheap.a $(lib-libs)

# The tests' own device: see fake_device.c.
$(O)/heap/fake_device: heap-wrap := -Wl,--wrap=ioctl -Wl,--wrap=madvise

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
		LDFLAGS='-static -Wl,--no-warnings -L$(heap32-libs)' SYSROOT= heap-programs
	@$(heap-dir)/report $(O)/results/$@.results heap32 $(heap-tests:%=$(O)/m32/heap/%)

# hosts.c limits address space and system calls, which sanitizers need for themselves.
heap-san-tests := $(filter-out hosts sandbox,$(heap-tests))
heap-san-flags := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all

check-heap-sanitize:
	@$(MAKE) --no-print-directory O=$(O)/asan LDFLAGS= SYSROOT= \
		CFLAGS='$(heap-san-flags) -fsanitize=address,undefined' \
		$(heap-san-tests:%=$(O)/asan/heap/%)
	@$(MAKE) --no-print-directory O=$(O)/tsan LDFLAGS= SYSROOT= \
		CFLAGS='$(heap-san-flags) -fsanitize=thread' \
		$(O)/tsan/heap/threads $(O)/tsan/heap/random $(O)/tsan/heap/fork
	@status=0; mkdir -p $(O)/results; \
	$(heap-dir)/report $(O)/results/heap-asan.part asan $(heap-san-tests:%=$(O)/asan/heap/%) || status=1; \
	TSAN_OPTIONS=halt_on_error=1 \
	$(heap-dir)/report $(O)/results/heap-tsan.part tsan $(O)/tsan/heap/threads \
		$(O)/tsan/heap/random $(O)/tsan/heap/fork || status=1; \
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

$(O)/guest/heap_%: $(heap-dir)/%.c $(heap-dir)/heap.h $(O)/ksft/.stamp $(O)/libhpheap.a
	@mkdir -p $(@D)
	$(CC) -static -Wl,--no-warnings $(CPPFLAGS) $(CFLAGS) $(heap-cflags) $(LDFLAGS) -o $@ $< $(O)/libhpheap.a $(lib-libs)
