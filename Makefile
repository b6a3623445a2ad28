# What there is to run. Everything needs Rust alone.

PYTHON := target/python/bin/python

.PHONY: drill test regions lint build

# A whole failover and failback on this machine. make drill ARGS="--people FILE --count N --seed N"
drill: build
	cargo run --quiet --package tests --bin drill -- $(ARGS)

# Every test of the repository. Without Python 3 and PyPI, boto3 does not try the local regions, and its test says so.
test:
	@$(MAKE) --no-print-directory $(PYTHON) || rm -rf target/python
	cargo test --workspace

# Two regions on fixed ports, for the aws CLI, boto3 or any SDK.
regions: build
	cargo run --quiet --package tests --bin regions

# The first time takes some minutes.
build:
	cargo build --workspace --bins

lint:
	cargo fmt --check
	cargo clippy --workspace --all-targets -- --deny warnings

$(PYTHON): tests/python/requirements.txt
	python3 -m venv target/python
	target/python/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@
