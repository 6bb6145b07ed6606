#!/bin/sh
# OpenSSL through libp11's engine: signatures, decryption, certificates, and TLS 1.2 and 1.3 servers whose keys stay in the token.
. "$(dirname "$0")/lib.sh"

engine=$(ls /usr/lib/*/engines-3/pkcs11.so /usr/lib64/engines-3/pkcs11.so 2>/dev/null | head -1)
[ -n "$engine" ] || { echo "not installed: OpenSSL's pkcs11 engine" >&2; exit 77; }
rsa_pair 01 rsa
ec_pair 02 ec

cat >"$WORK/openssl.cnf" <<EOF
openssl_conf = init
[init]
engines = engines
[engines]
pkcs11 = pkcs11_engine
[pkcs11_engine]
engine_id = pkcs11
dynamic_path = $engine
MODULE_PATH = $MODULE
PIN = $PIN
init = 0
[req]
distinguished_name = name
x509_extensions = server
[name]
[server]
subjectAltName = DNS:localhost
EOF
key() { echo "pkcs11:token=$LABEL;object=$1;type=private"; }
# hsm COMMAND...: openssl with the engine; everything else here runs without it.
hsm() { OPENSSL_CONF="$WORK/openssl.cnf" openssl "$@"; }

seq 1000 >"$WORK/data"
openssl dgst -sha256 -binary "$WORK/data" >"$WORK/digest"
for label in rsa ec; do
    try hsm dgst -engine pkcs11 -keyform engine -sign "$(key $label)" -sha256 -out "$WORK/sig" "$WORK/data"
    try openssl dgst -sha256 -verify "$WORK/$label.pem" -signature "$WORK/sig" "$WORK/data"
done
pss="-pkeyopt rsa_padding_mode:pss -pkeyopt digest:sha256 -pkeyopt rsa_pss_saltlen:32"
try hsm pkeyutl -engine pkcs11 -keyform engine -sign -inkey "$(key rsa)" $pss -in "$WORK/digest" -out "$WORK/sig"
try openssl pkeyutl -verify -pubin -inkey "$WORK/rsa.pem" $pss -in "$WORK/digest" -sigfile "$WORK/sig"
say "RSA, PSS and ECDSA signatures"

printf 'the plaintext' >"$WORK/plain"
for padding in pkcs1 oaep; do
    try openssl pkeyutl -encrypt -pubin -inkey "$WORK/rsa.pem" -pkeyopt rsa_padding_mode:$padding -in "$WORK/plain" -out "$WORK/cipher"
    try hsm pkeyutl -engine pkcs11 -keyform engine -decrypt -inkey "$(key rsa)" -pkeyopt rsa_padding_mode:$padding -in "$WORK/cipher" -out "$WORK/back"
    cmp "$WORK/plain" "$WORK/back" || fail "decryption, $padding"
done
say "PKCS #1 v1.5 and OAEP decryption"

port=$((20000 + $$ % 20000))
for label in rsa ec; do
    try hsm req -new -x509 -engine pkcs11 -keyform engine -key "$(key $label)" -subj /CN=localhost -days 2 -out "$WORK/$label.crt"
    try openssl verify -CAfile "$WORK/$label.crt" "$WORK/$label.crt"
    for version in tls1_2 tls1_3; do
        port=$((port + 1))
        rm -f "$WORK/server"
        OPENSSL_CONF="$WORK/openssl.cnf" openssl s_server -engine pkcs11 -keyform engine -key "$(key $label)" -cert "$WORK/$label.crt" \
            -accept 127.0.0.1:$port -www -$version >"$WORK/server" 2>&1 &
        server=$!
        STARTED="$STARTED $server"
        until_true grep -q ACCEPT "$WORK/server"
        for handshake in 1 2 3 4 5; do
            openssl s_client -connect 127.0.0.1:$port -$version -CAfile "$WORK/$label.crt" -verify_return_error -verify_hostname localhost \
                -servername localhost </dev/null >"$WORK/out" 2>&1 || { cat "$WORK/out" "$WORK/server" >&2; fail "$label, $version"; }
            has "Verify return code: 0 (ok)"
        done
        kill "$server"
    done
    say "s_server with the token's $label key: TLS 1.2 and 1.3"
done
