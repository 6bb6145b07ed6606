#!/bin/sh
# Python: python-pkcs11 and PyKCS11, from the environment that scripts/setup.sh makes.
. "$(dirname "$0")/lib.sh"

python=${COFFER_PYTHON:-$HERE/../../target/python-clients/bin/python}
"$python" -c 'import pkcs11, PyKCS11, cryptography' 2>/dev/null ||
    { echo "not installed: python-pkcs11 and PyKCS11 (scripts/setup.sh clients)" >&2; exit 77; }
for client in python_pkcs11 pykcs11; do
    try "$python" -W error::ResourceWarning "$HERE/$client.py" "$MODULE" "$LABEL" "$PIN"
    cat "$WORK/out"
done
