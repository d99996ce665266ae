# SPDX-License-Identifier: GPL-2.0-only
# The heap's price beside other allocators', on this machine.

PEERS ?=
BENCH ?= span malloc life extent breathing survivors service

bench-dir      := selftests/bench
bench-programs := $(O)/bench/span $(O)/bench/life
bench-common   := $(bench-dir)/contestant.c $(bench-dir)/contestant.h
bench-cflags   := $(CSTD) -Wall -Wextra -Werror -pthread -fno-plt	# a call, and no more

# The two that have objects, and the tests in selftests/heap that do the same without peers.
bench-objects  := $(O)/bench/breathe $(O)/bench/survive
objects-common := $(bench-dir)/records.c $(addprefix examples/kv/,latency.c system.c)
objects-headers := $(addprefix $(bench-dir)/,heap_objects.h records.h breathing.h survivors.h) \
		   $(addprefix examples/kv/,latency.h system.h)
objects-cflags := -D_GNU_SOURCE= -I$(bench-dir) -Iexamples/kv
objects-tests  := $(foreach test,breathing survivors,$(O)/heap/$(test) $(O)/guest/heap_$(test))

check-targets += check-bench
help-lines    += \
  bench 'beside other allocators: BENCH=span, malloc for time, life for memory, extent for size, breathing, survivors, service; PEERS=trixie: beside those of that Debian' \
  check-bench 'that bench measures what it says; no time is judged'

.PHONY: bench deps-bench bench-programs check-bench

bench-programs: $(bench-programs) $(bench-objects) $(O)/bench/extent $(O)/bench/service

# The shared library, as the others are.
$(bench-programs): $(O)/bench/%: $(bench-dir)/%.c $(bench-common) $(bench-dir)/bench.mk \
		$(O)/libhpheap.so $(O)/libhpheap-malloc.so
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CPPFLAGS) $(CFLAGS) $(bench-cflags) $(LDFLAGS) -o $@ $< $(filter %.c,$(bench-common)) \
		-L$(O) -lhpheap -Wl,-rpath,'$$ORIGIN/..'

$(O)/bench/breathe $(O)/heap/breathing $(O)/guest/heap_breathing: $(bench-dir)/breathing.c
$(O)/bench/survive $(O)/heap/survivors $(O)/guest/heap_survivors: $(bench-dir)/survivors.c
$(objects-tests): $(objects-common) $(objects-headers) $(heap-dir)/footprints.h
$(objects-tests): heap-more = -I$(bench-dir) -Iexamples/kv $(filter-out $<,$(filter %.c,$^))
$(bench-objects): $(O)/bench/%: $(bench-dir)/%.c $(bench-dir)/objects.c $(bench-dir)/objects.h \
		$(objects-common) $(objects-headers) $(bench-common) $(bench-dir)/bench.mk \
		$(O)/libhpheap.so
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CPPFLAGS) $(CFLAGS) $(bench-cflags) $(objects-cflags) $(LDFLAGS) -o $@ \
		$(filter %.c,$^) -L$(O) -lhpheap -Wl,-rpath,'$$ORIGIN/..'

# malloc() as a service sees it.
$(O)/bench/service: $(wildcard $(bench-dir)/service/*.c) $(bench-dir)/service/service.h $(bench-common) \
		$(addprefix $(bench-dir)/,records.c records.h) \
		$(addprefix examples/kv/,latency.c latency.h system.c system.h) $(bench-dir)/bench.mk \
		$(O)/libhpheap.so $(O)/libhpheap-malloc.so
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CPPFLAGS) $(CFLAGS) $(bench-cflags) $(objects-cflags) -I$(bench-dir)/service \
		$(LDFLAGS) -o $@ $(filter %.c,$^) -L$(O) -lhpheap -Wl,-rpath,'$$ORIGIN/..'

# It sees the library's inside, and makes heaps on the tests' own backend.
$(O)/bench/extent: $(bench-dir)/extent.c $(heap-dir)/fake_backend.h $(bench-dir)/bench.mk \
		$(O)/libhpheap.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CPPFLAGS) $(CFLAGS) $(heap-cflags) -I$(heap-dir) $(LDFLAGS) -o $@ $< \
		$(O)/libhpheap.a $(lib-libs)

deps-bench:
	@.ci/deps run
	@.ci/deps bench || echo "bench: going on without what could not be installed" >&2

# PEERS=SUITE: with the C library and the allocators of that Debian release.
bench: deps-bench bench-programs
	@root=$(if $(PEERS),$$(selftests/vm/fetch peers $(PEERS))) && \
		PEERS_ROOT=$$root $(bench-dir)/bench-heap $(O) $(BENCH)

check-bench: bench-programs
	@mkdir -p $(O)/results
	@$(bench-dir)/check-bench $(O) $(O)/results/$@.results
