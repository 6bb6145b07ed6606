#!/usr/bin/env python3
"""Picks NIST's examples out of the files of the Python package cryptography_vectors, one line each.

Usage: nist.py FOLDER, the folder of the unpacked package. Writes aes.txt, des3.txt, cmac_des3.txt, digest.txt and
ecdsa.txt beside itself. A field is hexadecimal; "-" is an empty one.
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
SOURCE = pathlib.Path(sys.argv[1])


def blocks(name):
    """The blank-line separated assignments of a file, the bracketed headings among them as "heading"."""
    heading = ""
    for block in re.split(r"\n\s*\n", (SOURCE / name).read_text().replace("\r", "")):
        found = {}
        for line in block.splitlines():
            if line.startswith("["):
                heading = line.strip("[] ")
            elif "=" in line and not line.startswith("#"):
                key, value = line.split("=", 1)
                found[key.strip().upper()] = value.strip().lower()
        if found:
            yield {"HEADING": heading, **found}


def write(name, about, rows):
    text = "".join(" ".join(field or "-" for field in row) + "\n" for row in rows)
    (HERE / name).write_text(f"# {about}\n{text}")


def aes():
    for mode in ["ECB", "CBC", "OFB", "CFB8", "CFB128"]:
        for size in [128, 192, 256]:
            folder = "CFB" if mode.startswith("CFB") else mode
            for b in list(blocks(f"ciphers/AES/{folder}/{mode}MMT{size}.rsp"))[:20]:
                if b["HEADING"] == "ENCRYPT" and "KEY" in b and int(b["COUNT"]) % 2:
                    yield mode, b["KEY"], b.get("IV", ""), b["PLAINTEXT"], b["CIPHERTEXT"]
    for size in [128, 192, 256]:
        for b in blocks(f"ciphers/AES/CTR/aes-{size}-ctr.txt"):
            yield "CTR", b["KEY"], b["IV"], b["PLAINTEXT"], b["CIPHERTEXT"]


def des3():
    for mode in ["ECB", "CBC"]:
        for keys in [2, 3]:
            for b in blocks(f"ciphers/3DES/{mode}/T{mode}MMT{keys}.rsp"):
                if b["HEADING"] == "ENCRYPT" and "KEY1" in b:
                    key = b["KEY1"] + b["KEY2"] + (b["KEY3"] if keys == 3 else "")
                    yield mode, key, b.get("IV", ""), b["PLAINTEXT"], b["CIPHERTEXT"]


def cmac():
    for b in blocks("CMAC/nist-800-38b-3des.txt"):
        if "KEY1" in b:
            two = b["KEY1"] == b["KEY3"]
            yield "CMAC", b["KEY1"] + b["KEY2"] + ("" if two else b["KEY3"]), b["MESSAGE"], b["OUTPUT"]


def digest():
    for folder, name in [
        *[("SHA1", "SHA1")],
        *[("SHA2", f"SHA{n}") for n in ["224", "256", "384", "512", "512_224", "512_256"]],
        *[("SHA3", f"SHA3_{n}") for n in ["224", "256", "384", "512"]],
    ]:
        short = [b for b in blocks(f"hashes/{folder}/{name}ShortMsg.rsp") if "MSG" in b]
        long = [b for b in blocks(f"hashes/{folder}/{name}LongMsg.rsp") if "MSG" in b]
        for b in short[:3] + short[-3:] + long[:2]:
            yield name, b["MSG"][: int(b["LEN"]) // 4], b["MD"]


def ecdsa():
    """Both verdicts of each curve and hash: the first signature that passes, the first that fails."""
    seen = set()
    for b in blocks("asymmetric/ECDSA/FIPS_186-3/SigVer.rsp"):
        curve, _, name = b["HEADING"].partition(",")
        kind = (b["HEADING"], b.get("RESULT", "")[:1])
        if "MSG" in b and curve in ["P-224", "P-256", "P-384", "P-521"] and kind not in seen:
            seen.add(kind)
            width = 2 * -(-int(curve[2:]) // 8)
            point = "04" + b["QX"].zfill(width) + b["QY"].zfill(width)
            signature = b["R"].zfill(width) + b["S"].zfill(width)
            yield f"{curve},{name},{kind[1]}", point, b["MSG"], signature


write("aes.txt", "NIST CAVS, SP 800-38A and RFC 3686. Mode, key, IV or counter block, plaintext, ciphertext.", aes())
write("des3.txt", "NIST CAVS 11.1. Mode, key of two or three parts, IV, plaintext, ciphertext.", des3())
write("cmac_des3.txt", "NIST SP 800-38B. Key of two or three parts, message, MAC.", cmac())
write("digest.txt", "NIST CAVS 11.0 and 19.0. Hash, message, digest.", digest())
write("ecdsa.txt", "NIST CAVS 11.0. Curve, hash and verdict (p or f), point, message, signature.", ecdsa())
