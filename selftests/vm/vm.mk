# SPDX-License-Identifier: GPL-2.0-only
# Guests: emulated machines with the kernels of kernels.table. `make check-vm`
# runs those that stand in its default set; nothing needs to be installed but
# what .ci/deps names, and no root.

VM   ?= default
TEST ?=

check-targets += check-vm-tools check-vm
help-lines    += \
  check-vm 'the kernel tests in guests; VM=NAME (selftests/vm/kernels.table) or VM=all, TEST=PROGRAM,...' \
  shell-vm 'a prompt inside the guest VM=NAME, with the module loaded' \
  bench-kernel 'what memory costs, in instructions, in guests of three page sizes'

.PHONY: check-vm check-vm-tools shell-vm bench-kernel

# That the judge of the guests and selftests/check can find a fault at all.
check-vm-tools:
	@mkdir -p $(O)/results
	@selftests/vm/selfcheck $(O)/results/$@.results

check-vm:
	@TEST='$(TEST)' selftests/vm/check $(O) $(VM)

shell-vm:
	@selftests/vm/shell $(O) $(VM)

bench-kernel:
	@selftests/bench/bench-kernel $(O) $(VM)
