#!/usr/bin/env python3
"""Finds the loads that wait for stores on the way of a call.

    scripts/forwarding.py [MODULE [WORK ...]]

A processor hands a load what an earlier store has not yet written to the cache if that one store covers the load. If it
takes two stores, or one covers it in part, the load waits until they are written, and all stores before them: some five
nanoseconds, and nothing of the next call begins meanwhile. Moving what was just put together from smaller pieces does that.

valgrind's lackey tells all loads and stores of the 195th time that the work is done; printed are the loads that meet such
a store among the last STORES. WORK is one of those in forwarding.c; without one, all. Kernels take the way that they have
without AVX-512, which valgrind does not know, and what AWS-LC does with itself is left out.
"""

import bisect
import os
import subprocess
import sys
import tempfile
from collections import deque

WORKS = ["gcm", "ecb", "cbc", "ctr", "cmac", "hmac", "sha256", "create"]
STORES = 100
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def symbols(module):
    """Addresses and names of the module's functions, by address."""
    lines = subprocess.run(["nm", "-C", module], capture_output=True, text=True, check=True).stdout.splitlines()
    found = [line.split(" ", 2) for line in lines if line[:1] != " "]
    found = sorted((int(address, 16), name) for address, kind, name in found if kind in "tTwW")
    return [address for address, _ in found], [name for _, name in found]


def exported(module, name):
    lines = subprocess.run(["nm", "-D", module], capture_output=True, text=True, check=True).stdout.splitlines()
    return next(int(line.split()[0], 16) for line in lines if line.endswith(f" T {name}"))


def waiting(trace, mark):
    """Each load that waits, with its store: (size, address of the instruction) of both."""
    marks, at, stores = 0, 0, deque(maxlen=STORES)
    for line in trace:
        if line.startswith(mark):
            marks += 1
            if marks == 6:
                return
        if marks < 4:
            continue
        kind = line[:2].strip()
        if kind not in ("I", "L", "S", "M"):
            continue
        address, size = line[2:].split(",")
        address, size = int(address, 16), int(size)
        if kind == "I":
            at = address
            continue
        if kind != "S" and marks == 5:
            met = next((s for s in reversed(stores) if s[0] < address + size and address < s[0] + s[1]), None)
            if met and not (met[0] <= address and address + size <= met[0] + met[1]):
                yield (size, at), (met[1], met[2])
        if kind != "L":
            stores.append((address, size, at))


def main():
    arguments = sys.argv[1:]
    module = arguments[0] if arguments else os.path.join(ROOT, "target/release/libcoffer_pkcs11.so")
    addresses, names = symbols(module)
    with tempfile.TemporaryDirectory() as home:
        driver, configuration = os.path.join(home, "forwarding"), os.path.join(home, "coffer.toml")
        with open(configuration, "w") as file:
            file.write(f'token_dir = "{home}/tokens"\n')
        os.environ["COFFER_CONF"] = configuration
        source, include = os.path.join(ROOT, "scripts/forwarding.c"), os.path.join(ROOT, "include")
        compiler = ["cc", "-O2", "-no-pie", f"-I{include}", source, "-o", driver, "-ldl"]
        subprocess.run(compiler, check=True)
        subprocess.run([driver, module, "init"], check=True, stderr=subprocess.DEVNULL)
        lines = subprocess.run(["nm", driver], capture_output=True, text=True, check=True).stdout.splitlines()
        mark = next(int(line.split()[0], 16) for line in lines if line.endswith(" coffer_mark"))
        for work in arguments[1:] or WORKS:
            told, tell = os.pipe()
            command = ["valgrind", "--tool=lackey", "--trace-mem=yes", f"--log-fd={tell}", driver, module, work]
            with subprocess.Popen(command, pass_fds=[tell], stderr=subprocess.PIPE, text=True) as child:
                os.close(tell)
                with open(told) as trace:
                    found = list(waiting(trace, f"I  {mark:08x},"))
                    # The rest is read too, or else the child waits for ever.
                    deque(trace, maxlen=0)
                base = int(child.stderr.readline(), 16) - exported(module, "C_GetFunctionList")

            def place(address):
                offset = address - base
                index = bisect.bisect_right(addresses, offset) - 1
                if index < 0 or offset > addresses[-1]:
                    return "elsewhere"
                return f"{names[index]}+{offset - addresses[index]:#x}"

            print(f"== {work}")
            for load, store in found:
                if "aws_lc" not in place(load[1]):
                    print(f"{load[0]} bytes in {place(load[1])}\n    from {store[0]} in {place(store[1])}")


main()
