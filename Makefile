# What there is to run. Everything needs Rust alone; where there is Python 3, `make test` lets boto3 try the local regions.

PYTHON := target/python/bin/python

.PHONY: drill test regions lint

# A whole failover and failback on this machine. make drill ARGS="--people FILE --count N --seed N"
drill:
	cargo run --quiet --package tests --bin drill -- $(ARGS)

# Every test of the repository.
test: $(if $(shell command -v python3),$(PYTHON))
	cargo test --workspace

# Two regions on fixed ports, for the aws CLI, boto3 or any SDK.
regions:
	cargo run --quiet --package tests --bin regions

lint:
	cargo fmt --check
	cargo clippy --workspace --all-targets -- --deny warnings

$(PYTHON): tests/python/requirements.txt
	python3 -m venv target/python
	target/python/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@
