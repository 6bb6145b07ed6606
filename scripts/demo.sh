#!/bin/sh
# The main job, shown: two tokens, keys that wrap and are wrapped, and a triple DES key moved from one token to
# the other by RSA-AES wrap. Called by `make demo`.
set -eu

dir=${1:-demo}
root=$(cd "$(dirname "$0")/.." && pwd)
library=$root/target/release/libcoffer_pkcs11.so
coffer=$root/target/release/coffer

rm -rf "$dir"
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
printf 'token_dir = "tokens"\nlog_file = "log"\n' >"$dir/coffer.toml"
export COFFER_CONF="$dir/coffer.toml"
make -s -C "$root/c-examples" BUILD="$dir/bin"

PIN=1234-demo
COFFER_SO_PIN=87654321-demo COFFER_PIN=$PIN "$coffer" token init --label old >/dev/null
COFFER_SO_PIN=87654321-demo COFFER_PIN=$PIN "$coffer" token init --label new >/dev/null
"$coffer" token list --json
echo

run() {
    echo "== $1"
    program=$1
    shift
    "$dir/bin/$program" --library "$library" "$@"
    echo
}

run rsa_wrapping --pin $PIN --slot 0
run des_ecb --pin $PIN --slot 0
run migrate_3des --from-slot 0 --from-pin $PIN --to-slot 1 --to-pin $PIN
run ml_kem --pin $PIN --slot 0
echo "All of it is right. The tokens are in $dir/tokens; COFFER_CONF=$COFFER_CONF lets any program use them."
