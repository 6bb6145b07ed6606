"""python-pkcs11: keys of every kind, checked by the `cryptography` package where it can be."""

import sys

import pkcs11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters
from pkcs11.util.rsa import encode_rsa_public_key

path, label, pin = sys.argv[1:]
token = pkcs11.lib(path).get_token(token_label=label)


def rsa(session):
    public, private = session.generate_keypair(KeyType.RSA, 2048, store=False)
    known = serialization.load_der_public_key(spki_rsa(public))
    signature = private.sign(b"text", mechanism=Mechanism.SHA256_RSA_PKCS)
    known.verify(signature, b"text", padding.PKCS1v15(), hashes.SHA256())
    assert public.verify(b"text", signature, mechanism=Mechanism.SHA256_RSA_PKCS)
    assert not public.verify(b"test", signature, mechanism=Mechanism.SHA256_RSA_PKCS)
    ciphertext = known.encrypt(b"text", padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    assert private.decrypt(ciphertext, mechanism=Mechanism.RSA_PKCS_OAEP) == b"text"
    print("ok: RSA")


def spki_rsa(public):
    key = encode_rsa_public_key(public)
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    modulus = int.from_bytes(public[Attribute.MODULUS], "big")
    exponent = int.from_bytes(public[Attribute.PUBLIC_EXPONENT], "big")
    encoded = RSAPublicNumbers(exponent, modulus).public_key()
    form = serialization.Encoding.DER
    assert encoded.public_bytes(form, serialization.PublicFormat.PKCS1) == key
    return encoded.public_bytes(form, serialization.PublicFormat.SubjectPublicKeyInfo)


def ecdsa_and_ecdh(session):
    parameters = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}, local=True
    )
    public, private = parameters.generate_keypair(store=False)
    known = serialization.load_der_public_key(encode_ec_public_key(public))
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"text")
    signature = private.sign(digest.finalize(), mechanism=Mechanism.ECDSA)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    known.verify(utils.encode_dss_signature(r, s), b"text", ec.ECDSA(hashes.SHA256()))
    try:
        known.verify(utils.encode_dss_signature(r, s), b"test", ec.ECDSA(hashes.SHA256()))
        raise AssertionError("a signature of another text")
    except InvalidSignature:
        pass

    peer = ec.generate_private_key(ec.SECP256R1())
    point = peer.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    shared = private.derive_key(
        KeyType.AES,
        256,
        mechanism_param=(pkcs11.KDF.NULL, None, point),
        template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True},
    )
    assert shared[Attribute.VALUE] == peer.exchange(ec.ECDH(), known)
    print("ok: ECDSA, ECDH")


def aes(session):
    readable = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}
    key = session.generate_key(KeyType.AES, 256, store=False, template=readable)
    iv = bytes(16)
    text = bytes(range(256)) * 37
    ciphertext = key.encrypt(text, mechanism_param=iv)
    assert key.decrypt(ciphertext, mechanism_param=iv) == text
    assert b"".join(key.encrypt([text[:100], text[100:101], text[101:]], mechanism_param=iv)) == ciphertext

    wrapping = session.generate_key(KeyType.AES, 256, store=False, template=readable)
    wrapped = wrapping.wrap_key(key, mechanism=Mechanism.AES_KEY_WRAP)
    assert aes_key_unwrap(wrapping[Attribute.VALUE], wrapped) == key[Attribute.VALUE]
    again = wrapping.unwrap_key(ObjectClass.SECRET_KEY, KeyType.AES, wrapped, mechanism=Mechanism.AES_KEY_WRAP, store=False)
    assert again.decrypt(ciphertext, mechanism_param=iv) == text

    if Mechanism.AES_GCM in token.slot.get_mechanisms() and hasattr(pkcs11, "GCMParams"):
        nonce = bytes(range(12))
        sealed = key.encrypt(text, mechanism=Mechanism.AES_GCM, mechanism_param=pkcs11.GCMParams(nonce, b"header"))
        assert AESGCM(key[Attribute.VALUE]).decrypt(nonce, sealed, b"header") == text
    print("ok: AES")


def objects(session):
    for number in range(30):
        session.generate_key(KeyType.AES, 128, label="many", id=bytes([number]), store=True)
    assert len(list(session.get_objects({Attribute.LABEL: "many"}))) == 30
    assert len(list(session.get_objects({Attribute.LABEL: "many", Attribute.ID: b"\x07"}))) == 1
    for key in session.get_objects({Attribute.LABEL: "many"}):
        key.destroy()
    assert list(session.get_objects({Attribute.LABEL: "many"})) == []
    sensitive = session.generate_key(KeyType.AES, 128, store=False, template={Attribute.SENSITIVE: True})
    try:
        sensitive[Attribute.VALUE]
        raise AssertionError("a sensitive value was read")
    except (pkcs11.AttributeSensitive, KeyError):
        pass
    print("ok: objects")


try:
    token.open(user_pin="wrong-pin")
    raise AssertionError("a wrong PIN was accepted")
except pkcs11.PinIncorrect:
    pass
with token.open(rw=True, user_pin=pin) as session:
    for part in (rsa, ecdsa_and_ecdh, aes, objects):
        part(session)
    assert len(session.generate_random(256)) == 32
