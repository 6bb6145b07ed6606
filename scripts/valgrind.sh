#!/bin/sh
# The C examples under valgrind: an invalid access, a jump on memory that was never written, or a leak is a failure.
#   scripts/valgrind.sh [MODULE] [EXAMPLE...]
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
module=${1:-$root/target/debug/libcoffer_pkcs11.so}
[ $# -gt 0 ] && shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

make -s -C "$root/c-examples" BUILD="$work/bin"
printf 'token_dir = "%s/tokens"\n' "$work" > "$work/coffer.toml"
export COFFER_CONF="$work/coffer.toml"

# What the library keeps for the life of the process by intent is still reachable at its end: that is no leak.
check() {
    program=$1
    shift
    valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect \
        --log-file="$work/$program.log" "$work/bin/$program" "$@" > "$work/$program.out" 2>&1 && return
    code=$?
    [ $code -eq 77 ] && return
    cat "$work/$program.out" "$work/$program.log" >&2
    echo "$program: exit code $code" >&2
    exit 1
}

# The number of the slot of a new token with this label.
token() {
    check init_token --library "$module" --so-pin 12345678 --pin 87654321 --label "$1"
    tail -n 1 "$work/init_token.out"
}

slot=$(token one)
other=$(token other)
for program in "$work"/bin/*; do
    name=$(basename "$program")
    [ -x "$program" ] && [ -f "$program" ] || continue
    case $name in
    common.o | init_token) continue ;;
    esac
    [ $# -eq 0 ] || case " $* " in *" $name "*) ;; *) continue ;; esac
    case $name in
    migrate_3des)
        check "$name" --from-library "$module" --from-pin 87654321 --from-slot "$slot" \
            --to-library "$module" --to-pin 87654321 --to-slot "$other"
        ;;
    *) check "$name" --library "$module" --pin 87654321 --slot "$slot" ;;
    esac
    echo "$name: no error, no leak"
done
