#!/bin/sh
# The kernels under valgrind with their secrets marked: a branch or an address that depends on one fails.
# Optimised, as that is what the compiler could spoil.
set -eu

cd "$(dirname "$0")/.."
binary=$(cargo test --release --lib --no-run --message-format=json | grep -o '"executable":"[^"]*"' | tail -n 1 | cut -d'"' -f4)
COFFER_CONSTANT_TIME=1 valgrind -q --error-limit=no "$binary" --test-threads=1 constant_time
