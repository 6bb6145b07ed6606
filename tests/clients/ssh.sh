#!/bin/sh
# OpenSSH: public keys read by ssh-keygen, and signatures made through ssh-agent's PKCS#11 helper.
. "$(dirname "$0")/lib.sh"
need ssh-keygen ssh-agent ssh-add

rsa_pair 01 rsa
ec_pair 02 ec
try ssh-keygen -D "$MODULE"
has "ssh-rsa"
has "ecdsa-sha2-nistp256"
grep '^ssh-rsa' "$WORK/out" >"$WORK/rsa.pub"
grep '^ecdsa' "$WORK/out" >"$WORK/ec.pub"
openssl pkey -pubin -in "$WORK/rsa.pem" -outform DER | cmp - "$(ssh-keygen -e -m PKCS8 -f "$WORK/rsa.pub" | openssl pkey -pubin -outform DER -out "$WORK/ssh.der"; echo "$WORK/ssh.der")" ||
    fail "ssh-keygen reads another RSA key"
say "ssh-keygen -D lists the keys"

printf '#!/bin/sh\necho "$CLIENTS_PIN"\n' >"$WORK/askpass"
chmod 700 "$WORK/askpass"
export CLIENTS_PIN="$PIN" SSH_ASKPASS="$WORK/askpass" SSH_ASKPASS_REQUIRE=force DISPLAY=none
eval "$(ssh-agent -P "$(realpath "$MODULE")")" >/dev/null
STARTED="$STARTED $SSH_AGENT_PID"
CLIENTS_PIN=wrong-pin refuse ssh-add -s "$MODULE"
try ssh-add -s "$MODULE"
try ssh-add -l
has "RSA"
has "ECDSA"

printf 'a file to sign' >"$WORK/data"
for key in rsa ec; do
    printf 'signer@example.org %s\n' "$(cut -d' ' -f1,2 "$WORK/$key.pub")" >"$WORK/allowed"
    rm -f "$WORK/data.sig"
    try ssh-keygen -Y sign -n file -f "$WORK/$key.pub" "$WORK/data"
    try ssh-keygen -Y verify -n file -f "$WORK/allowed" -I signer@example.org -s "$WORK/data.sig" <"$WORK/data"
    printf 'another file' >"$WORK/other"
    refuse ssh-keygen -Y verify -n file -f "$WORK/allowed" -I signer@example.org -s "$WORK/data.sig" <"$WORK/other"
done
say "ssh-agent signs with the token's keys"

try ssh-add -e "$MODULE"
refuse ssh-add -l
say "ssh-agent let the token go"
