#!/bin/sh
# The tests through the function list with the library built for AddressSanitizer: out-of-bounds accesses, uses after
# free and leaks in Rust code and in what it hands to C. Takes a few minutes to build, into target/asan.
#   scripts/asan.sh [TEST...]
set -eu

cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
[ $# -gt 0 ] || set -- operations objects login threads exports
tests=
for test in "$@"; do
    tests="$tests --test $test"
done

# The sanitizer is no stable option of the compiler. Its runtime is in the test's executable, whose symbols the
# library must find when it is loaded.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Clink-arg=-rdynamic"
# Stacks of threads that a test kills, and what is kept for the life of the process, are no leaks.
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}"
# shellcheck disable=SC2086 # a list of words
cargo test --target "$host" --target-dir target/asan $tests
