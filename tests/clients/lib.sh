# Sourced by every script here: a fresh token in the module at $COFFER_MODULE, and the words the scripts are written in.
#
# Any module will do. Coffer and SoftHSM get a configuration of their own in a directory that goes away at the end; another module
# is used as the environment configures it. Exit codes: 0 every answer was right, 1 one was wrong, 77 the client is not installed.
set -eu

: "${COFFER_MODULE:?the path of the module to test}"
MODULE=$COFFER_MODULE
PIN=user-pin-1234
SO_PIN=so-pin-56789
LABEL=clients
HERE=$(cd "$(dirname "$0")" && pwd)
WORK=$(mktemp -d)
STARTED=""

at_end() {
    code=$?
    for pid in $STARTED; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$WORK"
    exit $code
}
trap at_end EXIT
trap 'exit 1' INT TERM

fail() { echo "FAILED: $*" >&2; exit 1; }
say() { echo "ok: $*"; }

# need COMMAND...: leaves with 77 where one is missing.
need() {
    for command in "$@"; do
        command -v "$command" >/dev/null || { echo "not installed: $command" >&2; exit 77; }
    done
}

# try COMMAND...: its output is shown only if it fails.
try() {
    "$@" >"$WORK/out" 2>&1 || { cat "$WORK/out" >&2; fail "$*"; }
}

# refuse COMMAND...: must fail, and by an exit code of its own, not by a signal.
refuse() {
    code=0
    "$@" >"$WORK/out" 2>&1 || code=$?
    [ $code -ne 0 ] || fail "accepted: $*"
    # 126 and 127: not run at all; above 128 and below 193: ended by a signal.
    case $code in 12[67] | 129 | 1[3-8]? | 19[0-2]) cat "$WORK/out" >&2; fail "ended with $code: $*" ;; esac
}

# has TEXT: the last `try` or `refuse` said it.
has() { grep -q -e "$1" "$WORK/out" || { cat "$WORK/out" >&2; fail "the output lacks: $1"; }; }

# until_true COMMAND...: up to ten seconds.
until_true() {
    for _ in $(seq 100); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    fail "still not so after ten seconds: $*"
}

# softhsm: whether that is the module, for the few places where it is known to fall short.
softhsm() { case $MODULE in *softhsm*) true ;; *) false ;; esac; }

mkdir -m 700 "$WORK/tokens"
if softhsm; then
    printf 'directories.tokendir = %s\nlog.level = ERROR\n' "$WORK/tokens" >"$WORK/softhsm2.conf"
    export SOFTHSM2_CONF="$WORK/softhsm2.conf"
else
    printf 'token_dir = "%s"\n' "$WORK/tokens" >"$WORK/coffer.toml"
    export COFFER_CONF="$WORK/coffer.toml"
fi
export HOME="$WORK/home" XDG_CONFIG_HOME="$WORK/home/.config"
mkdir -p "$XDG_CONFIG_HOME/pkcs11/modules"

need pkcs11-tool openssl
tool() { pkcs11-tool --module "$MODULE" --token-label "$LABEL" --login --pin "$PIN" "$@"; }
try pkcs11-tool --module "$MODULE" --slot-index 0 --init-token --label "$LABEL" --so-pin "$SO_PIN"
try pkcs11-tool --module "$MODULE" --token-label "$LABEL" --login --login-type so --so-pin "$SO_PIN" --init-pin --new-pin "$PIN"

# rsa_pair ID LABEL and ec_pair ID LABEL: token key pairs; the public half also as PEM in $WORK/LABEL.pem.
rsa_pair() { try tool --keypairgen --key-type rsa:2048 --id "$1" --label "$2" --usage-sign --usage-decrypt; public_pem "$1" "$2"; }
ec_pair() { try tool --keypairgen --key-type EC:prime256v1 --id "$1" --label "$2" --usage-sign; public_pem "$1" "$2"; }
public_pem() {
    try tool --read-object --type pubkey --id "$1" --output-file "$WORK/$2.der"
    openssl pkey -pubin -inform DER -in "$WORK/$2.der" -out "$WORK/$2.pem"
}
