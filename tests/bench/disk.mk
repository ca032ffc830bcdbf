# Compares formatting with mke2fs; included by tests/tests.mk.

.PHONY: bench-disk
bench-disk: all ## formatting an empty disk: `stage1 devices` against `mke2fs -t ext4`, interleaved (root)
	@.toolchain/install-packages "make bench-disk" e2fsprogs
	@tests/bench/disk $(BUILD)/stage1 $(BUILD)/bench-disk.json
