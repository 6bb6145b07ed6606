#!/bin/sh
# Backs up, restores and verifies a token of many keys with the command, and compares the restored keys with the first
# ones, one by one. Prints a row of docs/performance.md ("The command on many keys") for each step: seconds by the clock and
# of the processor, and the most memory it had, in MiB.
#
#   scripts/many_keys.sh DIR COUNT [BUILT]    BUILT: where the command is; target/release unless given
set -eu

[ $# -ge 2 ] || { echo "usage: $0 DIR COUNT [BUILT]" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
built=$(cd "${3:-$here/target/release}" && pwd)
count=$2
mkdir -p "$1"
dir=$(cd "$1" && pwd)
umask 077
rm -rf "${dir:?}/one" "$dir/two" "$dir/backup"
mkdir "$dir/one" "$dir/two"
for place in one two; do printf 'token_dir = "tokens"\n' >"$dir/$place/coffer.toml"; done
export COFFER_SO_PIN=so-pin-of-many COFFER_PIN=pin-of-many XDG_STATE_HOME="$dir/state"

# on PLACE ARGUMENTS...: the command there.
on() {
    place=$1
    shift
    COFFER_CONF="$dir/$place/coffer.toml" "$built/coffer" "$@"
}

# measured WHAT PLACE ARGUMENTS...: the same, and a row.
measured() {
    what=$1 place=$2
    shift 2
    COFFER_CONF="$dir/$place/coffer.toml" python3 - "$what" "$count" "$dir/said" "$built/coffer" "$@" <<'PYTHON'
import os, resource, sys, time
what, count, said, command = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
start = time.monotonic()
to_file = [(os.POSIX_SPAWN_OPEN, 1, said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)]
child = os.posix_spawn(command[0], command, os.environ, file_actions=to_file)
_, status = os.waitpid(child, 0)
took, used = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"| {what} | {count:,} | {took:.2f} | {used.ru_utime + used.ru_stime:.2f} | {used.ru_maxrss / 1024:.0f} |")
sys.exit(os.waitstatus_to_exitcode(status))
PYTHON
}

on one token init --label many >/dev/null
i=0
while [ $i -lt "$count" ]; do
    echo "key generate-symmetric aes --label key-$i --key-length-bytes 32"
    i=$((i + 1))
done >"$dir/commands"
on one interactive --json <"$dir/commands" >"$dir/made"
[ "$(grep -c '"error_code": 0' "$dir/made")" = "$count" ] || { echo "not all keys were made" >&2; exit 1; }

echo '| what | keys | s | processor s | MiB |'
echo '|---|---|---|---|---|'
measured 'login and list a key' one key list --max-items 1
measured 'token backup' one token backup --path "$dir/backup"
measured 'token restore' two token restore --path "$dir/backup"
measured 'token verify' two token verify
grep -q '"faults": \[\]' "$dir/said"
for place in one two; do on $place key list --verbose --max-items "$count" >"$dir/$place/keys"; done
cmp "$dir/one/keys" "$dir/two/keys"
[ "$(grep -c '"label": "key-' "$dir/two/keys")" = "$count" ] || { echo "not all keys came back" >&2; exit 1; }
printf '%s keys compared, bytes of the backup: %s\n' "$count" "$(wc -c <"$dir/backup")"
