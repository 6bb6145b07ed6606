#!/usr/bin/env python3
"""Makes what no standard gives examples of with OpenSSL (the Python package cryptography) and Python's hashlib.

Writes rsa_openssl.txt, rsa_aes_wrap.txt, ecdh_kdf.txt, des3_pad.txt and ml_dsa_mu.txt beside itself. A field is
hexadecimal, or a name; "-" is an empty one.
"""
import hashlib
import os
import pathlib

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, keywrap, padding as block_padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

HERE = pathlib.Path(__file__).parent
HASHES = {
    "SHA1": hashes.SHA1, "SHA224": hashes.SHA224, "SHA256": hashes.SHA256, "SHA384": hashes.SHA384,
    "SHA512": hashes.SHA512, "SHA3_224": hashes.SHA3_224, "SHA3_256": hashes.SHA3_256,
    "SHA3_384": hashes.SHA3_384, "SHA3_512": hashes.SHA3_512,
}  # fmt: skip
PKCS8 = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def write(name, about, rows):
    show = lambda field: field if isinstance(field, str) else bytes(field).hex()
    text = "".join(" ".join(show(field) or "-" for field in row) + "\n" for row in rows)
    (HERE / name).write_text(f"# {about}\n{text}")


def number(value):
    return value.to_bytes(-(-value.bit_length() // 8), "big")


def rsa_parts(key):
    n = key.private_numbers()
    parts = [n.public_numbers.n, n.public_numbers.e, n.d, n.p, n.q, n.dmp1, n.dmq1, n.iqmp]
    return ["KEY", *map(number, parts)]


def rsa_signatures():
    key = rsa.generate_private_key(65537, 2048)
    yield rsa_parts(key)
    for name, make in HASHES.items():
        message = os.urandom(50)
        yield "PKCS1", name, message, key.sign(message, padding.PKCS1v15(), make())
        pss = padding.PSS(padding.MGF1(make()), make.digest_size)
        yield "PSS", name, message, key.sign(message, pss, make())
    for name in ["SHA1", "SHA224", "SHA256", "SHA384", "SHA512"]:
        make = HASHES[name]
        message, label = os.urandom(20), os.urandom(5)
        oaep = padding.OAEP(padding.MGF1(make()), make(), label)
        yield "OAEP", name, label, message, key.public_key().encrypt(message, oaep)
    for length in [0, 1, 245]:
        message = os.urandom(length)
        yield "ENCRYPTED", "-", message, key.public_key().encrypt(message, padding.PKCS1v15())


def rsa_aes_wrap():
    """PKCS#11's CKM_RSA_AES_KEY_WRAP: OAEP of a fresh AES key, then RFC 5649 under it."""
    key = rsa.generate_private_key(65537, 2048)
    yield rsa_parts(key)
    p256 = ec.generate_private_key(ec.SECP256R1())
    point = p256.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    payloads = [("DES3", des3_key(24), b""), ("AES", os.urandom(32), b""), ("GENERIC", os.urandom(21), b""),
                ("P256", p256.private_bytes(*PKCS8), point)]  # fmt: skip
    for kind, payload, public in payloads:
        for name, bits in [("SHA1", 128), ("SHA256", 256), ("SHA384", 192), ("SHA512", 256), ("SHA224", 192)]:
            aes, make = os.urandom(bits // 8), HASHES[name]
            oaep = padding.OAEP(padding.MGF1(make()), make(), None)
            blob = key.public_key().encrypt(aes, oaep) + keywrap.aes_key_wrap_with_padding(aes, payload)
            yield kind, name, str(bits), payload, public, blob


def des3_key(length):
    odd = lambda byte: byte & 0xFE | (bin(byte >> 1).count("1") + 1) % 2
    return bytes(map(odd, os.urandom(length)))


def ecdh():
    for curve in [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.BrainpoolP256R1()]:
        one, other = ec.generate_private_key(curve), ec.generate_private_key(curve)
        point = other.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        shared = one.exchange(ec.ECDH(), other.public_key())
        secret = one.private_numbers().private_value.to_bytes(-(-curve.key_size // 8), "big")
        for name, make in HASHES.items():
            info, length = os.urandom(9), 17 + make.digest_size
            for kdf, derive in [("X963", X963KDF), ("SP800", ConcatKDFHash)]:
                key = derive(make(), length, info).derive(shared)
                yield kdf, name, curve.name, secret, point, info, key


def des3_pad():
    for length in [0, 1, 7, 8, 9, 24, 100]:
        key, iv, text = des3_key(24), os.urandom(8), os.urandom(length)
        pad = block_padding.PKCS7(64).padder()
        encryptor = Cipher(TripleDES(key), modes.CBC(iv)).encryptor()
        yield "CBC_PAD", key, iv, text, encryptor.update(pad.update(text) + pad.finalize()) + encryptor.finalize()


OIDS = {name: i for i, name in enumerate(
    ["SHA256", "SHA384", "SHA512", "SHA224", "SHA512_224", "SHA512_256", "SHA3_224", "SHA3_256", "SHA3_384", "SHA3_512"], 1)}


def ml_dsa():
    """mu of HashML-DSA (FIPS 204, algorithm 4): SHAKE256(SHAKE256(pk) | 1 | context | OID | digest)."""
    for kind in [mldsa.MLDSA44PrivateKey, mldsa.MLDSA65PrivateKey, mldsa.MLDSA87PrivateKey]:
        seed = os.urandom(32)
        public = kind.from_seed_bytes(seed).public_key().public_bytes_raw()
        yield kind.__name__[5:7], "KEY", seed, public
        tr = hashlib.shake_256(public).digest(64)
        for name, last in OIDS.items():
            if name in HASHES:
                message, context = os.urandom(33), os.urandom(last)
                oid = bytes.fromhex("06096086480165030402") + bytes([last])
                digest = hashlib.new(name.lower(), message).digest()
                full = bytes([1, len(context)]) + context + oid + digest
                yield kind.__name__[5:7], name, context, message, hashlib.shake_256(tr + full).digest(64)


SIGNED = "OpenSSL's RSA-2048 key (n, e, d, p, q, dp, dq, qInv), then scheme, hash and its parts, MGF1 with the same hash:"
write("rsa_openssl.txt", f"{SIGNED} message and signature; label, message and ciphertext.", rsa_signatures())
write("rsa_aes_wrap.txt", "The same key form, then payload type, OAEP hash, AES bits, payload, EC point, wrapped key.", rsa_aes_wrap())
write("ecdh_kdf.txt", "KDF, hash, curve, private value, peer's point, shared info, derived key.", ecdh())
write("des3_pad.txt", "DES3-CBC with PKCS #7 padding: key, IV, plaintext, ciphertext.", des3_pad())
write("ml_dsa_mu.txt", "HashML-DSA by its definition: set and key (seed, public key), then set, hash, context, message, mu.", ml_dsa())
