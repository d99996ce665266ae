# SPDX-License-Identifier: LGPL-2.1-or-later
# The library. One set of objects, position independent, is both the shared
# and the static one.

lib-sources := $(sort $(wildcard lib/*.c))
lib-objects := $(lib-sources:%.c=$(O)/%.o)
lib-soname  := libhpheap.so.0
lib-shared  := $(O)/$(lib-soname)
lib-static  := $(O)/libhpheap.a
lib-malloc  := $(O)/libhpheap-malloc.so
lib-malloc-objects := $(O)/lib/replace/malloc.o $(O)/lib/replace/own.o
lib-cflags  := $(CSTD) $(WARNINGS) -fPIC -fvisibility=hidden -ftls-model=initial-exec -pthread
lib-cppflags := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64
lib-libs    := -lnuma -pthread

# Cross builds: SYSROOT is an unpacked libnuma-dev of that architecture.
SYSROOT    ?=
ifneq ($(SYSROOT),)
lib-cppflags += -idirafter $(SYSROOT)/usr/include
lib-libs     := -L$(SYSROOT)/usr/lib/$(shell $(CC) -dumpmachine) $(lib-libs)
endif

all-targets     += lib
install-targets += install-lib
help-lines      += lib '$(lib-shared), $(lib-static), $(lib-malloc)'

.PHONY: lib install-lib uninstall-lib
lib: $(lib-shared) $(O)/libhpheap.so $(lib-static) $(lib-malloc)

$(O)/lib/%.o: lib/%.c lib/lib.mk
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(lib-cppflags) $(CFLAGS) $(lib-cflags) -MMD -MP -c -o $@ $<

-include $(lib-objects:.o=.d) $(lib-malloc-objects:.o=.d)

# Valgrind's header may come, or go: what has looked for it is compiled anew then.
lib-memcheck := $(O)/lib/memcheck.$(if $(wildcard $(SYSROOT)/usr/include/valgrind/memcheck.h),there,none)
$(patsubst %,$(O)/lib/%.o,caches malloc slab span replace/own): $(lib-memcheck)
$(lib-memcheck):
	@mkdir -p $(@D)
	@rm -f $(O)/lib/memcheck.*
	@touch $@

# What replaces malloc() must not be compiled as if it called that. In it the two functions that
# are called most are the C library's by name.
$(lib-malloc-objects): lib-cflags += -fno-builtin -Ilib
$(O)/lib/replace/own.o: lib/malloc.c lib/lib.mk
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(lib-cppflags) $(CFLAGS) $(lib-cflags) -MMD -MP \
		-Dhpheap_malloc=malloc -Dhpheap_free=free -c -o $@ $<

$(lib-shared): $(lib-objects) lib/libhpheap.map
	$(call say,LD)$(CC) $(CFLAGS) -shared -Wl,-soname,$(lib-soname) -Wl,--version-script=lib/libhpheap.map \
		-Wl,-z,defs -Wl,-z,nodelete -Wl,-Bsymbolic-functions $(LDFLAGS) \
		-o $@ $(lib-objects) $(lib-libs)

# For LD_PRELOAD, or to be linked instead of the other: it is all of the library.
$(lib-malloc): $(lib-objects) $(lib-malloc-objects) lib/replace/libhpheap-malloc.map
	$(call say,LD)$(CC) $(CFLAGS) -shared -Wl,-soname,$(@F) \
		-Wl,--version-script=lib/replace/libhpheap-malloc.map \
		-Wl,-z,defs -Wl,-z,nodelete -Wl,-Bsymbolic-functions $(LDFLAGS) \
		-o $@ $(filter-out %/lib/malloc.o,$(lib-objects)) $(lib-malloc-objects) $(lib-libs)

$(O)/libhpheap.so: $(lib-shared)
	ln -sf $(lib-soname) $@

$(lib-static): $(lib-objects)
	rm -f $@
	$(call say,AR)$(AR) rcs $@ $(lib-objects)

install-lib: lib
	install -D -m 644 include/hpheap.h $(DESTDIR)$(INCLUDEDIR)/hpheap.h
	install -D -m 755 $(lib-shared) $(DESTDIR)$(LIBDIR)/$(lib-soname)
	ln -sf $(lib-soname) $(DESTDIR)$(LIBDIR)/libhpheap.so
	install -D -m 755 $(lib-malloc) $(DESTDIR)$(LIBDIR)/$(notdir $(lib-malloc))
	install -D -m 644 $(lib-static) $(DESTDIR)$(LIBDIR)/libhpheap.a
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig
	sed -e 's,@PREFIX@,$(PREFIX),; s,@LIBDIR@,$(LIBDIR),; s,@INCLUDEDIR@,$(INCLUDEDIR),' \
		-e 's,@VERSION@,$(VERSION),' lib/hpheap.pc.in \
		>$(DESTDIR)$(LIBDIR)/pkgconfig/hpheap.pc

uninstall: uninstall-lib
uninstall-lib:
	rm -f $(DESTDIR)$(INCLUDEDIR)/hpheap.h $(DESTDIR)$(LIBDIR)/$(lib-soname) \
		$(DESTDIR)$(LIBDIR)/libhpheap.so $(DESTDIR)$(LIBDIR)/libhpheap.a \
		$(DESTDIR)$(LIBDIR)/$(notdir $(lib-malloc)) \
		$(DESTDIR)$(LIBDIR)/pkgconfig/hpheap.pc
