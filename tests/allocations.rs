//! A one-shot operation on small data in a session that has done it before allocates nothing, and a session key little.

#[path = "common/mod.rs"]
mod common;

use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Module, Template};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

/// Counts what this thread allocates. The library is linked into this test, so its allocations are among them;
/// AWS-LC has malloc(3) to itself.
struct Counting;

thread_local! { static ALLOCATIONS: Cell<usize> = const { Cell::new(0) } }

// SAFETY: everything is the system allocator's; counting touches no memory of its.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The allocations of `act`, once it has been done twice.
fn allocations(act: impl Fn()) -> usize {
    act();
    act();
    let before = ALLOCATIONS.get();
    act();
    ALLOCATIONS.get() - before
}

fn ok(rv: CK_RV) {
    assert_eq!(rv, CKR_OK);
}

#[test]
fn one_shot_operations_on_a_warm_session_allocate_nothing() {
    let place = tempfile::tempdir().unwrap();
    let conf = Settings::current().write(place.path());
    // SAFETY: the only test of this binary; no other thread runs yet.
    unsafe { std::env::set_var("COFFER_CONF", conf) };
    let (list, interface) = coffer_pkcs11::abi::linked();
    let module = Module::linked(list, interface);
    module.init().unwrap();
    let slot = module.slots(true).unwrap()[0];
    module.init_token(slot, SO_PIN, "allocations").unwrap();
    let session = module.open_session(slot, true).unwrap();
    session.login(CKU_SO, SO_PIN).unwrap();
    session.init_pin(USER_PIN).unwrap();
    session.logout().unwrap();
    session.login(CKU_USER, USER_PIN).unwrap();

    let uses = [Attr::bool(CKA_TOKEN, true), Attr::bool(CKA_SIGN, true), Attr::ulong(CKA_VALUE_LEN, 32)];
    let aes = [&uses[..], &[Attr::bool(CKA_ENCRYPT, true), Attr::bool(CKA_DECRYPT, true)]].concat();
    let aes = session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &aes).unwrap();
    let secret = session.generate_key(&Mechanism::new(CKM_GENERIC_SECRET_KEY_GEN), &uses).unwrap();

    let (handle, data) = (session.handle(), [7u8; 64]);
    let mut iv = [9u8; 16];
    let mut gcm = CK_GCM_PARAMS {
        pIv: iv.as_mut_ptr(),
        ulIvLen: 12,
        ulIvBits: 96,
        pAAD: data.as_ptr().cast_mut(),
        ulAADLen: 16,
        ulTagBits: 128,
    };
    let gcm = (ptr::from_mut(&mut gcm).cast(), size_of::<CK_GCM_PARAMS>());
    let (none, iv) = ((ptr::null_mut(), 0), (iv.as_mut_ptr().cast(), 16));
    let mechanism = |number, (at, len): (CK_VOID_PTR, usize)| CK_MECHANISM {
        mechanism: number,
        pParameter: at,
        ulParameterLen: len as CK_ULONG,
    };

    let mut ctr = CK_AES_CTR_PARAMS { ulCounterBits: 128, cb: [9; 16] };
    let ctr = (ptr::from_mut(&mut ctr).cast(), size_of::<CK_AES_CTR_PARAMS>());
    for (number, parameter) in
        [(CKM_AES_ECB, none), (CKM_AES_CBC, iv), (CKM_AES_CTR, ctr), (CKM_AES_GCM, gcm)]
    {
        let count = allocations(|| {
            let (mut mechanism, mut out) = (mechanism(number, parameter), [0u8; 80]);
            let mut len = out.len() as CK_ULONG;
            // SAFETY: every pointer is to a local of the length beside it.
            unsafe {
                ok(list.C_EncryptInit.unwrap()(handle, &mut mechanism, aes));
                let data_at = data.as_ptr().cast_mut();
                ok(list.C_Encrypt.unwrap()(handle, data_at, 64, out.as_mut_ptr(), &mut len));
            }
        });
        assert_eq!(count, 0, "encryption by {number:#x}");
    }
    let sealed = {
        let (mut mechanism, mut out) = (mechanism(CKM_AES_GCM, gcm), [0u8; 80]);
        let mut len = out.len() as CK_ULONG;
        // SAFETY: as above.
        unsafe {
            ok(list.C_EncryptInit.unwrap()(handle, &mut mechanism, aes));
            ok(list.C_Encrypt.unwrap()(handle, data.as_ptr().cast_mut(), 64, out.as_mut_ptr(), &mut len));
        }
        out
    };
    let count = allocations(|| {
        let (mut mechanism, mut out) = (mechanism(CKM_AES_GCM, gcm), [0u8; 64]);
        let mut len = out.len() as CK_ULONG;
        // SAFETY: as above.
        unsafe {
            ok(list.C_DecryptInit.unwrap()(handle, &mut mechanism, aes));
            ok(list.C_Decrypt.unwrap()(handle, sealed.as_ptr().cast_mut(), 80, out.as_mut_ptr(), &mut len));
        }
    });
    assert_eq!(count, 0, "decryption");
    for (number, key) in [(CKM_AES_CMAC, aes), (CKM_SHA256_HMAC, secret)] {
        let count = allocations(|| {
            let (mut mechanism, mut out) = (mechanism(number, none), [0u8; 32]);
            let mut len = out.len() as CK_ULONG;
            // SAFETY: as above.
            unsafe {
                ok(list.C_SignInit.unwrap()(handle, &mut mechanism, key));
                let data_at = data.as_ptr().cast_mut();
                ok(list.C_Sign.unwrap()(handle, data_at, 64, out.as_mut_ptr(), &mut len));
            }
        });
        assert_eq!(count, 0, "MAC by {number:#x}");
    }
    let count = allocations(|| {
        let (mut mechanism, mut out) = (mechanism(CKM_SHA256, none), [0u8; 32]);
        let mut len = out.len() as CK_ULONG;
        // SAFETY: as above.
        unsafe {
            ok(list.C_DigestInit.unwrap()(handle, &mut mechanism));
            ok(list.C_Digest.unwrap()(handle, data.as_ptr().cast_mut(), 64, out.as_mut_ptr(), &mut len));
            ok(list.C_GenerateRandom.unwrap()(handle, out.as_mut_ptr(), 32));
        }
    });
    assert_eq!(count, 0, "digest and random bytes");

    let new = [Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_AES), Attr::bytes(CKA_VALUE, [7; 32])];
    let new = [&new[..], &[Attr::bool(CKA_SENSITIVE, true), Attr::bool(CKA_ENCRYPT, true)]].concat();
    // The list of its attributes, the value, the list of its secrets, the object.
    let count = allocations(|| session.destroy(session.create_object(&new).unwrap()).unwrap());
    assert_eq!(count - allocations(|| drop(Template::new(&new))), 4, "a session key");
    module.finalize().unwrap();
}
