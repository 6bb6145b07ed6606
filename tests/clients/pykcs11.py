"""PyKCS11: the raw interface from Python; signatures checked by the `cryptography` package, threads sharing one module."""

import sys
import threading

import PyKCS11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from PyKCS11 import PyKCS11Error

path, label, pin = sys.argv[1:]
module = PyKCS11.PyKCS11Lib()
module.load(path)
slot = next(s for s in module.getSlotList(tokenPresent=True) if module.getTokenInfo(s).label.strip().rstrip("\0") == label)
RW = PyKCS11.CKF_SERIAL_SESSION | PyKCS11.CKF_RW_SESSION
TRUE, FALSE = PyKCS11.CK_TRUE, PyKCS11.CK_FALSE


def refused(code, call, *arguments):
    try:
        call(*arguments)
    except PyKCS11Error as error:
        assert error.value == code, error
    else:
        raise AssertionError(f"{call} was not refused")


assert module.getInfo().cryptokiVersion in ((2, 40), (3, 0), (3, 2)), module.getInfo().cryptokiVersion
for mechanism in module.getMechanismList(slot):
    if "softhsm" in path and mechanism == "CKM_ML_DSA":
        continue  # SoftHSM 2.6 lists the number 0x1d and then knows nothing of it
    module.getMechanismInfo(slot, mechanism)
session = module.openSession(slot, RW)
refused(PyKCS11.CKR_PIN_INCORRECT, session.login, "wrong-pin")
session.login(pin)
refused(PyKCS11.CKR_USER_ALREADY_LOGGED_IN, session.login, pin)
print("ok: sessions")

public, private = session.generateKeyPair(
    [(PyKCS11.CKA_TOKEN, FALSE), (PyKCS11.CKA_VERIFY, TRUE), (PyKCS11.CKA_MODULUS_BITS, 2048), (PyKCS11.CKA_PUBLIC_EXPONENT, (1, 0, 1))],
    [(PyKCS11.CKA_TOKEN, FALSE), (PyKCS11.CKA_SIGN, TRUE), (PyKCS11.CKA_SENSITIVE, TRUE)],
)
modulus, exponent = session.getAttributeValue(public, [PyKCS11.CKA_MODULUS, PyKCS11.CKA_PUBLIC_EXPONENT])
known = RSAPublicNumbers(int.from_bytes(bytes(exponent), "big"), int.from_bytes(bytes(modulus), "big")).public_key()
by_pkcs = PyKCS11.Mechanism(PyKCS11.CKM_SHA256_RSA_PKCS)
signature = bytes(session.sign(private, b"text", by_pkcs))
known.verify(signature, b"text", padding.PKCS1v15(), hashes.SHA256())
assert session.verify(public, b"text", signature, by_pkcs)
assert not session.verify(public, b"test", signature, by_pkcs)
by_pss = PyKCS11.RSA_PSS_Mechanism(PyKCS11.CKM_SHA256_RSA_PKCS_PSS, PyKCS11.CKM_SHA256, PyKCS11.CKG_MGF1_SHA256, 32)
known.verify(bytes(session.sign(private, b"text", by_pss)), b"text", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
# What may not be read comes back as None, and the attributes beside it come back all the same.
kind, exponent = session.getAttributeValue(private, [PyKCS11.CKA_KEY_TYPE, PyKCS11.CKA_PRIVATE_EXPONENT])
assert (kind, exponent) == (PyKCS11.CKK_RSA, None), (kind, exponent)
print("ok: RSA")

key = session.generateKey([(PyKCS11.CKA_TOKEN, FALSE), (PyKCS11.CKA_ENCRYPT, TRUE), (PyKCS11.CKA_DECRYPT, TRUE), (PyKCS11.CKA_VALUE_LEN, 32)])
cbc = PyKCS11.Mechanism(PyKCS11.CKM_AES_CBC_PAD, bytes(16))
ciphertext = bytes(session.encrypt(key, b"text" * 1000, cbc))
assert bytes(session.decrypt(key, ciphertext, cbc)) == b"text" * 1000
assert bytes(session.digest(b"abc", PyKCS11.Mechanism(PyKCS11.CKM_SHA256))).hex().startswith("ba7816bf8f01cfea")
print("ok: AES, SHA-256")

failures = []


def use_the_key():
    """A session a thread, one key for all."""
    try:
        mine = module.openSession(slot, RW)
        for _ in range(50):
            assert bytes(mine.decrypt(key, ciphertext, cbc)) == b"text" * 1000
            assert bytes(mine.sign(private, b"text", by_pkcs)) == signature
        mine.closeSession()
    except BaseException as failure:  # a thread's own failure must reach the main thread
        failures.append(failure)


threads = [threading.Thread(target=use_the_key) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures
print("ok: four threads, one key")

session.logout()
session.closeSession()
module.unload()
