.PHONY: test-export
test-export: all ## what `runvm export` writes, booted by libvirt (root); KUBEVIRT=FILE and NOMAD=DIR: by their own keys
	@[ "$$(id -u)" = 0 ] || { echo "test-export: needs root, for libvirt's embedded driver" >&2; exit 1; }
	@.toolchain/install-packages "make test-export" libvirt-clients libvirt-daemon-driver-qemu python3 python3-jsonschema git
	@KUBEVIRT='$(KUBEVIRT)' NOMAD='$(NOMAD)' tests/support/with-machine tests/export/boot $(BUILD)/runvm
