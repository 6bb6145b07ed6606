#!/usr/bin/env python3
"""Measures the command on many keys and prints rows for docs/performance.md.

    scripts/many-keys.py COFFER [COUNT ...]

COFFER is the command, built for release; COUNT how many AES keys (16,666 and 100,000 unless given). Everything happens in a
temporary directory. Other work of the machine shows in the seconds of the clock, less so in those of the processor; memory
is the largest resident set of the process.
"""

import os
import subprocess
import sys
import tempfile
import time

SO, USER = "so-secret-4711", "user-secret-0815"


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

    def run(what, *arguments, lines=None):
        out = os.path.join(place, "out")
        begin = time.monotonic()
        with open(out, "wb") as file:
            process = subprocess.Popen([coffer, *arguments], env=environment, stdin=subprocess.PIPE, stdout=file)
            for line in lines or ():
                process.stdin.write(line)
            process.stdin.close()
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        if status != 0:
            with open(out, errors="replace") as file:
                sys.exit(f"{what}: {file.read()[-2000:]}")
        if what:
            print(f"| {count:,} | {what} | {seconds:.2f} | {usage.ru_utime + usage.ru_stime:.2f} | {usage.ru_maxrss / 1024:.0f} |", flush=True)

    def commands():
        for number in range(count):
            yield b"key generate-symmetric aes --key-length-bytes 32 --label key-%06d --attributes id=0x%08x\n" % (number, number)

    for label in "from", "to":
        run(None, "token", "init", "--label", label)
    run("`key generate-symmetric` in one `interactive`", "--token", "from", "interactive", lines=commands())
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
