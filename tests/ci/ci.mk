.PHONY: test-ci-examples
test-ci-examples: ## the examples of a CI's step (tests/ci), by their schemas: npm
	@.toolchain/install-packages "make test-ci-examples" npm git
	@tests/ci/check
