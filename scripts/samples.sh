#!/bin/sh
# Compiles the samples of aws-samples/aws-cloudhsm-pkcs11-examples as they are, with Coffer's headers, and runs each
# with a fresh token in the cloudhsm profile.
#
#   scripts/samples.sh DIR [BUILT]    DIR: a checkout of the samples, or any tree of that layout: folders of programs
#                                     and one named common; BUILT: where the library and the command are,
#                                     target/release unless given
#
# Prints a line a sample, and after a failure what the sample said; VERBOSE=1 prints that of all. Leaves with 0 if
# every sample was compiled and ended with 0, with 1 if one did not, with 2 if there is nothing to run.
# CC and CFLAGS are those of make; OpenSSL's headers are wanted by the samples that include them only.
set -eu

[ $# -ge 1 ] && [ -d "$1" ] || { echo "usage: $0 DIR [BUILT]" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
samples=$(cd "$1" && pwd)
built=$(cd "${2:-$here/target/release}" && pwd)
library=$built/libcoffer_pkcs11.so
cc=${CC:-cc}
for file in "$library" "$built/coffer"; do
    [ -e "$file" ] || { echo "$file is not there: make build" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
${MAKE:-make} -s -C "$here/c-examples" BUILD="$work/examples" "$work/examples/trusted_key"

# The samples' own flags, without the demand that this compiler warn of nothing. They are written for a build without
# optimisation: unwrap_with_template uses arrays after the block that they are of.
flags="-Wall -Wno-pointer-sign -fno-signed-char -std=c99 ${CFLAGS:-} -O0"
# Coffer's headers come first, and stand for the copies of the standard's that a checkout brings.
include="-I$here/include"
for header in $(find "$samples" -name '*.h' ! -path '*/build/*' -exec dirname {} + | sort -u); do
    [ -e "$header/pkcs11.h" ] || [ -e "$header/cryptoki.h" ] || include="$include -I$header"
done

passed=0
failed=0
# verdict SAMPLE WORDS: its line, and what it said if that is of interest.
verdict() {
    printf '%-48s %s\n' "$1" "$2"
    case ${VERBOSE:-0}$2 in 0passed) ;; *) sed 's/^/    /' "$work/said" ;; esac
    case $2 in passed) passed=$((passed + 1)) ;; *) failed=$((failed + 1)) ;; esac
}
# compile FOLDER NAME: its programs into $work/NAME, and the rest into the archive $work/NAME.a, from which the
# linker takes what a program lacks.
compile() {
    rm -rf "$work/$2" "$work/$2.a"
    mkdir -p "$work/$2/shared"
    for source in "$1"/*.c; do
        [ -e "$source" ] || continue
        object=$work/$2/$(basename "$source" .c).o
        # shellcheck disable=SC2086
        if ! $cc $flags $include -c -o "$object" "$source" >"$work/said" 2>&1; then
            verdict "${source#"$samples"/}" "not compiled"
        elif ! nm "$object" | grep -q ' T _*main$'; then
            mv "$object" "$work/$2/shared"
        fi
    done
    # An empty archive links as well.
    set -- "$2" "$work/$2/shared"/*.o
    if [ -e "$2" ]; then ar -rc "$work/$1.a" "$work/$1/shared"/*.o; else ar -rc "$work/$1.a"; fi
}

umask 077
echo samples-so-pin >"$work/so.pin"
pin=crypto_user:samples-pin
echo "$pin" >"$work/user.pin"
# fresh_token: one in a directory of its own, with a trusted key, whose handle it prints.
fresh_token() {
    rm -rf "$work/tokens"
    printf 'profile = "cloudhsm"\ntoken_dir = "%s/tokens"\nlog_file = "%s/log"\n' "$work" "$work" >"$COFFER_CONF"
    "$built/coffer" token init --label samples --so-pin-file "$work/so.pin" --pin-file "$work/user.pin" >/dev/null
    # A handle is of one run, and that of the only object in a token the same in every run but the one that made it.
    for run in making looking; do
        "$work/examples/trusted_key" --library "$library" --so-pin samples-so-pin --label samples-trusted >"$work/$run"
    done
    cat "$work/looking"
}
# arguments SOURCE HANDLE: what a sample wants besides --pin and --library.
arguments() {
    if grep -q 'args\.wrapping_key_label' "$1"; then echo --wp_key samples-trusted; fi
    if grep -q 'args\.wrapping_key_handle' "$1"; then echo --wp_key "$2"; fi
    if grep -q 'args\.object_handle' "$1"; then echo --object-id "$2"; fi
}

export COFFER_CONF="$work/coffer.toml"
common=$(find "$samples" -type d -name common ! -path '*/build/*' | head -n 1)
[ -n "$common" ] || { echo "$samples has no folder named common" >&2; exit 2; }
compile "$common" common
find "$samples" -name '*.c' ! -path '*/build/*' -exec dirname {} + | sort -u >"$work/folders"
while read -r folder; do
    [ "$folder" != "$common" ] || continue
    compile "$folder" folder
    libraries=-ldl
    ! grep -q '<openssl/' "$folder"/*.[ch] || libraries="-lcrypto -ldl"
    for object in "$work/folder"/*.o; do
        [ -e "$object" ] || continue
        program=${object%.o}
        source=$folder/$(basename "$program").c
        sample=${source#"$samples"/}
        sample=${sample%.c}
        # shellcheck disable=SC2086
        if ! $cc -o "$program" "$object" "$work/folder.a" "$work/common.a" $libraries >"$work/said" 2>&1; then
            verdict "$sample" "not linked"
            continue
        fi
        handle=$(fresh_token)
        code=0
        # shellcheck disable=SC2046
        "$program" --pin "$pin" --library "$library" $(arguments "$source" "$handle") >"$work/said" 2>&1 </dev/null || code=$?
        if [ $code -eq 0 ]; then verdict "$sample" passed; else verdict "$sample" "ended with $code"; fi
    done
done <"$work/folders"

[ $((passed + failed)) -gt 0 ] || { echo "$samples holds no program" >&2; exit 2; }
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
