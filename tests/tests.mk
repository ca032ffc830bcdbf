# Rules for tests, checks and benchmarks; included by the Makefile.

# Boots run in parallel, each with one emulating process. One more than processors, because a boot also waits.
SHARDS ?= $(shell echo $$(($$(nproc) + 1)))
PROGRAMS := $(foreach t,unit parity parity-ext4 boot,$(BUILD)/tests/$t)

# These make the disks that stage1 must leave alone, check those that it made, and check a junit.xml.
DISK_TOOLS := e2fsprogs xfsprogs btrfs-progs f2fs-tools dosfstools ntfs-3g cryptsetup-bin lvm2 bcache-tools squashfs-tools \
    erofs-utils xorriso gdisk procps fuse3 libxml2-utils libvirt-clients

.PHONY: test
test: $(PROGRAMS) all test-tools ## all tests: unit, parity, and real boots
	@tests/support/with-machine tests/support/run-tests --shards $(SHARDS) $(PROGRAMS)

.PHONY: test-tools
test-tools:
	@.toolchain/install-packages "make test-unit (disks of every kind)" $(DISK_TOOLS)

# Tests that need root say so; without it they are skipped and counted.
.PHONY: test-unit
test-unit: $(BUILD)/tests/unit all test-tools ## unit tests, and effects on real disks and mounts
	@tests/support/run-tests $<

.PHONY: test-parity
test-parity: $(BUILD)/tests/parity all test-tools ## the union against overlayfs and a plain directory
	@tests/support/run-tests $<

# The same program under its own name, which tells it apart in the tests' output.
$(BUILD)/tests/parity-ext4: $(BUILD)/tests/parity
	@printf '#!/bin/sh\nPARITY_BACKING=ext4 exec "$$(dirname "$$0")/parity" "$$@"\n' >$@
	@chmod +x $@

.PHONY: test-parity-ext4
test-parity-ext4: $(BUILD)/tests/parity-ext4 all test-tools ## the same with the layers on ext4, which uses an inode's number again
	@tests/support/run-tests $<

.PHONY: test-boot
test-boot: $(BUILD)/tests/boot all test-tools ## boots of real machines
	@tests/support/with-machine tests/support/run-tests --shards $(SHARDS) $<

# Not part of `test`, because a browser is large.
.PHONY: test-report-screenshot
test-report-screenshot: all ## what Chromium, which is installed for it, draws of `runvm report --html` and `--svg`
	@.toolchain/install-packages "what draws a report's page" chromium fonts-dejavu-core python3
	@tests/support/report-screenshot $(BUILD)/runvm $(BUILD)/tests/report

# Attacks by somebody who can write a layer, a disk, an image or an input. `make test` runs all of them too.
HOSTILE_parity := [\#hostile_layers],[\#old_layers],[\#replaced],[\#set_id],[\#refusals],[\#depth],[\#faulty_layers],[\#limits],[\#orphans],[\#submounts]
HOSTILE_unit := [\#target_root],[\#regular_file],[\#running_machine],[\#image],[\#bad_input],[\#guest_directory],[\#module_index],[\#hostile_description],[\#qemu_events],[\#boot_report],[\#build],[\#foreign_text],[\#guest_relay],[\#own_files],[\#refused_run],[\#cache],[\#status_port]
HOSTILE_boot := [\#hostile],[\#bad_input],[\#run_as],[\#shares]
.PHONY: test-hostile
test-hostile: $(PROGRAMS) all test-tools ## layers, disks, images and inputs made by an attacker
	@$(BUILD)/tests/unit --filenames-as-tags '$(HOSTILE_unit)'
	@$(BUILD)/tests/parity --filenames-as-tags '$(HOSTILE_parity)'
	@tests/support/with-machine $(BUILD)/tests/boot --filenames-as-tags '$(HOSTILE_boot)'
	@$(MAKE) --no-print-directory fuzz-short
	@$(MAKE) --no-print-directory sanitized-short

.PHONY: test-mutants
test-mutants: $(BUILD)/tests/unit $(BUILD)/tests/parity all test-tools ## breaks the code, one patch of tests/mutants at a time: a test must notice (root)
	@tests/mutants/run $(BUILD) $(MUTANTS)

.PHONY: test-dist
test-dist: dist ## builds and packs a copy elsewhere, from nothing: the same tarball, byte for byte?
	@SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) tests/support/same-dist $(BUILD)/$(DIST).tar.gz

.PHONY: run
run: all ## boots a machine with a real Nix store and shows it at work
	@tests/support/with-machine tests/support/newcomer-run $(BUILD)/runvm

.PHONY: shell
shell: all ## boots the same machine with a prompt; exit ends it
	@tests/support/with-machine tests/support/newcomer-run $(BUILD)/runvm --shell

include $(wildcard tests/bench/*.mk tests/fuzz/*.mk tests/parity/*.mk tests/nixos/*.mk tests/slurm/*.mk tests/nix-fleet/*.mk tests/export/*.mk tests/ci/*.mk)

.PHONY: bench
bench: bench-disk bench-boot bench-union bench-launch bench-nixdb bench-store ## every benchmark, each against its rival in one interleaved run

# --- checks ---
# The sysroot's compiler, spelled out for tools that can't look into its wrapper.
ifdef SYSROOT
SPELLED_CXX := clang++-19 --target=x86_64-linux-musl --sysroot=$(SYSROOT) -nostdinc++ -isystem $(SYSROOT)/usr/include/c++/v1
else
SPELLED_CXX := $(CXX)
endif
SPELLED_CXXFLAGS = $(wordlist 2,99,$(SPELLED_CXX)) $(ALL_CXXFLAGS) -DSTAGE1_VERSION='"$(VERSION)"'
CHECKED = $(OWN) $(TESTS)
HEADERS = $(wildcard mounts/*.h mounts/*/*.h unionfs/*.h unionfs/*/*.h stage1/*.h stage1/*/*.h hostside/*.h hostside/*/*.h tests/*/*.h)

.PHONY: check
check: format layers usings tidy ## format, layers, usings and clang-tidy

.PHONY: format
format: ## fails where clang-format would change something
	@.toolchain/install-packages "make check" clang-format-19 clang-tidy-19
	@clang-format-19 --dry-run --Werror $(CHECKED) $(HEADERS)

.PHONY: layers
layers: ## fails where an include goes against the arrows of the README
	@tests/support/layers

.PHONY: usings
usings: ## fails where a file names with `using` what it does not use
	@tests/support/unused-using $(CHECKED)

# What is compiled as one is checked as one, because most of the work is headers here too. A unit is compiled first, because its
# object knows which headers it includes.
.PHONY: tidy
tidy: $(patsubst $(BUILD)/obj/%.o,$(BUILD)/tidy/%.ok,$(call objects,$(OWN)) $(TEST_OBJECTS)) ## clang-tidy over everything

define tidy
	@.toolchain/install-packages "make check" clang-format-19 clang-tidy-19
	@mkdir -p $(@D)
	@echo "TIDY $<"
	@clang-tidy-19 --quiet $< -- $(SPELLED_CXXFLAGS) 2>/dev/null
	@touch $@
endef
$(BUILD)/tidy/%.ok: %.cc $(BUILD)/obj/%.o .clang-tidy
	$(tidy)
$(BUILD)/tidy/%.ok: $(BUILD)/unity/%.cc $(BUILD)/obj/%.o .clang-tidy
	$(tidy)

# Relative to the work tree, like the real compiler calls; clangd finds headers by the files beside them.
compile_commands.json: Makefile tests/tests.mk $(BUILD)/flags $(BUILD)/version $(SYSROOT_READY) ## for clangd: how each file is compiled
	@flags=$$(printf '%s' '$(subst ','\'',$(firstword $(SPELLED_CXX)) $(SPELLED_CXXFLAGS))' | sed 's/[\"]/\\&/g'); separator='['; \
	    for file in $(CHECKED) $(wildcard tests/fuzz/*.cc tests/bench/*.cc tests/bench/*/*.cc); do \
	        printf '%s\n{"directory": "%s", "file": "%s", "command": "%s -c %s"}' "$$separator" '$(CURDIR)' "$$file" "$$flags" "$$file"; \
	        separator=,; \
	    done >$@.part; printf '\n]\n' >>$@.part
	@mv $@.part $@

