#!/bin/sh
# Moves an application's keys from one token ("blue") to another ("green") while it goes on using them, and back again:
# the users are made in green, blue is put in limited-write mode so that nothing made meanwhile is lost, every key goes
# over with its owner, its attributes and whom it is shared with, is proved there, and only then green is written to.
# The way back is the same with the names exchanged. Nothing is deleted on the way.
#
#   scripts/blue_green.sh DIR [BUILT]    BUILT: where the command is; target/release unless given
set -eu

[ $# -ge 1 ] || { echo "usage: $0 DIR [BUILT]" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
built=$(cd "${2:-$here/target/release}" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
umask 077
rm -rf "$dir/tokens"
printf 'token_dir = "tokens"\nlog_file = "log"\n' >"$dir/coffer.toml"
export COFFER_CONF="$dir/coffer.toml"

coffer() { "$built/coffer" --json "$@"; }
# admin CLUSTER COMMAND..., alice CLUSTER COMMAND..., bob CLUSTER COMMAND...: the command by that user.
admin() { by admin admin-password "$@"; }
alice() { by crypto-user alice:alice-password "$@"; }
bob() { by crypto-user bob:bob-password "$@"; }
by() {
    role=$1 pin=$2 cluster=$3
    shift 3
    COFFER_ROLE=$role COFFER_PIN=$pin coffer --cluster-id "$cluster" "$@"
}
step() { echo "== $*"; }
# refused WORDS COMMAND...: it fails and says so.
refused() {
    words=$1
    shift
    if said=$("$@"); then
        echo "this should have been refused: $*" >&2
        exit 1
    fi
    case $said in *"$words"*) ;; *) echo "$said" >&2; exit 1 ;; esac
}
# labels CLUSTER: the keys that alice owns there.
labels() { alice "$1" key list --max-items 1000 | sed -n 's/.*"label": "\(.*\)".*/\1/p'; }
# replicate FROM TO: every key of alice's that TO has not yet.
replicate() {
    for label in $(labels "$1"); do
        labels "$2" | grep -qx "$label" || alice "$1" key replicate --filter "attr.label=$label" \
            --source-cluster-id "$1" --destination-cluster-id "$2" >/dev/null
    done
}
# facts CLUSTER: what must be the same of every key, whatever the order.
facts() {
    alice "$1" key list --max-items 1000 --verbose |
        grep -E '"(label|check-value|class|encrypt|decrypt|sign|verify|wrap|unwrap|extractable|username)":' | sort
}

step "Blue: two users, and keys that one owns and both use"
for cluster in blue green; do
    COFFER_SO_PIN=admin-password COFFER_PIN=unused-password coffer token init --label $cluster >/dev/null
done
for user in alice bob; do
    COFFER_NEW_PIN=$user-password admin blue user create --username $user --role crypto-user >/dev/null
done
alice blue key generate-symmetric aes --label aes_key --key-length-bytes 32 --share-crypto-users bob >/dev/null
alice blue key generate-symmetric 3des --label tdes_key >/dev/null
alice blue key generate-asymmetric-pair ec --curve prime256v1 --public-label ec_public --private-label ec_private \
    --public-attributes verify=true --private-attributes sign=true >/dev/null

step "Green: the same users"
for user in alice bob; do
    COFFER_NEW_PIN=$user-password admin green user replicate --username $user --role crypto-user \
        --source-cluster-id blue --destination-cluster-id green >/dev/null
done

step "Blue takes no more writes, and goes on being used"
admin blue cluster set-limited-write --value true >/dev/null
refused "write protected" alice blue key generate-symmetric aes --label late --key-length-bytes 32
refused "CKR_TOKEN_WRITE_PROTECTED" alice blue key delete --filter attr.label=aes_key
sign() { alice "$1" crypto sign ecdsa --key-filter attr.label=ec_private --hash-function sha256 --data Y29mZmVy |
    sed -n 's/.*"signature": "\(.*\)".*/\1/p'; }
signature=$(sign blue)

step "Every key to green"
replicate blue green
facts blue >"$dir/blue.facts"
facts green >"$dir/green.facts"
cmp "$dir/blue.facts" "$dir/green.facts"

step "Green proves itself: it verifies what blue signed, and the other user has the shared key"
alice green crypto verify ecdsa --key-filter attr.label=ec_public --hash-function sha256 --data Y29mZmVy \
    --signature "$signature" >/dev/null
bob green key list --filter attr.label=aes_key | grep -q '"total_key_count": 1'
refused "matched 0 keys" bob green key delete --filter attr.label=tdes_key

step "Green is the one that is written to"
alice green key generate-symmetric aes --label made_in_green --key-length-bytes 16 >/dev/null

step "Back to blue: green stands still, and blue takes what was made meanwhile"
admin green cluster set-limited-write --value true >/dev/null
admin blue cluster set-limited-write --value false >/dev/null
replicate green blue
facts blue >"$dir/blue.facts"
facts green >"$dir/green.facts"
cmp "$dir/blue.facts" "$dir/green.facts"
alice blue crypto verify ecdsa --key-filter attr.label=ec_public --hash-function sha256 --data Y29mZmVy \
    --signature "$(sign green)" >/dev/null
echo "Both tokens hold the same $(labels blue | wc -l) keys"
