# The commands of this repository. drill, chaos, test, regions and bench need only Rust; cdk/ needs Node.js 20.

# The binaries are started directly, because `cargo run` would compile the AWS SDKs again with the features of one package.
BUILT := $(or $(CARGO_TARGET_DIR),target)/debug
BOTO3 := target/python/pyvenv.cfg
MINISTACK := target/ministack/pyvenv.cfg
CFN_LINT := target/cfn-lint/pyvenv.cfg
DENY := target/cargo-deny/bin/cargo-deny

.PHONY: bench build chaos deny deploy deploy-local drill lint lint-templates regions test

# Plays a whole failover and failback on this machine. make drill ARGS="--people FILE --count N --seed N"
drill: build
	$(BUILT)/drill $(ARGS)

# Plays random histories of both regions, and checks what must hold after each. The seed of one that breaks a rule is printed, and
# plays it again. make chaos ARGS="--seed N --count N --jobs N --without KIND"
chaos: build
	$(BUILT)/chaos $(ARGS)

# Runs every test of the repository. Without Python 3, the tests of the local regions with boto3 are skipped, and without Node.js
# the tests of cdk/. Both print a message, and are errors in CI.
test:
	@$(MAKE) --no-print-directory $(BOTO3) || rm -rf target/python
	cargo test --locked --workspace
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory cdk/node_modules && cd cdk && npm test; \
	else echo "skipped: npm is missing, so cdk/ cannot be tested"; test -z "$$CI"; fi

# Measures the release binaries, in half an hour. Writes a table, JSON and an image to target/bench/. make bench ARGS=--quick
# Without Python 3, the comparison with a plain boto3 export is left out.
bench:
	@$(MAKE) --no-print-directory $(BOTO3) || rm -rf target/python
	cargo build --locked --release
	cargo run --locked --quiet --release --package tests --bin bench -- $(ARGS)

# Runs two local regions on fixed ports, for the aws CLI, boto3 or any SDK.
regions: build
	$(BUILT)/regions

# Deploys the stacks to AWS. Fill in cdk/twinpool.config.ts first. make deploy ARGS="--require-approval never"
deploy: cdk/node_modules
	cd cdk && npm run --silent deploy -- $(ARGS)

# Deploys the stacks on this machine, with the real cdk and without an AWS account. Needs Node.js and Python 3.10. It deploys the
# same debug binaries that the tests use, so that nothing is compiled twice.
deploy-local: build $(MINISTACK) cdk/node_modules
	target/ministack/bin/python cdk/local/deploy.py $(BUILT)

# The first build takes some minutes.
build:
	cargo build --locked --workspace --bins

# Formatting, lints and documentation. The last command compiles only the packages that are deployed, because a build of the whole
# workspace hides a feature that one of them forgot to enable.
lint:
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --workspace --no-deps --document-private-items
	cargo check --locked

# Checks the licences, the sources and the advisories of all crates. Without a network, the advisories are skipped.
deny: $(DENY)
	$(DENY) check --hide-inclusion-graph licenses bans sources
	@if $(DENY) fetch db 2>/dev/null; then $(DENY) check --hide-inclusion-graph advisories; \
	else echo "skipped: the database of advisories cannot be reached"; fi

# Checks the templates of all variants with cfn-lint.
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

# A debug build, because it takes half the time, and checking takes seconds.
$(DENY):
	cargo install --locked --debug --quiet --root target/cargo-deny cargo-deny@0.20.2
