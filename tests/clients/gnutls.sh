#!/bin/sh
# GnuTLS: p11tool makes and uses keys; certtool signs a certificate with a key that stays in the token.
. "$(dirname "$0")/lib.sh"
need p11tool certtool
export GNUTLS_PIN="$PIN"
p11() { p11tool --provider "$MODULE" --batch --login "$@"; }

try p11tool --provider "$MODULE" --list-token-urls
has "token=$LABEL"
url="pkcs11:token=$LABEL"
for kind in "--generate-privkey=RSA --bits=2048 --label=rsa" "--generate-privkey=ECDSA --curve=secp256r1 --label=ec"; do
    try p11 $kind --outfile "$WORK/pub.pem" "$url"
done
try p11 --list-all-privkeys "$url"
has "Label: rsa"
has "Label: ec"
for label in rsa ec; do
    try p11 --test-sign "$url;object=$label;type=private"
    has "ok"
    p11 --export-pubkey "$url;object=$label;type=private" --outfile "$WORK/$label.pem" >/dev/null 2>&1 || fail "export $label"
    try openssl pkey -pubin -in "$WORK/$label.pem" -noout
done
say "p11tool makes keys and signs"

printf 'cn = "clients"\nca\ncert_signing_key\nexpiration_days = 3\n' >"$WORK/template"
for label in rsa ec; do
    try certtool --provider "$MODULE" --generate-self-signed --template "$WORK/template" --outfile "$WORK/$label.crt" \
        --load-privkey "$url;object=$label;type=private" --load-pubkey "$WORK/$label.pem"
    try openssl verify -CAfile "$WORK/$label.crt" "$WORK/$label.crt"
    try p11 --write --load-certificate "$WORK/$label.crt" --label "$label" "$url"
done
try p11 --list-all-certs "$url"
has "Label: ec"
say "certtool signs certificates that OpenSSL accepts"

try p11 --generate-random 32 "$url"
try p11 --delete "$url;object=rsa;type=cert"
try p11 --list-all-certs "$url"
! grep -q "Label: rsa" "$WORK/out" || fail "a deleted certificate is listed"
say "deleted"
