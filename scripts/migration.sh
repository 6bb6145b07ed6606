#!/bin/sh
# Moves a triple-DES key from one token to another by the seven steps with which such keys are moved between two clusters
# of AWS CloudHSM: the same commands, with `coffer` for `cloudhsm-cli`. Each token stands for a cluster: a directory, a
# configuration and a crypto user of its own.
#
#   scripts/migration.sh DIR [BUILT]    BUILT: where the library and the command are; target/release unless given
#
# TARGET_MODE=fips in the environment makes the target a cluster in FIPS mode: it takes the key and decrypts with it, and
# encrypts nothing with it. The other way round there is nothing to move, since a fips cluster makes no such key.
set -eu

[ $# -ge 1 ] || { echo "usage: $0 DIR [BUILT]" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
built=$(cd "${2:-$here/target/release}" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
library=${COFFER_MODULE:-$built/libcoffer_pkcs11.so}
programs=${C_EXAMPLES:-$(dirname "$built")/c-examples}
[ -x "$programs/des_ecb_key" ] || ${MAKE:-make} -s -C "$here/c-examples" BUILD="$programs"
umask 077

# on CLUSTER COMMAND...: the command with that cluster's configuration and its crypto user logged in.
on() {
    cluster=$1
    shift
    COFFER_CONF="$dir/$cluster/coffer.toml" CLOUDHSM_ROLE=crypto-user CLOUDHSM_PIN="${cluster}_user:$cluster-password" "$@"
}
coffer() { "$built/coffer" "$@"; }
step() { echo "== $*"; }

# The source in mode non-fips, since a key for triple DES is made in no other.
for cluster in source target; do
    rm -rf "${dir:?}/$cluster"
    mkdir "$dir/$cluster"
    mode=non-fips
    [ $cluster = source ] || mode=${TARGET_MODE:-non-fips}
    printf 'profile = "cloudhsm"\nmode = "%s"\ntoken_dir = "tokens"\nlog_file = "log"\n' $mode >"$dir/$cluster/coffer.toml"
    COFFER_CONF="$dir/$cluster/coffer.toml" COFFER_SO_PIN="$cluster-so-password" \
        COFFER_PIN="${cluster}_user:$cluster-password" coffer token init --label "$cluster" >/dev/null
done
on source coffer key generate-symmetric 3des --label tdes_key --attributes encrypt=true decrypt=true extractable=true >/dev/null

step "1. On the target: an RSA pair that wraps and unwraps"
on target coffer key generate-asymmetric-pair rsa \
    --public-exponent 65537 \
    --modulus-size-bits 2048 \
    --public-label rsa_public_wrapping \
    --private-label rsa_private_unwrapping \
    --public-attributes wrap=true \
    --private-attributes unwrap=true

step "2. On the target: its public key to a file"
on target coffer key generate-file \
    --encoding pem \
    --path "$dir/rsa_public_wrapping.pem" \
    --filter attr.label=rsa_public_wrapping

step "3. On the source: the public key from the file"
on source coffer key import pem \
    --path "$dir/rsa_public_wrapping.pem" \
    --label rsa_public_wrapping \
    --key-type-class rsa-public \
    --attributes wrap=true

step "4. On the source: the key that is to move; it must be extractable"
on source coffer key list --filter attr.key-type=3des --verbose | tee "$dir/before.json"
grep -q '"extractable": true' "$dir/before.json"

step "5. On the source: wrap it"
on source coffer key wrap rsa-aes \
    --payload-filter attr.label=tdes_key \
    --wrapping-filter attr.label=rsa_public_wrapping \
    --hash-function sha256 \
    --mgf mgf1-sha256 \
    --path "$dir/tdes_key.wrapped"

step "6. On the target: unwrap it"
on target coffer key unwrap rsa-aes \
    --data-path "$dir/tdes_key.wrapped" \
    --key-type-class 3des \
    --label tdes_key \
    --filter attr.label=rsa_private_unwrapping \
    --hash-function sha256 \
    --mgf mgf1-sha256 \
    --attributes encrypt=true decrypt=true

step "7. What the source encrypts, the target decrypts"
plaintext=6d6f766564206b6579732064656372797074206f6c6420646174612e2e2e2e21
program() { on "$1" "$programs/des_ecb_key" --library "$library" --pin "${1}_user:$1-password" --label tdes_key "$2" "$3"; }
ciphertext=$(program source --encrypt "$plaintext")
[ "$ciphertext" != "$plaintext" ]
[ "$(program target --decrypt "$ciphertext")" = "$plaintext" ]
if [ "${TARGET_MODE:-}" = fips ] && program target --encrypt "$plaintext" 2>/dev/null; then
    echo "a fips cluster encrypted with triple DES" >&2
    exit 1
fi
on target coffer key list --filter attr.key-type=3des --verbose >"$dir/after.json"
[ "$(grep check-value "$dir/before.json")" = "$(grep check-value "$dir/after.json")" ]
echo "The key is the same on both sides: $ciphertext"
