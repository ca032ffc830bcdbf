# Compares stage 1 with the 2013 design as a shell script; included by tests/tests.mk. STAGE1_KERNEL=6.1 selects the older
# kernel, BENCH_ARGUMENTS="--runs N", --quick or "--rows existing/off,fresh" a part of the table (tests/bench/boot says more).
# NIXPKGS=DIR (NIXPKGS_LIB=DIR) adds NixOS's systemd initrd, with its units and with ours.

bench_boot := $(BUILD)/tests/bench-mark $(BUILD)/tests/bench-floor $(BUILD)/tests/bench-instructions.so

# At addresses that no other program uses, so that counting instructions stops at its first one.
$(BUILD)/tests/bench-mark: LDFLAGS += -Wl,--image-base=0x70000000
$(BUILD)/tests/bench-mark $(BUILD)/tests/bench-floor: $(BUILD)/tests/bench-%: tests/bench/%.cc $(SYSROOT_READY)
	@mkdir -p $(@D)
	@$(CXX) -Os -s $(LDFLAGS) $(STATIC) -o $@ $<

# QEMU loads it, so it is linked with the host's C library.
$(BUILD)/tests/bench-instructions.so: tests/bench/instructions.cc
	@mkdir -p $(@D)
	@.toolchain/install-packages "make bench-boot" clang-19
	@clang-19 -x c++ -std=c++20 -O2 -shared -fPIC -fno-exceptions -o $@ $<

.PHONY: bench-boot
bench-boot: all $(bench_boot) ## stage 1 against a shell script: guest seconds, CPU seconds, instructions
	@.toolchain/install-packages "make bench-boot" unionfs-fuse e2fsprogs kmod python3 busybox-static binutils xz-utils
	@[ -z '$(NIXPKGS)' ] || .toolchain/install-packages "make bench-boot NIXPKGS=DIR" nix-bin
	@$(if $(NIXPKGS),NIXPKGS='$(NIXPKGS)' NIXPKGS_LIB='$(NIXPKGS_LIB)') tests/support/with-machine tests/bench/boot $(BUILD) $(BUILD)/bench-boot$(STAGE1_KERNEL:%=-%).json $(BENCH_ARGUMENTS)
