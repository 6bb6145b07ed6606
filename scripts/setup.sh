#!/bin/sh
# Installs what building and testing need on Debian or Ubuntu, and only what is missing.
#
#   scripts/setup.sh           a C compiler and make, for `make test` and `make demo`
#   scripts/setup.sh clients   also the real clients of tests/clients
#   scripts/setup.sh aarch64   also a cross compiler, an emulator, and Rust's standard library for aarch64
#
# Rust itself comes from rustup. Running it again costs one package query.
set -eu
cd "$(dirname "$0")/.."

packages="build-essential"
case "${1:-}" in
    "") ;;
    clients)
        packages="$packages cmake curl pkgconf libclang-dev softhsm2 opensc p11-kit p11-kit-modules gnutls-bin libnss3-tools openssl
            libengine-pkcs11-openssl openssh-client tmux valgrind strace swig python3-dev python3-venv"
        # Any flavour will do, and distributions name them differently.
        command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || packages="$packages nginx-light"
        command -v javac >/dev/null || packages="$packages default-jdk-headless"
        ;;
    aarch64)
        packages="$packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static"
        ;;
    *)
        echo "usage: $0 [clients | aarch64]" >&2
        exit 2
        ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "$0 knows apt only; these packages, or what your system calls them, are needed:" $packages >&2
    exit 1
fi

missing=""
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null || true)
for package in $packages; do
    case "
$installed
" in
        *"
$package installed
"*) ;;
        *) missing="$missing $package" ;;
    esac
done

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        root=""
    elif command -v sudo >/dev/null; then
        root="sudo"
    else
        echo "missing:$missing" >&2
        echo "They need root, and there is no sudo: run as root  apt-get install$missing" >&2
        exit 1
    fi
    echo "installing:$missing"
    $root apt-get update -q
    # Started at installation, nginx would take port 80, which nobody here needs.
    $root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends $missing
fi

if ! command -v cargo >/dev/null && [ ! -x "$HOME/.cargo/bin/cargo" ]; then
    echo "cargo is missing: install Rust with rustup" >&2
    exit 1
fi

if [ "${1:-}" = aarch64 ]; then
    PATH=$PATH:$HOME/.cargo/bin
    target=aarch64-unknown-linux-gnu
    if [ ! -d "$(rustc --print target-libdir --target $target)" ]; then
        rustup target add $target
    fi
fi

if [ "${1:-}" = clients ]; then
    venv=target/python-clients
    if ! "$venv/bin/python" -c 'import pkcs11, PyKCS11' 2>/dev/null; then
        mkdir -p target
        python3 -m venv "$venv"
        "$venv/bin/pip" install -q python-pkcs11 PyKCS11 cryptography
        "$venv/bin/python" -c 'import pkcs11, PyKCS11'
    fi
fi
