# What there is to run. drill, test, regions and bench need Rust alone; cdk/ needs Node.js 20.

# Not `cargo run`, which would compile the AWS SDKs anew for the features of one package.
BUILT := $(or $(CARGO_TARGET_DIR),target)/debug
BOTO3 := target/python/pyvenv.cfg
MINISTACK := target/ministack/pyvenv.cfg
CFN_LINT := target/cfn-lint/pyvenv.cfg

.PHONY: bench build deploy deploy-local drill lint lint-templates regions test

# A whole failover and failback on this machine. make drill ARGS="--people FILE --count N --seed N"
drill: build
	$(BUILT)/drill $(ARGS)

# Every test of the repository. Without Python 3, boto3 does not try the local regions, and without Node.js, cdk/ is not
# tested: both say so, and are errors in CI.
test:
	@$(MAKE) --no-print-directory $(BOTO3) || rm -rf target/python
	cargo test --workspace
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory cdk/node_modules && cd cdk && npm test; \
	else echo "skipped: there is no npm to test cdk/ with"; test -z "$$CI"; fi

# What the release binaries take and use, as a table, as JSON and as an image in target/bench/; half an hour.
# make bench ARGS=--quick. Without Python 3 there is no plain export to compare with.
bench:
	@$(MAKE) --no-print-directory $(BOTO3) || rm -rf target/python
	cargo build --release
	cargo run --quiet --release --package tests --bin bench -- $(ARGS)

# Two regions on fixed ports, for the aws CLI, boto3 or any SDK.
regions: build
	$(BUILT)/regions

# Both stacks into AWS, after filling in cdk/twinpool.config.ts. make deploy ARGS="--require-approval never"
deploy: cdk/node_modules
	cd cdk && npm run --silent deploy -- $(ARGS)

# Both stacks on this machine, without an AWS account: the real cdk, the release binaries. Needs Node.js and Python 3.10.
deploy-local: $(MINISTACK) cdk/node_modules
	cargo build --release --package backup-fn --package replicate-fn --package restore-fn
	target/ministack/bin/python cdk/local/deploy.py

# The first time takes some minutes.
build:
	cargo build --workspace --bins

lint:
	cargo fmt --check
	cargo clippy --workspace --all-targets -- --deny warnings

# The templates of both ways through cfn-lint.
lint-templates: $(CFN_LINT) cdk/node_modules
	cd cdk && npm run --silent templates && ../target/cfn-lint/bin/cfn-lint

cdk/node_modules: cdk/package-lock.json
	cd cdk && npm ci --no-audit --no-fund
	touch $@

$(BOTO3): tests/python/requirements.txt
$(MINISTACK): cdk/local/requirements.txt
$(CFN_LINT): cdk/requirements.txt
$(BOTO3) $(MINISTACK) $(CFN_LINT):
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@
