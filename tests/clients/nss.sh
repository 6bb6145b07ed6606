#!/bin/sh
# NSS: the module in a security database (modutil), keys and certificates made in the token (certutil), a message signed (cmsutil).
. "$(dirname "$0")/lib.sh"
need modutil certutil cmsutil

db="sql:$WORK/nss"
mkdir "$WORK/nss"
printf '%s' "$PIN" >"$WORK/pin"
printf '%s:%s\n' "$LABEL" "$PIN" >"$WORK/pins"
openssl rand -out "$WORK/noise" 2048
try certutil -N -d "$db" --empty-password
try modutil -dbdir "$db" -force -add clients -libfile "$MODULE"
try modutil -dbdir "$db" -list clients
has "Token Name: $LABEL"
say "modutil knows the token"

try certutil -S -d "$db" -h "$LABEL" -f "$WORK/pin" -z "$WORK/noise" -n ca -s "CN=clients CA" -x -t CTu,CTu,CTu -v 3 -m 1 -2 <<EOF
y
0
y
EOF
try certutil -S -d "$db" -h "$LABEL" -f "$WORK/pin" -z "$WORK/noise" -n signer -s "CN=signer,E=signer@example.org" -c "$LABEL:ca" -t u,u,u -v 3 -m 2 -k ec -q nistp256
try certutil -K -d "$db" -h "$LABEL" -f "$WORK/pin"
has "$LABEL:ca"
has "$LABEL:signer"
try certutil -L -d "$db" -h "$LABEL" -f "$WORK/pin" -n "$LABEL:ca" -a -o "$WORK/ca.pem"
try certutil -L -d "$db" -h "$LABEL" -f "$WORK/pin" -n "$LABEL:signer" -a -o "$WORK/signer.pem"
try openssl verify -CAfile "$WORK/ca.pem" "$WORK/signer.pem"
say "certutil makes certificates that OpenSSL accepts"

printf 'a message to sign' >"$WORK/message"
try cmsutil -S -d "$db" -f "$WORK/pins" -N "$LABEL:signer" -H SHA256 -i "$WORK/message" -o "$WORK/message.cms"
try openssl cms -verify -inform DER -in "$WORK/message.cms" -CAfile "$WORK/ca.pem" -purpose any -out "$WORK/message.back"
cmp "$WORK/message" "$WORK/message.back" || fail "the message changed"
say "cmsutil signs messages that OpenSSL accepts"

try certutil -F -d "$db" -h "$LABEL" -f "$WORK/pin" -n "$LABEL:signer"
try certutil -K -d "$db" -h "$LABEL" -f "$WORK/pin"
! grep -q "signer" "$WORK/out" || fail "a deleted key is listed"
say "deleted"
