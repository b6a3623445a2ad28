# The commands of this repository. drill, chaos, test, regions and bench need only Rust; cdk/ and demo need Node.js 20.

# Commands run in other folders too, where a relative path would mean another file.
ifneq ($(CARGO_TARGET_DIR),)
export CARGO_TARGET_DIR := $(abspath $(CARGO_TARGET_DIR))
endif
ifneq ($(TWINPOOL_CONFIG),)
export TWINPOOL_CONFIG := $(abspath $(TWINPOOL_CONFIG))
endif

# The binaries are started directly, because `cargo run` would compile the AWS SDKs again with the features of one package.
BUILT := $(or $(CARGO_TARGET_DIR),target)/debug
BOTO3 := target/python/pyvenv.cfg
MINISTACK := target/ministack/pyvenv.cfg
CFN_LINT := target/cfn-lint/pyvenv.cfg
PACKAGING := target/packaging/pyvenv.cfg
DENY := target/cargo-deny/bin/cargo-deny
CHROMIUM ?= $(firstword $(wildcard /usr/bin/chromium /usr/bin/google-chrome) /usr/bin/chromium)

.PHONY: bench build chaos demo deny deploy deploy-local drill lint lint-templates package regions test test-web

# Plays a whole failover and failback on this machine. make drill ARGS="--people FILE --count N --seed N"
drill: build
	$(BUILT)/drill $(ARGS)

# Serves a page in which a failover can be seen in a browser, with a button for each step. Needs Node.js. make demo ARGS="--port N"
demo: build examples/web/node_modules
	cd examples/web && npm run --silent build
	$(BUILT)/demo $(ARGS)

# Plays random histories of both regions, and checks what must hold after each. The seed of one that breaks a rule is printed, and
# plays it again. make chaos ARGS="--seed N --count N --jobs N --without KIND"
chaos: build
	$(BUILT)/chaos $(ARGS)

# Runs every test of the repository. Without Python 3, the tests of the local regions with boto3 and pycognito are skipped, without Node.js
# those with the clients of pages, and the tests of cdk/ and examples/web, without Chromium the failover in a browser. Each prints a
# message, and is an error in CI.
test:
	@$(MAKE) --no-print-directory $(BOTO3) || rm -rf target/python
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory tests/javascript/node_modules; fi
	cargo test --locked --workspace
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory test-web cdk/node_modules && cd cdk && npm test; \
	else echo "skipped: npm is missing, so cdk/ and examples/web cannot be tested"; test -z "$$CI"; fi

# A part of make test: the page of examples/web, the code of docs/application.md, and a failover in a real browser. In CI, Chromium is
# installed if it is missing. UPDATE_IMAGES=1 takes the pictures of the guide again. make test-web CHROMIUM=FILE for another browser
test-web: build examples/web/node_modules
	@if [ -n "$$CI" ] && [ ! -x "$(CHROMIUM)" ]; then \
	apt-get update -q && apt-get install -y -q --no-install-recommends chromium; fi
	cd examples/web && CHROMIUM="$(CHROMIUM)" npm test

# Measures the release binaries, in about two hours. Writes a table, JSON and an image to target/bench/. make bench ARGS=--quick
# Without Python 3, the comparison with a plain boto3 export is left out.
bench:
	@$(MAKE) --no-print-directory $(BOTO3) || rm -rf target/python
	cargo build --locked --release
	cargo run --locked --quiet --release --package tests --bin bench -- $(ARGS)

# Runs two local regions on fixed ports, for the aws CLI, boto3 or any SDK.
regions: build
	$(BUILT)/regions

# Deploys the stacks to AWS. Fill in cdk/twinpool.config.ts first. make deploy ARGS="--require-approval never"
# Another pair of pools has another configuration: make deploy TWINPOOL_CONFIG=cdk/orders.config.ts
deploy: cdk/node_modules
	cd cdk && npm run --silent deploy -- $(ARGS)

# Deploys the stacks on this machine, with the real cdk and without an AWS account. Needs Node.js and Python 3.10. It deploys the
# same debug binaries that the tests use, so that nothing is compiled twice. make deploy-local UPGRADE_FROM=HEAD^ deploys with the CDK
# app of that commit first, and upgrades it.
deploy-local: build $(MINISTACK) cdk/node_modules
	target/ministack/bin/python cdk/local/deploy.py $(BUILT) $(UPGRADE_FROM)

# Makes everything that a release contains, in target/package/: the functions and the command line for both architectures, templates,
# the CDK package, SBOMs and checksums. make package ARCHITECTURES=x86_64 for one architecture
package: $(PACKAGING) target/packaging/bin/cargo-cyclonedx cdk/node_modules
	packaging/package

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

# Checks the templates with cfn-lint: of all variants, of the app that uses the CDK package, and of a release.
lint-templates: $(CFN_LINT) cdk/node_modules
	cd cdk && npm run --silent templates && npm run --silent release-templates -- cdk.out/lint && ../target/cfn-lint/bin/cfn-lint

NODE_FOLDERS := cdk examples/web tests/javascript
$(NODE_FOLDERS:%=%/node_modules): %/node_modules: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	touch $@

$(BOTO3): tests/python/requirements.txt
$(MINISTACK): cdk/local/requirements.txt
$(CFN_LINT): cdk/requirements.txt
$(PACKAGING): packaging/requirements.txt
$(BOTO3) $(MINISTACK) $(CFN_LINT) $(PACKAGING):
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

target/packaging/bin/cargo-cyclonedx: $(PACKAGING)
	cargo install --quiet cargo-cyclonedx --version 0.5.9 --locked --root target/packaging

# A debug build, because it takes half the time, and checking takes seconds.
$(DENY):
	cargo install --locked --debug --quiet --root target/cargo-deny cargo-deny@0.20.2
