# The index of everything one can do here. `make` alone prints it.

SHELL := /bin/sh
CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
RELEASE := $(TARGET_DIR)/release
HELPER := $(RELEASE)/portolan-helper

# Debian packages: what the demo shows, and what the suites start.
DEMO_PACKAGES := redis-server nginx-light postgresql
TEST_PACKAGES := $(DEMO_PACKAGES) \
  bubblewrap busybox-static containerd crun curl dbus docker.io lxc podman runc systemd-container iproute2 util-linux \
  python3 libcap2-bin haproxy libnginx-mod-stream libnginx-mod-http-lua openssl memcached mosquitto dnsmasq-base slapd \
  beanstalkd stunnel4 tinyproxy-bin lighttpd unbound vsftpd openssh-server gunicorn supervisor postfix \
  apache2 php-fpm mariadb-server pgbouncer rabbitmq-server zookeeper liblog4j1.2-java libslf4j-java

# What the suite of clients starts, besides.
CLIENT_PACKAGES := $(DEMO_PACKAGES) busybox-static docker.io lxc iproute2 util-linux openssl mariadb-server memcached \
  rabbitmq-server mosquitto etcd-server nats-server slapd haproxy dnsmasq-base

.PHONY: help build helper demo test clients lint bench fuzz doc completions clean
.DEFAULT_GOAL := help

help: ## print this list
	@echo "portolan: what one can do here"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

build: helper ## the command and the helper, in target/release
	$(CARGO) build --release -p portolan-cli

# The helper is static, so that it needs nothing of the container, and is not position independent, which saves its
# start-up the relocations. The flags must not reach build scripts, hence --target; hence also a copy at the end.
helper: ## the static helper alone, in target/release/portolan-helper
	$(CARGO) build -p portolan-helper --profile helper --target $(HOST) \
	  --config "target.$(HOST).rustflags=['-Ctarget-feature=+crt-static','-Crelocation-model=static']"
	@mkdir -p $(RELEASE)
	@install -m 0755 $(TARGET_DIR)/$(HOST)/helper/portolan-helper $(HELPER)

demo: ## the main job on real services (installs Debian packages; needs root)
	@sh tests/packages.sh $(DEMO_PACKAGES)
	@$(MAKE) --no-print-directory build
	$(CARGO) build --release --examples
	@PORTOLAN_HELPER=$(abspath $(HELPER)) $(RELEASE)/examples/demo

test: ## all tests (installs Debian packages; needs root), ending with what was not run and why
	@sh tests/packages.sh $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory build
	@sh tests/run.sh

clients: ## every client of docs/dialers.md against its server (installs Debian packages; needs root)
	@sh tests/packages.sh $(CLIENT_PACKAGES)
	$(CARGO) clippy -p portolan-clients --all-targets -- -D warnings
	$(CARGO) test -p portolan-clients -- --nocapture

# The clients are hundreds of crates, and are judged with their own suite.
lint: ## formatting, clippy, documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --exclude portolan-clients --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --exclude portolan-clients --no-deps --all-features --document-private-items

bench: ## the budgets, as ratios against peers in the same run (needs root); ONLY=bpf for one group
	@sh tests/packages.sh util-linux iproute2 python3 busybox-static docker.io
	@$(MAKE) --no-print-directory build
	ONLY="$(ONLY)" PORTOLAN_HELPER=$(abspath $(HELPER)) $(CARGO) bench --bench budgets

# cargo-fuzz wants a nightly compiler; a stable one that is told to be one will do. What it makes goes to target/fuzz.
# The wire crate has no unsafe code, so that sanitizers would only slow it down.
SECONDS ?= 60
FUZZ_TARGETS := decoder request mountinfo pattern ids btf
FUZZ := $(abspath $(TARGET_DIR))/fuzz
fuzz: ## the fuzz targets, one minute each (SECONDS=60); installs cargo-fuzz when it is missing
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { echo "installing cargo-fuzz" && $(CARGO) install --locked cargo-fuzz; }
	@if $(CARGO) +nightly --version >/dev/null 2>&1; then nightly=+nightly; else export RUSTC_BOOTSTRAP=1; fi; \
	$(CARGO) $$nightly fuzz build --sanitizer none --target $(HOST) --target-dir $(FUZZ)
	@status=0; for target in $(FUZZ_TARGETS); do \
	  mkdir -p $(FUZZ)/corpus/$$target $(FUZZ)/found/$$target && log=$(FUZZ)/$$target.log && \
	  echo "$$target, $(SECONDS) s (see $$log)" && \
	  $(FUZZ)/$(HOST)/release/$$target -max_total_time=$(SECONDS) -timeout=5 -rss_limit_mb=1024 -max_len=8192 \
	    -print_final_stats=1 -artifact_prefix=$(FUZZ)/found/$$target/ \
	    $(FUZZ)/corpus/$$target fuzz/seeds/$$target $$(ls -d fuzz/regressions/$$target 2>/dev/null) >"$$log" 2>&1 \
	  && grep number_of_executed_units "$$log" || { status=1; grep -A40 -E 'panicked|ERROR' "$$log"; }; \
	done; exit $$status

doc: ## the documentation, in target/doc
	$(CARGO) doc --workspace --no-deps --all-features

completions: build ## shell completion files, in target/completions
	@mkdir -p $(TARGET_DIR)/completions
	@$(RELEASE)/portolan completions bash > $(TARGET_DIR)/completions/portolan.bash
	@$(RELEASE)/portolan completions zsh > $(TARGET_DIR)/completions/_portolan
	@$(RELEASE)/portolan completions fish > $(TARGET_DIR)/completions/portolan.fish
	@echo "in $(TARGET_DIR)/completions"

clean: ## everything that was built
	$(CARGO) clean
