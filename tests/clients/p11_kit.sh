#!/bin/sh
# p11-kit: the module registered, listed, and served to other processes over a socket (p11-kit server, p11-kit-client.so).
. "$(dirname "$0")/lib.sh"
need p11-kit

# p11-kit reads no user's configuration for root, who gets a file in the system's for as long as this runs.
registration=$XDG_CONFIG_HOME/pkcs11/modules/clients.module
if [ "$(id -u)" = 0 ]; then
    mkdir -p /etc/pkcs11/modules
    registration=/etc/pkcs11/modules/clients-test-$$.module
    trap 'rm -f "$registration"; at_end' EXIT
fi
printf 'module: %s\n' "$MODULE" >"$registration"
try p11-kit list-modules
has "token: $LABEL"
ec_pair 01 ec
if p11-kit list-tokens --help >/dev/null 2>&1; then
    try p11-kit list-tokens
    has "$LABEL"
fi
say "p11-kit lists the module and its token"

client=$(ls /usr/lib/*/pkcs11/p11-kit-client.so /usr/lib64/pkcs11/p11-kit-client.so 2>/dev/null | head -1)
[ -n "$client" ] || { echo "not installed: p11-kit-client.so" >&2; exit 77; }
p11-kit server --foreground --name "$WORK/socket" --provider "$MODULE" "pkcs11:token=$LABEL" >"$WORK/server" 2>&1 &
STARTED="$STARTED $!"
until_true test -S "$WORK/socket"
export P11_KIT_SERVER_ADDRESS="unix:path=$WORK/socket"

remote() { pkcs11-tool --module "$client" --token-label "$LABEL" --login --pin "$PIN" "$@"; }
try remote --list-objects --type privkey
has "Private Key Object"
openssl dgst -sha256 -binary "$0" >"$WORK/digest"
for round in 1 2 3; do
    try remote --sign --mechanism ECDSA --signature-format openssl --id 01 --input-file "$WORK/digest" --output-file "$WORK/sig"
    try openssl pkeyutl -verify -pubin -inkey "$WORK/ec.pem" -in "$WORK/digest" -sigfile "$WORK/sig"
done
refuse pkcs11-tool --module "$client" --token-label "$LABEL" --login --pin wrong-pin --list-objects
say "signatures through p11-kit server hold for OpenSSL"
