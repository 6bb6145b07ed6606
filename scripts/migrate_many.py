#!/usr/bin/env python3
"""Measures the command on many keys and prints rows for docs/performance.md.

    scripts/migrate_many.py COFFER [COUNT ...]

COFFER is the command, built for release; COUNT how many AES keys (16,666 and 100,000 unless given). Everything happens in a
temporary directory, below TMPDIR. Other work of the machine shows in the seconds of the clock, less so in those of the processor; memory
is the largest resident set of the process.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time

SO, USER = "so-secret-4711", "user-secret-0815"
# The command reads no file of more than 4 MiB.
AT_ONCE = 25_000


def secret():
    return base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")


def main(coffer, counts):
    print("| keys | work | seconds | of processor | memory, MB |\n|---|---|---|---|---|", flush=True)
    for count in counts:
        with tempfile.TemporaryDirectory() as place:
            measure(os.path.abspath(coffer), count, place)


def measure(coffer, count, place):
    with open(os.path.join(place, "coffer.toml"), "w") as file:
        file.write('token_dir = "tokens"\n')
    environment = {
        "PATH": os.environ["PATH"], "HOME": place, "COFFER_CONF": os.path.join(place, "coffer.toml"),
        "COFFER_SO_PIN": SO, "COFFER_PIN": USER, "COFFER_FROM_PIN": USER, "COFFER_TO_PIN": USER,
    }

    def run(what, *arguments):
        out = os.path.join(place, "out")
        begin = time.monotonic()
        with open(out, "wb") as file:
            process = subprocess.Popen([coffer, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=file)
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        if status != 0:
            with open(out, errors="replace") as file:
                sys.exit(f"{what}: {file.read()[-2000:]}")
        if what:
            print(f"| {count:,} | {what} | {seconds:.2f} | {usage.ru_utime + usage.ru_stime:.2f} | {usage.ru_maxrss / 1024:.0f} |", flush=True)

    for label in "from", "to":
        run(None, "token", "init", "--label", label)
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, count))
        keys = [{"kty": "oct", "k": secret(), "kid": f"key-{number:06d}"} for number in numbers]
        path = os.path.join(place, "keys.json")
        with open(path, "w") as file:
            json.dump({"keys": keys}, file)
        run(f"`import` of {len(keys):,} from a set of JWKs", "import", "--token", "from", "--path", path,
            "--key-type-class", "aes", "--attributes", "extractable=true", "encrypt=true", "decrypt=true")
    one = f"attr.label=key-{count // 2:06d}"
    at = ["--token", "from"]
    run("`key list`, the first 10", "key", "list", *at)
    run("`key list --filter`, one of them", "key", "list", *at, "--filter", one)
    run("`key list --all`", "key", "list", *at, "--all")
    run("`key list --all --verbose`", "key", "list", *at, "--all", "--verbose")
    run("`key replicate`, one", "key", "replicate", "--filter", one, "--source-cluster-id", "from",
        "--destination-cluster-id", "to")
    tokens = ["--from-token", "from", "--to-token", "to"]
    run("`migrate --dry-run`, all", "migrate", *tokens, "--dry-run")
    run("`migrate --jobs 4`, all, each proved", "migrate", *tokens, "--jobs", "4")
    run("`migrate` again, all there", "migrate", *tokens)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], [int(count) for count in sys.argv[2:]] or [16_666, 100_000])
