# Stage 1 against the 2013 design as a shell script; included by tests/tests.mk. STAGE1_KERNEL=6.1 for the older kernel.

$(BUILD)/tests/bench-mark: tests/bench/mark.cc $(SYSROOT_READY)
	@mkdir -p $(@D)
	@$(CXX) -Os -s $(STATIC) -o $@ $<

.PHONY: bench-boot
bench-boot: all $(BUILD)/tests/bench-mark ## stage 1 against a shell script: guest seconds, CPU seconds, instructions
	@.toolchain/install-packages "make bench-boot" unionfs-fuse e2fsprogs kmod python3
	@tests/support/with-machine tests/bench/boot $(BUILD) $(BUILD)/bench-boot.json $(BENCH_ARGUMENTS)
