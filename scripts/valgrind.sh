#!/bin/sh
# Every C example under valgrind's memcheck, on a token of its own: an error or a leak fails.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
library=${COFFER_MODULE:-$root/target/debug/libcoffer_pkcs11.so}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export COFFER_CONF="$work/coffer.toml" COFFER_SO_PIN=so-pin-1234 COFFER_PIN=user-pin-1234
printf 'token_dir = "tokens"\nlog_file = "log"\n' >"$COFFER_CONF"
"$root/target/debug/coffer" token init --label one >/dev/null
"$root/target/debug/coffer" token init --label two >/dev/null
make -s -C "$root/c-examples" BUILD="$work/bin"

for source in "$root"/c-examples/*.c; do
    name=$(basename "$source" .c)
    case $name in
    common | init_token | des_ecb_key) continue ;;
    migrate_3des) set -- --from-slot 0 --from-pin "$COFFER_PIN" --to-slot 1 --to-pin "$COFFER_PIN" ;;
    *) set -- --slot 0 --pin "$COFFER_PIN" ;;
    esac
    valgrind -q --leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=99 \
        "$work/bin/$name" --library "$library" "$@" >"$work/out" 2>&1 ||
        { code=$?; cat "$work/out"; echo "FAILED: $name ends with $code" >&2; exit 1; }
    echo "ok: $name"
done
