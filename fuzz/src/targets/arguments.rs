//! One call with a random template and a random mechanism, in a session that has a key for everything: every function
//! that takes a template, and every `C_*Init`.

use crate::{Input, mechanism, template};
use pkcs11_client::Session;
use pkcs11_client::cryptoki_sys::*;
use std::cell::OnceCell;

struct Place {
    session: Session,
    keys: Vec<CK_OBJECT_HANDLE>,
}

/// One input.
pub fn run(data: &[u8]) {
    thread_local! { static PLACE: OnceCell<Place> = const { OnceCell::new() } }
    PLACE.with(|place| {
        let Place { session, keys } = place.get_or_init(|| {
            let session = crate::session();
            let keys = crate::keys(&session);
            Place { session, keys }
        });
        let mut input = Input(data);
        let (what, key, mechanism) = (input.below(16), input.pick(keys), mechanism(&mut input));
        let template = template(&mut input, 2);
        let made = match what {
            0 => session.create_object(&template),
            1 => session.copy(key, &template),
            2 => session.generate_key(&mechanism, &template),
            3 => {
                let other = crate::template(&mut input, 2);
                session.generate_key_pair(&mechanism, &template, &other).map(|(public, private)| {
                    session.destroy(public).expect("C_DestroyObject");
                    private
                })
            }
            4 => session.unwrap(&mechanism, key, input.bytes(255), &template),
            5 => session.derive(&mechanism, key, &template),
            6 => session.decapsulate(&mechanism, key, input.bytes(255), &template),
            7 => session.encapsulate(&mechanism, key, &template).map(|(_, key)| key),
            8 => session.find(&template).map(|_| CK_INVALID_HANDLE),
            9 => session.encrypt(&mechanism, key, input.bytes(100)).map(|_| CK_INVALID_HANDLE),
            10 => session.decrypt(&mechanism, key, input.bytes(255)).map(|_| CK_INVALID_HANDLE),
            11 => session.sign(&mechanism, key, input.bytes(100)).map(|_| CK_INVALID_HANDLE),
            12 => {
                let signature = input.bytes(255);
                session.verify(&mechanism, key, input.bytes(100), signature).map(|()| CK_INVALID_HANDLE)
            }
            13 => session.digest(&mechanism, input.bytes(100)).map(|_| CK_INVALID_HANDLE),
            14 => session.wrap(&mechanism, key, input.pick(keys)).map(|_| CK_INVALID_HANDLE),
            _ => session.copy(key, &[]).inspect(|copy| {
                let _ = session.set(*copy, &template);
            }),
        };
        if let Ok(made) = made
            && made != CK_INVALID_HANDLE
        {
            let _ = session.attribute(made, CKA_CHECK_VALUE);
            let _ = session.destroy(made);
        }
        let _ = session.session_cancel(CK_FLAGS::MAX);
    });
}
