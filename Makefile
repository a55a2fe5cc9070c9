# SPDX-License-Identifier: MIT
# GNU make. `make` builds dist/ollachat, one static program; `./build.sh` does that on a bare machine and checks the result.
#
#   all (default)  check  test  bench  soak  fuzz  lint  format  install  uninstall  dist  clean
#
#   V=1          show the commands              CC=...       another compiler (default musl-gcc)
#   DEBUG=1      no optimisation                CFLAGS=...   added at the end, as is LDFLAGS=...
#   WERROR=1     warnings in our code are errors
#   SAN=...      sanitizers of the `asan` flavour (address,undefined); SAN= is a plain native build
#   REQUESTS=100000  how many `soak` sends
#   SECONDS_EACH=60  how long `fuzz` runs each target
#   PREFIX=/usr/local BINDIR=$(PREFIX)/bin DESTDIR=  where `install` puts the program and its two links

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/sh
# Compilers note it as the folder they work in; a shell's own may lead through a symbolic link.
export PWD := $(CURDIR)

VERSION := 0.1.0

V ?= 0
DEBUG ?= 0
WERROR ?= 0
SAN ?= address,undefined
SECONDS_EACH ?= 60
REQUESTS ?= 100000
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
DESTDIR ?=
CFLAGS ?=
LDFLAGS ?=

ifneq ($(filter default undefined,$(origin CC)),)
CC := musl-gcc
endif
NATIVE_CC ?= gcc
FUZZ_CC ?= clang
AR := ar
OBJCOPY := objcopy

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2))

# --- sources ----------------------------------------------------------------------------------------------------

SRC := $(sort $(wildcard src/base/*.c src/proto/*.c src/io/*.c src/app/*.c)) src/main.c build/web/assets.c
NAMES := $(patsubst build/%.c,%,$(patsubst src/%.c,%,$(SRC)))
UNITS := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
UNIT_HELPERS := $(patsubst tests/unit/%.c,%,$(filter-out tests/unit/test_%,$(sort $(wildcard tests/unit/*.c))))
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
BEARSSL := vendor/cache/bearssl
JSMN := vendor/cache/jsmn

# Empty for goals that compile nothing.
BUILDING := $(if $(MAKECMDGOALS),$(filter-out clean format install uninstall dist,$(MAKECMDGOALS)),all)

# BearSSL's file list is known once it has been fetched: make fetches it, writes the list, and reads itself again.
ifneq ($(BUILDING),)
include build/vendor.mk
endif
vendor/cache/bearssl/.sha256 vendor/cache/jsmn/.sha256 &:
	$(Q)vendor/fetch.sh src
build/vendor.mk: vendor/lock vendor/cache/bearssl/.sha256 vendor/cache/jsmn/.sha256
	$(Q)mkdir -p build
	$(Q)vendor/fetch.sh src
	$(Q)(cd vendor/cache && find bearssl/src -name '*.c' | LC_ALL=C sort | sed 's/^/BEARSSL_SRC += /') > $@.new
	$(Q)mv $@.new $@

# --- flags ------------------------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	-Wwrite-strings -Wundef -Wvla -Wformat=2 -Wimplicit-fallthrough -Wcast-qual -Wdouble-promotion \
	-Wno-unused-parameter -Wno-missing-field-initializers $(if $(filter 1,$(WERROR)),-Werror)
INCLUDE := -Isrc -isystem $(BEARSSL)/inc -isystem $(JSMN)
COMMON := -std=c11 -D_GNU_SOURCE -DOLLACHAT_VERSION='"$(VERSION)"' $(INCLUDE) -Wa,-Ibuild/web -g \
	-fno-common -fvisibility=hidden -ffile-prefix-map=$(CURDIR)=.
# GCC's out-of-line atomics for arm64 ask the libc for the processor's features, and not every musl can answer.
ARM := $(if $(filter aarch64%,$(shell $(CC) -dumpmachine)),-mno-outline-atomics)
HARDEN := $(ARM) -fstack-protector-strong -fstack-clash-protection
SECTIONS := -ffunction-sections -fdata-sections
# No unwind tables in the image; the debugger finds its own in dist/ollachat.debug.
LEAN := -fno-asynchronous-unwind-tables -fno-unwind-tables
OPT := $(if $(filter 1,$(DEBUG)),-O0,-O2)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
FUZZFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# Flavours: NAME_CC, NAME_CFLAGS (ours), NAME_VENDOR (BearSSL's); objects in build/NAME/.
RELEASE := $(if $(filter 1,$(DEBUG)),debug,release)
$(RELEASE)_CC := $(CC)
$(RELEASE)_CFLAGS := $(OPT) -fPIE $(HARDEN) $(SECTIONS) $(LEAN)
# As its author builds it: its inner loops are written for that.
$(RELEASE)_VENDOR := $(if $(filter 1,$(DEBUG)),-O0,-Os) -fPIE $(HARDEN) $(SECTIONS) $(LEAN)

comma := ,
ASAN := $(if $(SAN),$(if $(filter address$(comma)undefined,$(SAN)),asan,san-$(subst $(comma),-,$(SAN))),native)
$(ASAN)_CC := $(NATIVE_CC)
$(ASAN)_CFLAGS := -O1 $(SANFLAGS) -fPIE
$(ASAN)_VENDOR := -O1 $(if $(SAN),-fsanitize=address -fno-omit-frame-pointer) -fPIE

fuzz_CC := $(FUZZ_CC)
# clang does not see that a comment says "fall through"; gcc does, and has looked.
fuzz_CFLAGS := -O1 -fsanitize=fuzzer-no-link $(FUZZFLAGS) -fPIE -Wno-implicit-fallthrough
fuzz_VENDOR := -O1 -fPIE

# --- flavour rules ----------------------------------------------------------------------------------------------

# build/NAME/flags changes when the commands do, and then everything of that flavour is built anew.
define flavour
$(1)_OBJ := $$(NAMES:%=build/$(1)/%.o)
$(1)_BEARSSL := $$(BEARSSL_SRC:%.c=build/$(1)/vendor/%.o)

$(1)_SAID := $$(strip $$($(1)_CC) $$($(1)_CFLAGS) $$($(1)_VENDOR) $$(COMMON) $$(WARN) $$(CFLAGS))
ifneq ($$(BUILDING),)
ifneq ($$(file <build/$(1)/flags),$$($(1)_SAID))
$$(shell mkdir -p build/$(1))
$$(file >build/$(1)/flags,$$($(1)_SAID))
endif
endif

build/$(1)/%.o: src/%.c build/$(1)/flags
	$$(call say,CC,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$($(1)_CC) $$(COMMON) $$(WARN) $$($(1)_CFLAGS) $$(CFLAGS) -MMD -MP -c -o $$@ $$<

build/$(1)/web/assets.o: build/web/assets.c build/$(1)/flags
	$$(call say,CC,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$($(1)_CC) $$(COMMON) $$(WARN) $$($(1)_CFLAGS) $$(CFLAGS) -MMD -MP -c -o $$@ $$<

build/$(1)/vendor/bearssl/%.o: vendor/cache/bearssl/%.c build/$(1)/flags
	@mkdir -p $$(@D)
	$$(Q)$$($(1)_CC) -std=gnu99 -w -I$(BEARSSL)/src -I$(BEARSSL)/inc -g -ffile-prefix-map=$(CURDIR)=. $$($(1)_VENDOR) -c -o $$@ $$<

build/$(1)/libbearssl.a: $$($(1)_BEARSSL)
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && $$(AR) rcsD $$@ $$($(1)_BEARSSL)

build/$(1)/libollachat.a: $$(filter-out %/main.o,$$($(1)_OBJ))
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && $$(AR) rcsD $$@ $$(filter %.o,$$^)

-include $$($(1)_OBJ:.o=.d)
endef
$(foreach f,$(RELEASE) $(ASAN) fuzz,$(eval $(call flavour,$(f))))

# --- the page ---------------------------------------------------------------------------------------------------

WEB_SRC := $(shell find src/web -type f ! -name '*.sh' 2>/dev/null | LC_ALL=C sort)
WEB_SRC += $(wildcard src/web/bundle.sh vendor/web/package-lock.json)

build/web/bundled: $(WEB_SRC)
	$(call say,BUNDLE,build/web/files)
	$(Q)vendor/fetch.sh web
	$(Q)rm -rf build/web/files && mkdir -p build/web/files
	$(Q)src/web/bundle.sh build/web/files
	$(Q)touch $@

build/web/assets.c: build/web/bundled src/web/embed.sh
	$(call say,EMBED,$@)
	$(Q)src/web/embed.sh build/web/files build/web

# --- the program ------------------------------------------------------------------------------------------------

# musl-gcc's specs do not know -static-pie, so that is linked by hand from musl's own start files. Where the compiler
# is no wrapper (a system whose libc is musl), -static-pie is the whole story.
MUSL := $(shell $(CC) -v 2>&1 | sed -n 's|^Reading specs from \(.*\)/musl-gcc.specs$$|\1|p')
GCC_FILE = $(shell $(CC) -print-file-name=$(1))
HARDEN_LD := -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--gc-sections,--build-id=none,-O1
ifneq ($(MUSL),)
ifneq ($(wildcard $(MUSL)/rcrt1.o),)
LINK_HEAD := -nostdlib -static -Wl,-pie,--no-dynamic-linker,-z,text \
	$(MUSL)/rcrt1.o $(MUSL)/crti.o $(call GCC_FILE,crtbeginS.o)
LINK_TAIL := -Wl,--start-group -lc -lgcc -Wl,--end-group $(call GCC_FILE,crtendS.o) $(MUSL)/crtn.o
else
$(info this musl has no rcrt1.o: the program will be static but not position independent)
LINK_HEAD := -static -no-pie
LINK_TAIL :=
endif
else
LINK_HEAD := -static-pie
LINK_TAIL :=
endif

PROGRAM := build/$(RELEASE)/ollachat

$(PROGRAM): $($(RELEASE)_OBJ) build/$(RELEASE)/libbearssl.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(HARDEN_LD) $(LDFLAGS) -o $@ $(LINK_HEAD) $^ $(LINK_TAIL)

# The release: stripped, its symbols kept beside it.
dist/ollachat.debug: $(PROGRAM)
	@mkdir -p dist
	$(Q)$(OBJCOPY) --only-keep-debug $< $@.new && chmod 644 $@.new && mv $@.new $@

dist/ollachat: $(PROGRAM) dist/ollachat.debug
	$(call say,STRIP,$@)
	$(Q)$(OBJCOPY) --strip-all --remove-section=.comment --add-gnu-debuglink=dist/ollachat.debug $< $@.new && mv $@.new $@
	$(Q)ln -sf ollachat dist/ollachat-backend
	$(Q)ln -sf ollachat dist/ollachat-frontend

build/$(ASAN)/ollachat: $($(ASAN)_OBJ) build/$(ASAN)/libbearssl.a
	$(call say,LINK,$@)
	$(Q)$($(ASAN)_CC) $(SANFLAGS) -pie $(LDFLAGS) -o $@ $^

.PHONY: all asan
all: dist/ollachat
asan: build/$(ASAN)/ollachat

# --- tests ------------------------------------------------------------------------------------------------------

# The program with a clock that a test winds by hand: the same objects, linked with tests/clock.
WOUND_LD := $(foreach f,clock_gettime epoll_wait poll,-Wl,--wrap=$(f))

build/wound/$(RELEASE)/clock.o: tests/clock/clock.c build/$(RELEASE)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) $(WARN) $($(RELEASE)_CFLAGS) $(CFLAGS) -c -o $@ $<

build/wound/$(RELEASE)/ollachat: build/wound/$(RELEASE)/clock.o $($(RELEASE)_OBJ) build/$(RELEASE)/libbearssl.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(HARDEN_LD) $(WOUND_LD) $(LDFLAGS) -o $@ $(LINK_HEAD) $^ $(LINK_TAIL)

build/wound/$(ASAN)/clock.o: tests/clock/clock.c build/$(ASAN)/flags
	@mkdir -p $(@D)
	$(Q)$($(ASAN)_CC) $(COMMON) $(WARN) $($(ASAN)_CFLAGS) $(CFLAGS) -c -o $@ $<

build/wound/$(ASAN)/ollachat: build/wound/$(ASAN)/clock.o $($(ASAN)_OBJ) build/$(ASAN)/libbearssl.a
	$(call say,LINK,$@)
	$(Q)$($(ASAN)_CC) $(SANFLAGS) -pie $(WOUND_LD) $(LDFLAGS) -o $@ $^

UNIT_BIN := $(UNITS:%=build/$(ASAN)/unit/%)
FUZZ_BIN := $(FUZZERS:%=build/fuzz/%)

build/$(ASAN)/unit/%.o: tests/unit/%.c build/$(ASAN)/flags
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$($(ASAN)_CC) $(COMMON) -Itests/unit $(WARN) $($(ASAN)_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

build/$(ASAN)/unit/test_%: build/$(ASAN)/unit/test_%.o $(UNIT_HELPERS:%=build/$(ASAN)/unit/%.o) \
		build/$(ASAN)/libollachat.a build/$(ASAN)/libbearssl.a
	$(call say,LINK,$@)
	$(Q)$($(ASAN)_CC) $(SANFLAGS) -pie $(LDFLAGS) -o $@ $^

build/fuzz/fuzz_%.o: tests/fuzz/fuzz_%.c build/fuzz/flags
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(fuzz_CC) $(COMMON) -Itests/fuzz -Itests/unit $(WARN) $(fuzz_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

build/fuzz/fuzz_%: build/fuzz/fuzz_%.o build/fuzz/libollachat.a build/fuzz/libbearssl.a
	$(call say,LINK,$@)
	$(Q)$(fuzz_CC) -fsanitize=fuzzer $(FUZZFLAGS) -pie $(LDFLAGS) -o $@ $^

-include $(UNIT_BIN:=.d) $(UNIT_HELPERS:%=build/$(ASAN)/unit/%.d) $(FUZZ_BIN:=.d)

.PHONY: unit-programs fuzz-programs wound check test bench soak fuzz lint
unit-programs: $(UNIT_BIN)
wound: build/wound/$(RELEASE)/ollachat build/wound/$(ASAN)/ollachat
fuzz-programs: $(FUZZ_BIN)

export UNIT_DIR := build/$(ASAN)/unit
export RELEASE_DIR := build/$(RELEASE)

check: all unit-programs fuzz-programs wound
	$(Q)tests/run.sh unit http cli faults lint

test: all asan unit-programs fuzz-programs wound
	$(Q)vendor/fetch.sh test
	$(Q)tests/run.sh

lint: $($(RELEASE)_OBJ)
	$(Q)tests/lint/run.sh

bench: all
	$(Q)python3 tests/bench/run.py

soak: all
	$(Q)python3 tests/soak/run.py $(REQUESTS)

# New finds go to a working folder under build/; a crash goes to tests/fuzz/crash/ and stays.
fuzz: fuzz-programs
	$(Q)mkdir -p build/log tests/fuzz/crash
	$(Q)for t in $(FUZZERS); do \
		n=$${t#fuzz_}; log=build/log/fuzz-$$n.log; \
		mkdir -p build/fuzz/corpus/$$n; \
		echo "  FUZZ    $$n for $(SECONDS_EACH) s"; \
		build/fuzz/$$t -max_total_time=$(SECONDS_EACH) -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
			-artifact_prefix=tests/fuzz/crash/$$n- build/fuzz/corpus/$$n tests/fuzz/corpus/$$n > $$log 2>&1 || \
			{ tail -n 40 $$log; exit 1; }; \
		sed -n 's/^stat::number_of_executed_units: */          inputs tried: /p' $$log; \
	done
	@rmdir tests/fuzz/crash 2> /dev/null || true

.PHONY: format
format:
	$(Q)find src tests \( -name '*.c' -o -name '*.h' \) -exec clang-format --style=file:src/.clang-format -i {} +

# --- putting it somewhere ----------------------------------------------------------------------------------------

.PHONY: install uninstall dist clean
install:
	@test -x dist/ollachat || { echo 'dist/ollachat is not there: run ./build.sh (or make) first' >&2; exit 1; }
	install -d '$(DESTDIR)$(BINDIR)'
	install -m 755 dist/ollachat '$(DESTDIR)$(BINDIR)/ollachat'
	ln -sf ollachat '$(DESTDIR)$(BINDIR)/ollachat-backend'
	ln -sf ollachat '$(DESTDIR)$(BINDIR)/ollachat-frontend'

uninstall:
	rm -f '$(DESTDIR)$(BINDIR)/ollachat' '$(DESTDIR)$(BINDIR)/ollachat-backend' '$(DESTDIR)$(BINDIR)/ollachat-frontend'

# A tar of what git knows (and of new files it does not ignore), sorted, with fixed times and owners.
dist:
	@mkdir -p dist
	$(Q)git ls-files -co --exclude-standard | LC_ALL=C sort | while read -r f; do [ -e "$$f" ] && echo "$$f"; done > dist/files
	$(Q)tar --create --file=- --files-from=dist/files --transform='s,^,ollachat-$(VERSION)/,' --mtime=@0 --owner=0 --group=0 \
		--numeric-owner --mode=u=rwX,go=rX | gzip -n -9 > dist/ollachat-$(VERSION).tar.gz
	@rm -f dist/files
	$(call say,DIST,dist/ollachat-$(VERSION).tar.gz)

clean:
	rm -rf build dist
