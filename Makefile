# Two commands for everyone: `make demo` and `make test`. Both do all set-up.

CARGO   ?= cargo
# release, or debug.
PROFILE ?= release
DEMO    ?= demo

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
SHARE  ?= $(PREFIX)/share
MANDIR ?= $(SHARE)/man
# Where p11-kit looks: pkg-config --variable=p11_module_configs p11-kit-1
P11_KIT_MODULES ?= $(PREFIX)/share/p11-kit/modules
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

TARGET  := $(or $(CARGO_TARGET_DIR),target)
BUILT   := $(TARGET)/$(PROFILE)
LIBRARY := $(BUILT)/libcoffer_pkcs11.so
COMMAND := $(BUILT)/coffer

# Where rustup puts cargo, for shells that have not read its profile yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: all build setup setup-clients demo test test-long test-aarch64 fuzz lint bench bench-quick bench-cpus bench-instructions layout install uninstall clean

all: build

build:
	$(CARGO) build --profile $(PROFILE:debug=dev)

# What a fresh Debian or Ubuntu machine lacks; a no-op where all is there.
setup:
	sh scripts/setup.sh

setup-clients:
	sh scripts/setup.sh clients

demo: setup
	$(MAKE) build
	sh scripts/demo.sh "$(DEMO)" "$(BUILT)"

# The quick refusals first: form, lints, what does not compile, bindings that are not what the headers say.
test: setup-clients
	$(MAKE) lint
	$(CARGO) check --workspace --all-targets --features coffer/bindgen
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace --no-fail-fast

# Every vector, every kill point, a thousand bit flips, long races; memory and constant time under valgrind; random input.
test-long: setup-clients
	$(CARGO) clippy --no-default-features --all-targets -- -D warnings
	$(CARGO) build --workspace --all-targets
	COFFER_LONG=1 $(CARGO) test --workspace --no-fail-fast --bins --test '*'
	COFFER_LONG=1 $(CARGO) test --workspace --no-fail-fast --lib --profile long
	sh scripts/valgrind.sh
	sh scripts/asan.sh
	sh scripts/constant_time.sh
	sh scripts/fuzz.sh

# For aarch64, cross-built and run by qemu; COFFER_LONG=1 takes every vector.
test-aarch64:
	sh scripts/setup.sh aarch64
	sh scripts/aarch64.sh

# FUZZ_SECONDS (60) for each target.
fuzz: setup
	sh scripts/fuzz.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

BENCH      := $(BUILT)/coffer-bench
BENCH_ARGS ?=

# Beside the peers and bare AWS-LC, three quarters of an hour; writes docs/performance.md, its chart, and JSON.
bench: setup
	$(CARGO) build --profile $(PROFILE:debug=dev) --package coffer --package coffer-bench
	$(BENCH) --module $(LIBRARY) $$(sh scripts/peers.sh | sed 's/^/--module /') --json $(TARGET)/bench.json \
	    --svg docs/performance.svg --markdown docs/performance.md $(BENCH_ARGS)

# Beside bare AWS-LC only, two minutes.
bench-quick:
	$(CARGO) build --profile $(PROFILE:debug=dev) --package coffer --package coffer-bench
	$(BENCH) --quick $(BENCH_ARGS)

# As on other processors, beside bare AWS-LC: without AVX-512, without VAES too, without vectors of more than 128 bits. The
# first word takes the instructions from the kernels, the second from AWS-LC on both sides (the processor's words of them).
bench-cpus:
	RUSTFLAGS="--cfg coffer_cpu" CARGO_TARGET_DIR=$(TARGET)/cpus \
	    $(CARGO) build --release --package coffer --package coffer-bench
	for off in -avx512,-ifma,-vbmi=0xd0230000 -avx512,-ifma,-vbmi,-vaes,-vpclmulqdq=0x600d0230000 \
	    -avx512,-ifma,-vbmi,-vaes,-vpclmulqdq,-avx2=0x600d0230020; do \
	    export COFFER_CPU=$${off%=*} OPENSSL_ia32cap=":~$${off#*=}"; \
	    echo "COFFER_CPU=$$COFFER_CPU OPENSSL_ia32cap=$$OPENSSL_ia32cap"; \
	    $(TARGET)/cpus/release/coffer-bench --quick --only 16k --only 1m $(BENCH_ARGS) || exit; \
	done

# Fails if a small operation takes 3 % more or fewer instructions than benches/instructions.json says. BENCH_ARGS=--accept
# writes that file anew.
bench-instructions: setup-clients
	$(CARGO) build --profile $(PROFILE:debug=dev) --package coffer --package coffer-bench
	$(BENCH) --instructions benches/instructions.json $(BENCH_ARGS)

# Which functions stand together in the library: those on the way of calls, as callgrind sees them.
layout: setup-clients
	$(CARGO) build --profile $(PROFILE:debug=dev) --package coffer --package coffer-bench
	$(BENCH) --layout src/hot.ld

# Takes what is built, so that root needs no Rust: make build && sudo make install
install: $(LIBRARY) $(COMMAND)
	install -d "$(DESTDIR)$(LIBDIR)/pkcs11" "$(DESTDIR)$(LIBDIR)/pkgconfig" "$(DESTDIR)$(PREFIX)/bin"
	install -d "$(DESTDIR)$(PREFIX)/include/coffer" "$(DESTDIR)$(P11_KIT_MODULES)"
	install -m 755 "$(LIBRARY)" "$(DESTDIR)$(LIBDIR)/pkcs11/libcoffer_pkcs11.so"
	install -m 755 "$(COMMAND)" "$(DESTDIR)$(PREFIX)/bin/coffer"
	"$(COMMAND)" generate-pages --man "$(DESTDIR)$(MANDIR)/man1" --bash "$(DESTDIR)$(SHARE)/bash-completion/completions" \
	    --zsh "$(DESTDIR)$(SHARE)/zsh/site-functions" --fish "$(DESTDIR)$(SHARE)/fish/vendor_completions.d" >/dev/null
	install -m 644 include/*.h "$(DESTDIR)$(PREFIX)/include/coffer"
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	    packaging/coffer.pc.in > "$(DESTDIR)$(LIBDIR)/pkgconfig/coffer.pc"
	sed -e 's|@LIBDIR@|$(LIBDIR)|' packaging/coffer.module.in > "$(DESTDIR)$(P11_KIT_MODULES)/coffer.module"
	chmod 644 "$(DESTDIR)$(LIBDIR)/pkgconfig/coffer.pc" "$(DESTDIR)$(P11_KIT_MODULES)/coffer.module"

$(LIBRARY) $(COMMAND):
	$(MAKE) build

uninstall:
	rm -f "$(DESTDIR)$(LIBDIR)/pkcs11/libcoffer_pkcs11.so" "$(DESTDIR)$(LIBDIR)/pkgconfig/coffer.pc"
	rm -f "$(DESTDIR)$(PREFIX)/bin/coffer" "$(DESTDIR)$(P11_KIT_MODULES)/coffer.module"
	rm -f "$(DESTDIR)$(MANDIR)/man1/coffer.1" "$(DESTDIR)$(MANDIR)/man1"/coffer-*.1
	rm -f "$(DESTDIR)$(SHARE)/bash-completion/completions/coffer" "$(DESTDIR)$(SHARE)/zsh/site-functions/_coffer"
	rm -f "$(DESTDIR)$(SHARE)/fish/vendor_completions.d/coffer.fish"
	rm -rf "$(DESTDIR)$(PREFIX)/include/coffer"

clean:
	$(CARGO) clean
	rm -rf "$(DEMO)"
