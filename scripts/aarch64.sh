#!/bin/sh
# The tests for aarch64, cross-built and run by qemu, which has NEON and the AES instructions.
#   scripts/aarch64.sh                         the tests named below; COFFER_LONG=1 takes every vector
#   scripts/aarch64.sh [ARGUMENT OF cargo test...]   those chosen
# Left to the machine's own architecture: above all what needs ptrace or namespaces, what looks into the memory of a
# process, and what is about programs of the host.
set -eu
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
# For the tests that start programs and compile some, and for cargo.
export COFFER_TEST_CC=aarch64-linux-gnu-gcc COFFER_TEST_RUNNER="qemu-aarch64-static -L /usr/aarch64-linux-gnu"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$COFFER_TEST_RUNNER"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc

cross() {
    cargo test --no-fail-fast --no-default-features --target $target "$@"
}

if [ $# -gt 0 ]; then
    cross "$@"
    exit
fi

failed=
cross --lib || failed=1
cross --test exports --test lifecycle --test objects --test operations --test tables --test vectors \
    --test vectors_asymmetric || failed=1
# SoftHSM, where it is installed, is the host's.
cross --test c_examples -- --skip softhsm --skip between_modules || failed=1
# Without the kernels' instructions, as a machine without them would do it.
COFFER_CPU=-neon,-aes,-sha512 cross --lib --test vectors || failed=1
[ -z "$failed" ]
