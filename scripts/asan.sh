#!/bin/sh
# AddressSanitizer and LeakSanitizer: out-of-bounds accesses, uses after free, leaks.
#   scripts/asan.sh                   the C examples, which then watch their heap and the library's
#   scripts/asan.sh --rust [TEST...]  the library itself and the tests that go through it are built for it, into
#                                     target/asan: takes some minutes
set -eu
cd "$(dirname "$0")/.."
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}" UBSAN_OPTIONS=halt_on_error=1

if [ "${1:-}" != --rust ]; then
    export CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined"
    exec sh scripts/each_example.sh env
fi

shift
[ $# -gt 0 ] || set -- operations objects login threads messages hostile
tests=
for test in "$@"; do
    tests="$tests --test $test"
done
host=$(rustc -vV | sed -n 's/^host: //p')
# The sanitizer is no stable option of the compiler. Its runtime is in the test's executable, whose symbols the
# library must find when it is loaded.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Clink-arg=-rdynamic"
# shellcheck disable=SC2086 # a list of words
cargo test --no-fail-fast --target "$host" --target-dir target/asan $tests
