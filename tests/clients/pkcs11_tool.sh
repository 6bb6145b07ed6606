#!/bin/sh
# OpenSC's pkcs11-tool: its own test suite, then keys made, used and checked by OpenSSL without the module.
. "$(dirname "$0")/lib.sh"

try pkcs11-tool --module "$MODULE" --show-info
try pkcs11-tool --module "$MODULE" --list-slots
has "token label *: $LABEL"
try pkcs11-tool --module "$MODULE" --token-label "$LABEL" --list-mechanisms
has "SHA256-RSA-PKCS-PSS"
refuse pkcs11-tool --module "$MODULE" --token-label "$LABEL" --login --pin wrong-pin --list-objects
has "CKR_PIN_INCORRECT"
say "slots, mechanisms, a wrong PIN"

rsa_pair 01 rsa
ec_pair 02 ec
if softhsm; then
    # SoftHSM knows OAEP with SHA-1 and no label only, and the suite stops there.
    refuse tool --test
else
    try tool --test
    has "No errors"
fi
has "  RSA-PKCS: OK"
say "pkcs11-tool --test"
if ! softhsm; then # whose child finds the parent's initialisation
    try tool --test-fork
    say "pkcs11-tool --test-fork"
fi

printf 'to be signed, over several blocks and then some more: %s' "$(seq 200)" >"$WORK/data"
try tool --sign --mechanism SHA256-RSA-PKCS --id 01 --input-file "$WORK/data" --output-file "$WORK/sig"
try openssl dgst -sha256 -verify "$WORK/rsa.pem" -signature "$WORK/sig" "$WORK/data"
try tool --verify --mechanism SHA256-RSA-PKCS --id 01 --input-file "$WORK/data" --signature-file "$WORK/sig"
printf x >>"$WORK/data"
refuse openssl dgst -sha256 -verify "$WORK/rsa.pem" -signature "$WORK/sig" "$WORK/data"
try tool --sign --mechanism SHA256-RSA-PKCS-PSS --id 01 --input-file "$WORK/data" --output-file "$WORK/sig"
try openssl dgst -sha256 -sigopt rsa_padding_mode:pss -verify "$WORK/rsa.pem" -signature "$WORK/sig" "$WORK/data"
openssl dgst -sha256 -binary "$WORK/data" >"$WORK/digest"
try tool --sign --mechanism ECDSA --signature-format openssl --id 02 --input-file "$WORK/digest" --output-file "$WORK/sig"
try openssl pkeyutl -verify -pubin -inkey "$WORK/ec.pem" -in "$WORK/digest" -sigfile "$WORK/sig"
say "RSA, PSS and ECDSA signatures hold for OpenSSL"

printf 'the plaintext' >"$WORK/plain"
try openssl pkeyutl -encrypt -pubin -inkey "$WORK/rsa.pem" -in "$WORK/plain" -out "$WORK/cipher"
try tool --decrypt --mechanism RSA-PKCS --id 01 --input-file "$WORK/cipher" --output-file "$WORK/back"
cmp "$WORK/plain" "$WORK/back" || fail "PKCS #1 v1.5 decryption"
try openssl pkeyutl -encrypt -pubin -inkey "$WORK/rsa.pem" -pkeyopt rsa_padding_mode:oaep -in "$WORK/plain" -out "$WORK/cipher"
try tool --decrypt --mechanism RSA-PKCS-OAEP --hash-algorithm SHA-1 --id 01 --input-file "$WORK/cipher" --output-file "$WORK/back"
cmp "$WORK/plain" "$WORK/back" || fail "OAEP decryption"
say "what OpenSSL encrypted, the token decrypts"

# The wrapped key is opened by OpenSSL with the wrapping key's known value, and comes back into the token.
openssl rand 32 >"$WORK/kek"
openssl rand 16 >"$WORK/key"
try tool --write-object "$WORK/kek" --type secrkey --key-type AES:32 --id 10 --label kek --usage-wrap
try tool --write-object "$WORK/key" --type secrkey --key-type AES:16 --id 11 --label key --extractable --usage-decrypt
try tool --wrap --mechanism AES-KEY-WRAP --id 10 --application-id 11 --output-file "$WORK/wrapped"
openssl enc -d -id-aes256-wrap -K "$(od -An -tx1 -v "$WORK/kek" | tr -d ' \n')" -iv A6A6A6A6A6A6A6A6 -in "$WORK/wrapped" >"$WORK/unwrapped"
cmp "$WORK/key" "$WORK/unwrapped" || fail "the wrapping does not hold the key"
say "AES key wrap holds for OpenSSL"

openssl req -new -x509 -newkey rsa:2048 -nodes -subj /CN=clients -keyout /dev/null -outform DER -out "$WORK/cert.der" 2>/dev/null
try tool --write-object "$WORK/cert.der" --type cert --id 01 --label cert
try tool --read-object --type cert --id 01 --output-file "$WORK/cert.back"
cmp "$WORK/cert.der" "$WORK/cert.back" || fail "the certificate changed"
try tool --delete-object --type cert --id 01
try tool --list-objects --type cert
! grep -q Certificate "$WORK/out" || fail "a deleted certificate is listed"
say "a certificate written, read, deleted"

try tool --generate-random 1000 --output-file "$WORK/random"
[ "$(wc -c <"$WORK/random")" -eq 1000 ] || fail "1000 random bytes"
try pkcs11-tool --module "$MODULE" --token-label "$LABEL" --login --pin "$PIN" --change-pin --new-pin another-pin-99
refuse tool --list-objects --type privkey
try pkcs11-tool --module "$MODULE" --token-label "$LABEL" --login --pin another-pin-99 --list-objects --type privkey
has "Private Key Object; RSA"
say "the PIN changed"
