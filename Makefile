# SPDX-License-Identifier: LGPL-2.1-or-later
# hpheap: library, tools, examples, tests. The module is built by Kbuild
# (see kmod/); this file is never read by the kernel's build system.
#
#   make run      build, then the main job on this machine
#   make check    build, then all tests
#   make help     the rest

VERSION   := 0.1.0
O         ?= build
PREFIX    ?= /usr/local
LIBDIR    ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR    ?= $(PREFIX)/bin
SBINDIR   ?= $(PREFIX)/sbin
MANDIR    ?= $(PREFIX)/share/man
DESTDIR   ?=
KVER      ?= $(shell uname -r)
KDIR      ?= /lib/modules/$(KVER)/build

CC        ?= cc
AR        ?= ar
CFLAGS    ?= -O2 -g
WARNINGS  := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
CSTD      := -std=c11
CPPFLAGS  += -Iinclude -Iinclude/uapi

# What is made, in a line each; the whole command with V=1.
V         ?=
say       = $(if $(V),,@echo '  $(1) $@' && )

# Every fragment adds to these.
all-targets     :=
check-targets   :=
install-targets :=
help-lines      :=

.DEFAULT_GOAL := all

include lib/lib.mk
include tools/tools.mk
include kmod/kmod.mk
include examples/examples.mk
include selftests/heap/heap.mk
include selftests/fuzz/fuzz.mk
include selftests/programs/programs.mk
include selftests/prove/prove.mk
include selftests/vm/vm.mk
include selftests/bench/bench.mk
include man/man.mk

.PHONY: all run check install uninstall clean help deps deps-check
all: $(all-targets)

deps:
	@.ci/deps run
deps-check:
	@.ci/deps run check

# The tests count themselves: every check-* target leaves $(O)/results/NAME,
# lines "pass NAME", "fail NAME why", "skip NAME why"; the last line sums up.
check: deps-check
	@O=$(O) MAKE="$(MAKE)" selftests/check $(check-targets)

install: $(install-targets)

clean:
	rm -rf $(O)

help:
	@printf 'make %-14s %s\n' run 'build, then the main job on this machine' \
	  check 'build, then all tests; last line "N passed, N failed, N skipped"' \
	  all 'library, tools, examples' \
	  install 'to PREFIX ($(PREFIX)), below DESTDIR' \
	  uninstall 'remove what install put there' \
	  clean 'remove $(O)/; with V=1 any target shows its commands' $(help-lines)
