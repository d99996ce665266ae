# SPDX-License-Identifier: GPL-2.0-only
# Proofs of the arithmetic of arenas and page maps, by bounded model checking:
# selftests/prove/prove.h says what is shown and how it is written.

check-targets += check-prove
help-lines    += \
  prove 'the arithmetic of arenas and page maps, by a model checker; as check-prove does'

.PHONY: prove prove-deps check-prove
prove: prove-deps
	@$(MAKE) --no-print-directory check-prove
prove-deps:
	@.ci/deps run prove
check-prove:
	@selftests/prove/run $(O) $(O)/results/$@.results proofs faults
