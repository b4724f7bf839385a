# The front door. Every target works from a fresh clone on Debian 12, as root or with sudo.
BUILD ?= build
TEST_BUILD ?= build-test
FUZZ_SECONDS ?= 60
# Not position-independent: a process with a sanitizer has half a million pointers to relocate otherwise, at each start.
MESON_TEST_FLAGS = -Db_pie=false -Dc_link_args=-no-pie -Dtests=true -Dcrash_points=true -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Dwerror=true

.PHONY: all run test check bench bench-mailauth bench-spam fuzz lint install clean help setup-run setup-test test-build install-hint

all: setup-run ## build the release binary at build/postern
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD)
	@ninja -C $(BUILD)

run: all ## install what is missing, build, start a relay on 127.0.0.1:2525 that delivers to `postern sink`
	@scripts/demo.sh $(BUILD)/postern

test: setup-test test-build all ## everything: unit tests, fuzz corpora, conversations with real servers
	@scripts/test.sh $(TEST_BUILD) all

check: setup-test test-build ## the daily part of `make test`: under three minutes
	@scripts/test.sh $(TEST_BUILD) daily

test-build:
	@test -f $(TEST_BUILD)/build.ninja || meson setup $(TEST_BUILD) $(MESON_TEST_FLAGS)
	@ninja -C $(TEST_BUILD)

bench: all ## messages per second against Postfix on this machine (needs root; about 15 minutes)
	@scripts/setup.sh bench
	@tests/bench/run.sh $(BUILD)/postern

bench-mailauth: ## SPF, DKIM, DMARC, ARC: messages per CPU second against C libraries and npm's mailauth (about 10 minutes)
	@scripts/setup.sh bench
	@test -f build-bench/build.ninja || meson setup build-bench -Dtests=true -Dbuildtype=release
	@ninja -C build-bench tests/bench/mailauth/mailauth_ours tests/bench/mailauth/mailauth_peers
	@tests/bench/mailauth/run.py build-bench

bench-spam: ## how much spam is caught, and its CPU, against SpamAssassin, bogofilter, Rspamd on real mail (--fresh: ARGS=--fresh, 15 minutes)
	@scripts/setup.sh bench
	@test -f build-bench/build.ninja || meson setup build-bench -Dtests=true -Dbuildtype=release
	@ninja -C build-bench tests/bench/spam/spam_corpus
	@tests/bench/spam/run.sh build-bench/tests/bench/spam/spam_corpus $(ARGS)

fuzz: ## each fuzz target for FUZZ_SECONDS (60)
	@scripts/setup.sh fuzz
	@test -f build-fuzz/build.ninja || CC=clang meson setup build-fuzz -Dfuzz=true -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
	@ninja -C build-fuzz
	@tests/fuzz/run.sh build-fuzz $(FUZZ_SECONDS)

lint: test-build ## clang-tidy, cppcheck, and the checks of the web pages
	@scripts/setup.sh lint
	@scripts/lint.sh $(TEST_BUILD)

setup-run:
	@scripts/setup.sh run

setup-test:
	@scripts/setup.sh test

install: all ## put program, manual pages and service file below /usr (DESTDIR is honoured)
	@meson install -C $(BUILD)

clean: ## remove what was built
	rm -rf $(BUILD) $(TEST_BUILD) build-fuzz

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16
