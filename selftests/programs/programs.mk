# SPDX-License-Identifier: GPL-2.0-only
# Programs that others wrote, and a few of our own, with libhpheap-malloc in place of malloc().

programs-dir   := selftests/programs
programs-own   := $(addprefix $(O)/programs/,containers edges first semantics plugin.so faults faults-hpheap)
# What calls malloc() must not be compiled as if its results were known.
programs-flags := -Wall -Wextra -Werror -fno-builtin -pthread

check-targets += check-programs
help-lines    += check-programs 'real programs with libhpheap-malloc.so write the same'

.PHONY: check-programs

$(O)/programs/%: $(programs-dir)/%.cc $(programs-dir)/programs.mk
	@mkdir -p $(@D)
	$(call say,LD)g++ -std=c++17 $(CFLAGS) $(programs-flags) -o $@ $< -ldl

$(O)/programs/%: $(programs-dir)/%.c $(programs-dir)/programs.mk
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CSTD:c11=gnu11) $(CFLAGS) $(programs-flags) -o $@ $<

$(O)/programs/plugin.so: $(programs-dir)/plugin.cc $(programs-dir)/programs.mk
	@mkdir -p $(@D)
	$(call say,LD)g++ -std=c++17 -shared -fPIC $(CFLAGS) $(programs-flags) -o $@ $<

# Valgrind names the lines: nothing may be moved or left out.
$(O)/programs/faults: $(programs-dir)/faults.c $(programs-dir)/programs.mk
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CSTD:c11=gnu11) -O0 -g $(programs-flags) -o $@ $<

$(O)/programs/faults-hpheap: $(programs-dir)/faults.c $(programs-dir)/programs.mk $(O)/libhpheap.so
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CSTD:c11=gnu11) -O0 -g $(programs-flags) -DWITH_HPHEAP -Iinclude -o $@ $< \
		-L$(O) -lhpheap -Wl,-rpath,'$$ORIGIN/..'

check-programs: lib $(programs-own)
	@CC='$(CC)' $(programs-dir)/run $(O) $(O)/results/$@.results
