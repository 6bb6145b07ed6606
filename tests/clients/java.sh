#!/bin/sh
# Java's SunPKCS11 provider: what the token makes, Java's own providers check.
. "$(dirname "$0")/lib.sh"
need java javac
rsa_pair 01 rsa

# A private key is a key-store entry once a certificate with its id stands beside it; any issuer will do.
try openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=issuer" -keyout "$WORK/issuer.key" -out "$WORK/issuer.crt"
try openssl req -new -newkey rsa:2048 -nodes -subj "/CN=clients" -keyout "$WORK/dummy.key" -out "$WORK/csr"
try openssl x509 -req -in "$WORK/csr" -CA "$WORK/issuer.crt" -CAkey "$WORK/issuer.key" -CAcreateserial -days 2 -force_pubkey "$WORK/rsa.pem" -outform DER -out "$WORK/rsa.crt"
try tool --write-object "$WORK/rsa.crt" --type cert --id 01 --label rsa

# The slot by its place in the list, which is what the provider calls slotListIndex.
try pkcs11-tool --module "$MODULE" --list-token-slots
index=$(grep -E '^Slot|token label' "$WORK/out" | grep -B1 "token label *: $LABEL\$" | sed -n 's/^Slot \([0-9]*\).*/\1/p')
cat >"$WORK/java.cfg" <<EOF
name = clients
library = $MODULE
slotListIndex = ${index:-0}
attributes(*, CKO_PRIVATE_KEY, CKK_EC) = {
  CKA_DERIVE = true
}
attributes(generate, CKO_SECRET_KEY, *) = {
  CKA_SENSITIVE = false
  CKA_EXTRACTABLE = true
}
EOF
try java "$HERE/SunPkcs11.java" "$WORK/java.cfg" "$PIN"
cat "$WORK/out"
