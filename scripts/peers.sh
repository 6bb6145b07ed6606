#!/bin/sh
# Sets up the modules that `make bench` measures beside Coffer, and says where they are, a path a line.
#
#   scripts/peers.sh           installs and builds what is missing, then lists
#   scripts/peers.sh list      lists only
#
# SoftHSM2, NSS softokn and openCryptoki come from apt, kryoptic from crates.io with OpenSSL 3.6 (Debian's is too old for
# its post-quantum part). What cannot be had is left out, and standard error says so.
set -eu

cache=${COFFER_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/coffer-peers}
kryoptic=1.5.4
openssl=300.6.1

say() { echo "peers: $*" >&2; }

install_packages() {
    command -v apt-get >/dev/null || { say "no apt: SoftHSM2, NSS and openCryptoki are taken if they are there"; return 0; }
    missing=""
    for package in softhsm2 libnss3 opencryptoki libclang-dev perl; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    root=""
    [ "$(id -u)" = 0 ] || root=sudo
    say "installing$missing"
    $root apt-get update -q >&2 || say "apt-get update failed"
    for package in $missing; do
        # Its daemon is started below, by hand and only for the measurement.
        $root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
            apt-get install -q -y --no-install-recommends "$package" >&2 || say "$package is not to be had"
    done
}

# A crate that is a shared library is no dependency: its source is fetched by name, and built where it lies.
build_kryoptic() {
    library=$cache/target/release/libkryoptic_pkcs11.so
    [ ! -e "$library" ] || return 0
    command -v cargo >/dev/null || PATH=$PATH:$HOME/.cargo/bin
    mkdir -p "$cache/fetch/src"
    : >"$cache/fetch/src/lib.rs"
    cat >"$cache/fetch/Cargo.toml" <<TOML
[package]
name = "fetch"
version = "0.0.0"
edition = "2024"
[dependencies]
kryoptic = { version = "=$kryoptic", default-features = false }
openssl-src = "=$openssl"
[workspace]
TOML
    say "building kryoptic $kryoptic with OpenSSL of openssl-src $openssl: ten minutes on two cores"
    (cd "$cache/fetch" && cargo vendor -q ../vendor >/dev/null)
    rm -rf "$cache/kryoptic" "$cache/openssl"
    cp -R "$cache/vendor/kryoptic" "$cache/kryoptic"
    cp -R "$cache/vendor/openssl-src/openssl" "$cache/openssl"
    # kryoptic takes a libcrypto.a that lies in the sources; the crate has what a static build needs, no more.
    (cd "$cache/openssl" &&
        ./Configure no-shared no-legacy no-module no-apps no-tests no-docs no-atexit no-deprecated \
            enable-ec_nistp_64_gcc_128 >configure.log 2>&1 &&
        make -j"$(nproc)" build_generated >make.log 2>&1 && make -j"$(nproc)" libcrypto.a >>make.log 2>&1)
    (cd "$cache/kryoptic" && KRYOPTIC_OPENSSL_SOURCES="$cache/openssl" CARGO_TARGET_DIR="$cache/target" \
        cargo build -q --release --no-default-features --features standard,pqc,ossl/ossl-sys >&2)
}

# The daemon and the soft token, unless somebody runs them already. Takes root.
start_opencryptoki() {
    command -v pkcsslotd >/dev/null || [ -x /usr/sbin/pkcsslotd ] || return 0
    pidof pkcsslotd >/dev/null && return 0
    [ "$(id -u)" = 0 ] || { say "openCryptoki's daemon is not running, and starting it takes root"; return 0; }
    /usr/sbin/pkcsslotd >&2 || say "openCryptoki's daemon does not start"
}

if [ "${1:-}" != list ]; then
    install_packages
    build_kryoptic || say "kryoptic could not be built"
    start_opencryptoki
fi

# The first place of each that is there.
first() {
    name=$1
    shift
    for place in "$@"; do
        if [ -e "$place" ]; then
            echo "$place"
            return 0
        fi
    done
    say "$name is absent"
}

multiarch=$(gcc -print-multiarch 2>/dev/null || uname -m)
first SoftHSM2 "/usr/lib/$multiarch/softhsm/libsofthsm2.so" /usr/lib/softhsm/libsofthsm2.so /usr/lib64/softhsm/libsofthsm.so
first "NSS softokn" "/usr/lib/$multiarch/libsoftokn3.so" "/usr/lib/$multiarch/nss/libsoftokn3.so" /usr/lib64/libsoftokn3.so
first kryoptic "$cache/target/release/libkryoptic_pkcs11.so"
if pidof pkcsslotd >/dev/null; then
    first openCryptoki "/usr/lib/$multiarch/libopencryptoki.so.0" /usr/lib64/opencryptoki/libopencryptoki.so
else
    say "openCryptoki is left out: its daemon does not run"
fi
