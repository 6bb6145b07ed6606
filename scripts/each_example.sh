#!/bin/sh
# Every C example, run by a tool that watches it, on tokens of its own: the first that the tool or the example itself
# is not content with ends this. CFLAGS goes to the examples' compiler.
#   scripts/each_example.sh TOOL [ARGUMENT...]
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
built=$root/target/debug
library=${COFFER_MODULE:-$built/libcoffer_pkcs11.so}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export COFFER_CONF="$work/coffer.toml" COFFER_SO_PIN=so-pin-1234 COFFER_PIN=user-pin-1234
printf 'token_dir = "tokens"\nlog_file = "log"\n' >"$COFFER_CONF"
for label in one two; do
    "$built/coffer" token init --label $label >/dev/null
done
make -s -C "$root/c-examples" BUILD="$work/bin"

for source in "$root"/c-examples/*.c; do
    name=$(basename "$source" .c)
    case $name in
    common | des_ecb_key) continue ;;
    # Takes the slot that is still free.
    init_token) options="--so-pin $COFFER_SO_PIN --pin $COFFER_PIN --label three" ;;
    trusted_key) options="--so-pin $COFFER_SO_PIN --slot 0 --label trusted" ;;
    migrate_3des) options="--from-slot 0 --from-pin $COFFER_PIN --to-slot 1 --to-pin $COFFER_PIN" ;;
    *) options="--slot 0 --pin $COFFER_PIN" ;;
    esac
    # shellcheck disable=SC2086 # a list of words
    "$@" "$work/bin/$name" --library "$library" $options >"$work/out" 2>&1 ||
        { code=$?; cat "$work/out"; echo "FAILED: $name ends with $code" >&2; exit 1; }
    echo "ok: $name"
done
