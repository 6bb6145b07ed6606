#!/bin/sh
# Shows Coffer at work: two tokens in DIR, and C programs that use them as they would any PKCS#11 module.
#
#   scripts/demo.sh DIR [BUILT]    BUILT: where the library and the command are; target/release unless given
#
# Running it again starts from fresh tokens. Leaves with a code other than 0 at the first wrong answer.
set -eu

[ $# -ge 1 ] || { echo "usage: $0 DIR [BUILT]" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
built=$(cd "${2:-$here/target/release}" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
library=$built/libcoffer_pkcs11.so
programs=$(dirname "$built")/c-examples

for file in "$library" "$built/coffer"; do
    [ -e "$file" ] || { echo "$file is not there: make build" >&2; exit 1; }
done
# Only what an earlier demo made: DIR may hold more.
rm -rf "$dir/tokens" "$dir/coffer.toml" "$dir/coffer.log" "$dir/so.pin" "$dir/user.pin"
${MAKE:-make} -s -C "$here/c-examples" BUILD="$programs"

umask 077
printf 'token_dir = "tokens"\nlog_level = "info"\nlog_file = "coffer.log"\n' >"$dir/coffer.toml"
echo demo-so-pin >"$dir/so.pin"
echo demo-user-pin >"$dir/user.pin"
export COFFER_CONF="$dir/coffer.toml"

coffer() { "$built/coffer" "$@"; }
# show PROGRAM OPTION...: what it says, indented; a failure ends the demo.
show() {
    program=$1
    shift
    code=0
    said=$("$programs/$program" --library "$library" "$@" 2>&1) || code=$?
    printf '%s\n' "$said" | sed 's/^/    /'
    [ $code -eq 0 ] || { echo "$program ended with $code; see $dir/coffer.log" >&2; exit 1; }
}

# Fresh tokens take the lowest slots in turn: 0 and 1.
for label in source target; do
    coffer token init --label "$label" --so-pin-file "$dir/so.pin" --pin-file "$dir/user.pin" >/dev/null
done
echo "Two tokens, each an encrypted file in $dir/tokens:"
coffer --text token list >"$dir/coffer.list"
sed -n '/free$/!s/^/    /p' "$dir/coffer.list"
rm "$dir/coffer.list"
echo "rsa_wrapping: AES and triple-DES keys travel wrapped by RSA, and still decrypt what they encrypted:"
show rsa_wrapping --slot 0 --pin demo-user-pin
echo "des_ecb: triple DES, against a known answer:"
show des_ecb --slot 0 --pin demo-user-pin
echo "migrate_3des: a triple-DES key moves from the token in slot 0 to the one in slot 1 by RSA-AES key wrap:"
show migrate_3des --from-slot 0 --from-pin demo-user-pin --to-slot 1 --to-pin demo-user-pin
echo "ml_kem: a key agreed on by the post-quantum ML-KEM, through the 3.2 interface and through the 2.40 list:"
show ml_kem --slot 0 --pin demo-user-pin

# What is left on the disk must not tell the PINs.
if grep -a -r -q -e demo-user-pin -e demo-so-pin "$dir/tokens" "$dir/coffer.log"; then
    echo "a PIN stands in $dir" >&2
    exit 1
fi
echo "All answers were right. To go on from here: export COFFER_CONF=$COFFER_CONF"
echo "    pkcs11-tool --module $library --list-slots"
