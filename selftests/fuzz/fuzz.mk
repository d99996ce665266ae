# SPDX-License-Identifier: GPL-2.0-only
# The fuzzer of the heap: libFuzzer, with address and undefined behaviour
# sanitizers, over the operations of the model test.

fuzz-dir    := selftests/fuzz
fuzz-cc     := clang
fuzz-flags  := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	       -fno-sanitize-recover=all
fuzz-target := $(O)/fuzz/heap_operations

check-targets += check-fuzz
help-lines    += fuzz 'search for operations that break the heap, until FUZZ_SECONDS (600) are over'

FUZZ_SECONDS ?= 600

.PHONY: fuzz fuzz-build check-fuzz

# The library's objects are instrumented as well.
fuzz-build: $(O)/ksft/.stamp
	@$(MAKE) --no-print-directory O=$(O)/fuzz/lib CC=$(fuzz-cc) SYSROOT= LDFLAGS= \
		CFLAGS='$(fuzz-flags) -fsanitize=fuzzer-no-link' $(O)/fuzz/lib/libhpheap.a
	$(fuzz-cc) $(CPPFLAGS) $(fuzz-flags) -fsanitize=fuzzer $(heap-cflags) -I$(heap-dir) \
		$(heap-world-wrap) -o $(fuzz-target) $(fuzz-dir)/heap_operations.c \
		$(O)/fuzz/lib/libhpheap.a $(lib-libs)

check-fuzz: fuzz-build
	@$(fuzz-dir)/run $(fuzz-target) $(O)/results/$@.results

# For a person. Inputs that reach new code are kept in $(O)/fuzz/corpus; a crash is
# written as C, for selftests/heap/regressions.h.
fuzz: fuzz-build
	@mkdir -p $(O)/fuzz/corpus
	$(fuzz-target) -max_total_time=$(FUZZ_SECONDS) -max_len=8000 -timeout=30 \
		-artifact_prefix=$(O)/fuzz/ $(O)/fuzz/corpus
