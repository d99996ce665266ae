# SPDX-License-Identifier: LGPL-2.1-or-later
# Manual pages. hpheapctl(1) is installed with its program.

man-pages := $(filter-out man/hpheapctl.1,$(sort $(wildcard man/*.[1-8])))

install-targets += install-man
check-targets   += check-man

.PHONY: install-man uninstall-man check-man

install-man:
	@for page in $(man-pages); do \
		install -D -m 644 -v $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; \
	done

uninstall: uninstall-man
uninstall-man:
	rm -f $(foreach page,$(man-pages),$(DESTDIR)$(MANDIR)/man$(patsubst .%,%,$(suffix $(page)))/$(notdir $(page)))

check-man:
	@O=$(O) man/check man/*.[1-8]
