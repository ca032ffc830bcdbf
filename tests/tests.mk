# make's part for tests, checks and benchmarks; included by the Makefile.

.PHONY: test
test: test-unit test-parity test-boot ## all tests: unit, parity, and real boots

# Tests that need root say so and are skipped, counted, without it.
.PHONY: test-unit
test-unit: $(BUILD)/tests/unit all ## unit tests, and effects on real disks and mounts
	$(BUILD)/tests/unit

.PHONY: test-parity
test-parity: $(BUILD)/tests/parity all ## the union against overlayfs and a plain folder
	$(BUILD)/tests/parity

.PHONY: test-boot
test-boot: $(BUILD)/tests/boot all ## boots of real machines
	$(BUILD)/tests/boot

# --- checks ---
CHECKED = $(OWN) $(TESTS)
HEADERS = $(wildcard mounts/*.h mounts/*/*.h unionfs/*.h unionfs/*/*.h stage1/*.h stage1/*/*.h hostside/*.h hostside/*/*.h tests/*/*.h)

.PHONY: check
check: format layers tidy ## format, layers and clang-tidy

.PHONY: format
format: ## fails where clang-format would change something
	@.toolchain/install-packages "make check" clang-format-19 clang-tidy-19
	@clang-format-19 --dry-run --Werror $(CHECKED) $(HEADERS)

.PHONY: layers
layers: ## fails where an include goes against the arrows of the README
	@tests/support/layers

.PHONY: tidy
tidy: $(patsubst %.cc,$(BUILD)/tidy/%.ok,$(CHECKED)) ## clang-tidy over everything

$(BUILD)/tidy/%.ok: %.cc .clang-tidy $(SYSROOT_READY)
	@.toolchain/install-packages "make check" clang-format-19 clang-tidy-19
	@mkdir -p $(@D)
	clang-tidy-19 --quiet $< -- --target=x86_64-linux-musl --sysroot=$(SYSROOT) -stdlib=libc++ $(ALL_CXXFLAGS) 2>/dev/null
	@touch $@

-include tests/fuzz/fuzz.mk tests/bench/nixdb.mk
