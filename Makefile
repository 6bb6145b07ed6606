# Two commands for everyone: `make demo` and `make test`. Both do all set-up.

CARGO  ?= cargo
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
DEMO   ?= demo
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

.PHONY: all build setup setup-clients demo test test-long lint install uninstall clean

all: build

build:
	$(CARGO) build --release

# What a fresh Debian or Ubuntu machine lacks; a no-op where all is there.
setup:
	sh scripts/setup.sh

setup-clients:
	sh scripts/setup.sh clients

demo: setup build
	sh scripts/demo.sh "$(DEMO)"

test: setup-clients lint
	$(CARGO) build --workspace
	$(CARGO) test --workspace

# Every vector, every kill point, a thousand bit flips, long races.
test-long: setup-clients
	$(CARGO) build --workspace
	COFFER_LONG=1 $(CARGO) test --workspace
	sh scripts/valgrind.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

install: build
	install -d "$(DESTDIR)$(LIBDIR)/pkcs11" "$(DESTDIR)$(LIBDIR)/pkgconfig" "$(DESTDIR)$(PREFIX)/bin"
	install -d "$(DESTDIR)$(PREFIX)/include/coffer" "$(DESTDIR)$(PREFIX)/share/p11-kit/modules"
	install -m 755 target/release/libcoffer_pkcs11.so "$(DESTDIR)$(LIBDIR)/pkcs11/"
	install -m 755 target/release/coffer "$(DESTDIR)$(PREFIX)/bin/"
	cp -R include/. "$(DESTDIR)$(PREFIX)/include/coffer/"
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	    packaging/coffer.pc.in > "$(DESTDIR)$(LIBDIR)/pkgconfig/coffer.pc"
	sed -e 's|@LIBDIR@|$(LIBDIR)|' packaging/coffer.module.in \
	    > "$(DESTDIR)$(PREFIX)/share/p11-kit/modules/coffer.module"

uninstall:
	rm -f "$(DESTDIR)$(LIBDIR)/pkcs11/libcoffer_pkcs11.so" "$(DESTDIR)$(LIBDIR)/pkgconfig/coffer.pc"
	rm -f "$(DESTDIR)$(PREFIX)/bin/coffer" "$(DESTDIR)$(PREFIX)/share/p11-kit/modules/coffer.module"
	rm -rf "$(DESTDIR)$(PREFIX)/include/coffer"

clean:
	$(CARGO) clean
	rm -rf "$(DEMO)"
