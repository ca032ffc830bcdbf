# stage1 and runvm. `make help` lists the targets.
#
# CXX and PKG_CONFIG from the environment or the command line (nixpkgs' pkgsStatic, Alpine) are used as they are. Without them,
# a pinned static musl sysroot is built once into the cache, and its compiler and libraries are used.

BUILD ?= build
# As many jobs as processors, unless a number was given. Benchmarks and fuzzers run without parallel jobs, and so do suites if
# more than one was named.
ifeq (0,$(MAKELEVEL)$(filter bench% fuzz%,$(MAKECMDGOALS))$(word 2,$(filter test%,$(MAKECMDGOALS)))$(filter -j% --jobs%,$(MAKEFLAGS) $(shell echo "$$MAKEFLAGS")))
MAKEFLAGS += -j$(shell nproc)
endif
PREFIX ?= /usr/local
DESTDIR ?=

ifneq (,$(filter default undefined,$(origin CXX)))
SYSROOT := $(shell .toolchain/build-sysroot --path musl)
SYSROOT_READY := $(SYSROOT)/.stamps/complete
CATCH2_READY := $(SYSROOT)/.stamps/catch2
CXX := $(SYSROOT)/bin/c++
PKG_CONFIG := $(SYSROOT)/bin/pkg-config
STATIC := -static
else
PKG_CONFIG ?= pkg-config --static
STATIC ?= -static
endif

OPTIMIZE ?= -Oz
CXXFLAGS ?= $(OPTIMIZE) -g
ALL_CXXFLAGS = -std=c++23 $(CXXFLAGS) -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wimplicit-fallthrough -Wno-missing-designated-field-initializers $(WERROR) \
    -ffunction-sections -fdata-sections -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DCLI11_COMPILE -I.
# One call of pkg-config; lazy, because the sysroot may not exist yet when make reads this.
PACKAGES := mount blkid uuid fuse3 liburing ext2fs e2p com_err sqlite3 liblzma zlib libzstd
LIBRARIES = -lmke2fs $(shell $(PKG_CONFIG) --libs $(PACKAGES))
ALL_LDFLAGS = $(LDFLAGS) $(STATIC) -Wl,--gc-sections -Wl,--icf=all -Wl,-O2

sources = $(sort $(foreach d,$1,$(wildcard $d/*.cc $d/*/*.cc)))

MOUNTS := $(call sources,mounts)
UNIONFS := $(call sources,unionfs)
STAGE1 := $(filter-out stage1/main.cc,$(call sources,stage1))
HOSTSIDE := $(filter-out hostside/main.cc,$(call sources,hostside))
SUPPORT := $(call sources,tests/support)
OWN := $(MOUNTS) $(UNIONFS) $(STAGE1) $(HOSTSIDE) stage1/main.cc hostside/main.cc
TESTS := $(call sources,tests/unit tests/parity tests/boot) $(SUPPORT)

# Only these files are compiled with the version, so that a new version recompiles little.
VERSIONED := unionfs/command/command.cc hostside/main.cc stage1/init/init.cc stage1/main.cc
VERSION := $(shell sed -n 's/^## \([0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)

# Optimized for speed: the union's operations, and the text and database of a registration. Everything else is optimized for
# size.
HOT := $(patsubst %,unionfs/%.cc,$(addprefix fuse/,op_attributes op_data op_directories op_names op_xattrs session) \
    $(addprefix tree/,lookup resolve inode_table key_table name_pool listing readdirplus_policy) \
    upper/layers base/fd_cache recovery/shared_memory) \
    $(patsubst %,%.cc,mounts/nix/registration mounts/nix/nix_hash stage1/nixdb/fingerprint stage1/nixdb/path_index \
    stage1/nixdb/sqlite_file)

# A unity build compiles the files of a directory as one unit, because two thirds of the work on a file are headers that its
# neighbors include too. `make UNITY=` compiles each file separately, which suits work on a few of them. Both builds behave the
# same but differ in bytes.
UNITY ?= yes
ifneq (,$(UNITY))
UNITED := $(filter-out $(VERSIONED) mounts/cli11.cc,$(OWN))
# A test with a header is not a test but what others use.
UNITED_TESTS := $(foreach t,$(filter-out $(SUPPORT),$(TESTS)),$(if $(wildcard $(t:.cc=.h)),,$t))
endif
rooms = $(sort $(patsubst %/,%,$(dir $1)))
objects = $(patsubst %.cc,$(BUILD)/obj/%.o,$(filter-out $(UNITED),$1)) \
    $(patsubst %,$(BUILD)/obj/%/unity.o,$(call rooms,$(filter-out $(HOT),$(filter $(UNITED),$1)))) \
    $(patsubst %,$(BUILD)/obj/%/unity-O2.o,$(call rooms,$(filter $(HOT),$(filter $(UNITED),$1))))

.DEFAULT_GOAL := all
.PHONY: all
all: $(BUILD)/stage1 $(BUILD)/unionfs $(BUILD)/runvm ## build/stage1, build/unionfs and build/runvm, static and stripped
	@printf 'stage1 %s bytes, runvm %s bytes\n' $$(stat -c %s $(BUILD)/stage1) $$(stat -c %s $(BUILD)/runvm)

stage1_limit_bytes := 3145728
$(BUILD)/stage1: $(call objects,$(MOUNTS) $(UNIONFS) $(STAGE1) stage1/main.cc)
	@echo 'LINK $@'
	@$(CXX) $(ALL_LDFLAGS) -o $@.debug $^ $(LIBRARIES)
	@objcopy --strip-all $@.debug $@.tmp
	@size=$$(stat -c %s $@.tmp); [ $$size -le $(stage1_limit_bytes) ] || \
	    { echo "stage1 has $$size bytes, the limit is $(stage1_limit_bytes)" >&2; exit 1; }
	@mv $@.tmp $@

# unionfs is stage1 under another name.
$(BUILD)/unionfs: $(BUILD)/stage1
	@ln -sf stage1 $@

$(BUILD)/runvm: $(call objects,$(MOUNTS) $(HOSTSIDE) hostside/main.cc)
	@echo 'LINK $@'
	@$(CXX) $(ALL_LDFLAGS) -o $@.debug $^ $(LIBRARIES)
	@objcopy --strip-all $@.debug $@

# Records the flags and version of the last build. If a file's content differs from the current value, it is rewritten, and its
# dependents are rebuilt. Make reads it here and a rule writes it, so that `make -n` writes nothing. (The variables above are
# private because these files are prerequisites, which would inherit them.)
define stamp
ifneq ($$(strip $$($2)),$$(strip $$(file <$1)))
$1: force
endif
$1:
	@mkdir -p $$(@D)
	@printf '%s\n' '$$(subst ','\'',$$($2))' >$$@
endef
FLAGS = $(CXX) $(ALL_CXXFLAGS) $(ALL_LDFLAGS) $(PACKAGES) -O2: $(HOT)
$(eval $(call stamp,$(BUILD)/flags,FLAGS))
$(eval $(call stamp,$(BUILD)/version,VERSION))
.PHONY: force
ifeq (clean,$(firstword $(MAKECMDGOALS)))
$(BUILD)/flags $(BUILD)/version: clean
else ifneq (,$(filter clean,$(MAKECMDGOALS)))
.NOTPARALLEL:
endif

# Tests are united sixteen at a time. Each gets a namespace of its own, because many have a helper of the same name. Their
# headers come first, outside of these namespaces.
TEST_UNITS :=
define test_unit
TEST_UNITS += $1
$1_FILES := $2
$(call stamp,$(BUILD)/unity/$1.files,$1_FILES)
$(BUILD)/unity/$1.cc: $2 $(BUILD)/unity/$1.files
	@awk '/^#include/ && !seen[$$$$0]++' $2 >$$@
	@for file in $2; do printf 'namespace in_%s {\n#include "%s"\n}\n' $$$$(basename $$$$file .cc) $$$$file; done >>$$@
endef
test_units = $(if $3,$(eval $(call test_unit,$1/unity-$(words $2),$(wordlist 1,16,$3)))$(call test_units,$1,$2 x,$(wordlist 17,$(words $3),$3)))
$(foreach r,$(call rooms,$(UNITED_TESTS)),$(call test_units,$r,x,$(filter $r/%,$(UNITED_TESTS))))
TEST_OBJECTS := $(patsubst %,$(BUILD)/obj/%.o,$(TEST_UNITS) $(basename $(filter-out $(UNITED_TESTS),$(TESTS))))

# Makes the programs independent of the build directory. Not among the recorded flags, so that a copy of a work tree with its
# build directory is up to date.
here_is_nowhere := -ffile-prefix-map=$(CURDIR)=.
# The number of compiles: a `make -n` counts them when the first one begins.
ifdef COUNT_COMPILES
compile = : to compile in $(BUILD)
else
to_compile = $(eval to_compile := $(shell $(MAKE) -n -j1 COUNT_COMPILES=1 $(MAKEOVERRIDES) $(MAKECMDGOALS) 2>/dev/null | \
    grep -cxF ': to compile in $(BUILD)'))$(to_compile)
progress = $(eval compiled += x)[$(words $(compiled))/$(to_compile)]
compile = echo '$(progress) CXX  $<'; $(CXX) $(ALL_CXXFLAGS) $(MORE_CXXFLAGS) $(PRECOMPILED) $(here_is_nowhere) $(DEFINES) -MMD -MP -c -o $@ $<
endif

# Most of the work on a small unit is standard headers, so they are compiled once. A precompiled header is valid for one
# compiler and one set of flags; other compilers, and units with -O2, read the headers themselves.
ifdef SYSROOT
define precompiled_header
$(BUILD)/$1.pch: private MORE_CXXFLAGS := -x c++-header -Xclang -fpch-instantiate-templates
$(BUILD)/$1.pch: $2 $(BUILD)/flags $(SYSROOT_READY)
	@mkdir -p $$(@D)
	@$$(compile)
$3: $(BUILD)/$1.pch
$3: private PRECOMPILED := -include-pch $(BUILD)/$1.pch
endef
$(eval $(call precompiled_header,std,.toolchain/precompiled.h,$(call objects,$(filter-out $(HOT),$(OWN)))))
$(eval $(call precompiled_header,tests,tests/support/precompiled.h,$(TEST_OBJECTS)))
$(BUILD)/tests.pch: .toolchain/precompiled.h | $(CATCH2_READY)
endif

$(call objects,$(VERSIONED)): private DEFINES = -DSTAGE1_VERSION='"$(VERSION)"'
$(call objects,$(VERSIONED)): $(BUILD)/version
$(patsubst %.cc,$(BUILD)/obj/%.o,$(HOT)) $(BUILD)/obj/%/unity-O2.o: private OPTIMIZE := -O2
$(BUILD)/obj/%.o: %.cc $(BUILD)/flags $(SYSROOT_READY)
	@mkdir -p $(@D)
	@$(compile)
$(BUILD)/obj/%.o: $(BUILD)/unity/%.cc $(BUILD)/flags $(SYSROOT_READY)
	@mkdir -p $(@D)
	@$(compile)

# The text of a unit, rewritten when its list of files differs from the directory.
hash := \#
define unit
ifneq ($$(strip $$(patsubst %,$$(hash)include "%",$2)),$$(strip $$(file <$1)))
$1: force
endif
$1:
	@mkdir -p $$(@D)
	@printf '$$(hash)include "%s"\n' $2 >$$@
endef
$(foreach r,$(call rooms,$(UNITED)), \
    $(eval $(call unit,$(BUILD)/unity/$r/unity.cc,$(filter-out $(HOT),$(filter $r/%,$(UNITED))))) \
    $(eval $(call unit,$(BUILD)/unity/$r/unity-O2.cc,$(filter $(HOT),$(filter $r/%,$(UNITED))))))

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

.PHONY: sysroot
sysroot: $(SYSROOT_READY) ## the static musl toolchain and libraries, into the cache (once on a machine)
ifdef SYSROOT
$(SYSROOT_READY):
	@.toolchain/build-sysroot musl
$(CATCH2_READY): | $(SYSROOT_READY)
	@.toolchain/build-sysroot musl tests
endif

# --- tests: one Catch2 program per directory ---
$(TEST_OBJECTS): | $(CATCH2_READY)
define test_program
$(BUILD)/tests/$1: $(call objects,$(MOUNTS) $(UNIONFS) $(STAGE1) $(HOSTSIDE)) $(filter $(BUILD)/obj/tests/support/% $(BUILD)/obj/tests/$1/%,$(TEST_OBJECTS))
	@mkdir -p $$(@D)
	@echo 'LINK $$@'
	@$$(CXX) $$(ALL_LDFLAGS) -o $$@ $$^ $$(shell $$(PKG_CONFIG) --libs catch2) $$(LIBRARIES)
endef
$(foreach t,unit parity boot,$(eval $(call test_program,$t)))

include tests/tests.mk

COMPLETIONS := bash-completion/completions zsh/site-functions fish/vendor_completions.d
.PHONY: install
install: all ## into $(DESTDIR)$(PREFIX)
	install -D -m 755 $(BUILD)/stage1 $(DESTDIR)$(PREFIX)/bin/stage1
	ln -sf stage1 $(DESTDIR)$(PREFIX)/bin/unionfs
	install -D -m 755 $(BUILD)/runvm $(DESTDIR)$(PREFIX)/bin/runvm
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 hostside/man/*.1
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man5 hostside/man/*.5
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 stage1/stage1.8 unionfs/unionfs.8
	install -d $(COMPLETIONS:%=$(DESTDIR)$(PREFIX)/share/%)
	$(BUILD)/runvm completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/runvm
	$(BUILD)/runvm completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_runvm
	$(BUILD)/runvm completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/runvm.fish
	for program in stage1 unionfs; do \
	    ln -sf runvm $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$program; \
	    ln -sf runvm.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/$$program.fish; \
	done
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system stage1/systemd/*.service
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system-generators
	ln -sf ../../../bin/stage1 $(DESTDIR)$(PREFIX)/lib/systemd/system-generators/stage1-generator

# Contains nothing about who packed it, where or when: the same commit and sysroot give the same file.
DIST := stage1-$(VERSION)-x86_64-linux
SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),0)
.PHONY: dist
dist: all ## build/stage1-VERSION-x86_64-linux.tar.gz and its .sha256: both programs, manuals, completions, units
	@rm -rf $(BUILD)/dist
	@$(MAKE) --no-print-directory --silent install DESTDIR=$(abspath $(BUILD)/dist/$(DIST)) PREFIX= >/dev/null
	@install -D -m 644 -t $(BUILD)/dist/$(DIST)/share/doc/stage1 README.md CHANGELOG.md LICENSE .toolchain/sources.lock
	@tar -C $(BUILD)/dist --format=gnu --sort=name --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 --numeric-owner \
	    --mode=u=rwX,go=rX -cf $(BUILD)/dist/tar $(DIST)
	@gzip -9n <$(BUILD)/dist/tar >$(BUILD)/$(DIST).tar.gz
	@rm -rf $(BUILD)/dist
	@cd $(BUILD) && sha256sum $(DIST).tar.gz | tee $(DIST).tar.gz.sha256

.PHONY: clean
clean: ## removes build/; the cached sysroot stays
	rm -rf $(BUILD)

.PHONY: help
help: ## this list
	@sed -n -E 's/^([a-z0-9_.-]+):[^#]*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | sort | expand -t 20
