#!/bin/sh
# Random input under AddressSanitizer: each target of fuzz/ for FUZZ_SECONDS (60), from the committed seeds and from what
# earlier runs came to. What is found lies in fuzz/artifacts.
#   scripts/fuzz.sh [TARGET...]
set -eu
cd "$(dirname "$0")/.."
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
# The sanitizer is no stable option of the compiler.
export RUSTC_BOOTSTRAP=1
# Built in minutes, and with lines in what is found.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
export CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only
# A login is synced to the disk, and there are many.
if [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi

[ $# -gt 0 ] || set -- der records arguments calls
for target in "$@"; do
    mkdir -p "fuzz/corpus/$target"
    cargo fuzz run --features libfuzzer --target-dir target/fuzz "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="${FUZZ_SECONDS:-60}" -timeout=30 -max_len=8192 -print_final_stats=1
done
