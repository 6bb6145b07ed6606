//! Data in parts of any size gives what it gives in one piece, for every mechanism that takes parts; and where input
//! and output share memory.

use super::*;
use pkcs11_conformance::client::Result;

/// Lengths of data around the block sizes, and a long one.
const LENGTHS: [usize; 9] = [0, 1, 15, 16, 17, 48, 64, 255, 5000];

fn cut<'a>(data: &'a [u8], dice: &mut Dice) -> Vec<&'a [u8]> {
    if data.is_empty() {
        return vec![data];
    }
    let most = [3, 20, 100, 6000][dice.below(4)];
    let (mut parts, mut rest) = (Vec::new(), data);
    while !rest.is_empty() {
        let (part, after) = rest.split_at((1 + dice.below(most)).min(rest.len()));
        parts.push(part);
        rest = after;
    }
    parts
}

/// What a decryption of `data` gives: CKM_RSA_X_509 gives a whole modulus, with the zeros in front.
fn plain(row: &Row, out: Result<Vec<u8>>, data: &[u8]) -> Result<Vec<u8>> {
    let zeros = |out: &[u8]| out.iter().all(|byte| *byte == 0);
    out.map(|out| match out.len().checked_sub(data.len()) {
        Some(more) if row.number == CKM_RSA_X_509 && zeros(&out[..more]) => out[more..].to_vec(),
        _ => out,
    })
}

/// A multi-part operation after its Init.
fn in_parts(
    parts: &[&[u8]],
    update: impl Fn(&[u8]) -> Result<Vec<u8>>,
    last: impl Fn() -> Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for part in parts {
        out.extend(update(part)?);
    }
    out.extend(last()?);
    Ok(out)
}

#[test]
fn ciphers() {
    let keys = Keys::new();
    let session = keys.session();
    let mut dice = Dice(1);
    let mut multipart = Vec::new();
    for row in rows(|row| row.cipher.is_some()) {
        let (public, private) = keys.of(row);
        let mut good = 0;
        for len in LENGTHS {
            let data = noise(len);
            let with = mechanism(row, len);
            let Ok(sealed) = session.encrypt(&with, public, &data) else { continue };
            if row.number == CKM_RSA_X_509 && len == 0 {
                // The number zero, which the decryption refuses as no one's ciphertext.
                continue;
            }
            good += 1;
            // CloudHSM's GCM makes an IV of its own and RSA pads at random: what is sealed twice is not the same.
            let fixed = session.encrypt(&with, public, &data).is_ok_and(|again| again == sealed);
            let opened = plain(row, session.decrypt(&with, private, &sealed), &data);
            assert_eq!(opened.as_ref(), Ok(&data), "{} {len}", row.name);
            for _ in 0..3 {
                session.encrypt_init(&with, public).expect(row.name);
                let parts = cut(&data, &mut dice);
                let out = in_parts(&parts, |part| session.encrypt_update(part), || session.encrypt_final());
                match out {
                    Err(Rv(CKR_FUNCTION_NOT_SUPPORTED)) => break,
                    out if fixed => assert_eq!(out.as_ref(), Ok(&sealed), "{} {len}", row.name),
                    out => assert_eq!(
                        session.decrypt(&with, private, &out.expect(row.name)).as_ref(),
                        Ok(&data),
                        "{} {len}",
                        row.name
                    ),
                }
                session.decrypt_init(&with, private).expect(row.name);
                let parts = cut(&sealed, &mut dice);
                let out = in_parts(&parts, |part| session.decrypt_update(part), || session.decrypt_final());
                assert_eq!(out.as_ref(), Ok(&data), "{} {len}", row.name);
                multipart.push(row.number);
            }
            // Whatever came of it, nothing runs on.
            assert_eq!(session.encrypt_final(), Err(INACTIVE), "{}", row.name);
        }
        assert!(good > 0, "{} encrypts nothing", row.name);
    }
    for number in [CKM_AES_ECB, CKM_AES_CBC, CKM_AES_CBC_PAD, CKM_AES_CTR, CKM_AES_GCM, CKM_DES3_CBC_PAD] {
        assert!(multipart.contains(&number), "{number:#x} takes no parts");
    }
}

#[test]
fn signatures_and_macs() {
    let keys = Keys::new();
    let session = keys.session();
    let mut dice = Dice(2);
    let mut multipart = Vec::new();
    for row in rows(|row| row.sign.is_some()) {
        let (public, private) = keys.of(row);
        let mut good = 0;
        // CKM_ECDSA and its like take a digest, CKM_CLOUDHSM_EXT_MU_ML_DSA 64 bytes.
        for len in [0, 20, 32, 64, 256, 3000] {
            let data = noise(len);
            let with = mechanism(row, len);
            let Ok(signature) = session.sign(&with, private, &data) else { continue };
            good += 1;
            assert_eq!(session.verify(&with, public, &data, &signature), Ok(()), "{} {len}", row.name);
            session.sign_init(&with, private).expect(row.name);
            let parts = cut(&data, &mut dice);
            let update = |part: &[u8]| session.sign_update(part).map(|()| Vec::new());
            match in_parts(&parts, update, || session.sign_final()) {
                Err(Rv(CKR_FUNCTION_NOT_SUPPORTED)) => {
                    assert_eq!(session.sign_final(), Err(INACTIVE), "{}", row.name);
                    continue;
                }
                signed => {
                    let signed = signed.unwrap_or_else(|rv| panic!("{} {len}: {rv}", row.name));
                    assert_eq!(session.verify(&with, public, &data, &signed), Ok(()), "{} {len}", row.name);
                }
            }
            session.verify_init(&with, public).expect(row.name);
            for part in cut(&data, &mut dice) {
                session.verify_update(part).expect(row.name);
            }
            assert_eq!(session.verify_final(&signature), Ok(()), "{} {len}", row.name);
            let mut wrong = signature.clone();
            wrong[0] ^= 1;
            session.verify_init(&with, public).expect(row.name);
            for part in cut(&data, &mut dice) {
                session.verify_update(part).expect(row.name);
            }
            assert_eq!(session.verify_final(&wrong), Err(Rv(CKR_SIGNATURE_INVALID)), "{} {len}", row.name);
            multipart.push(row.number);
        }
        assert!(good > 0, "{} signs nothing", row.name);
    }
    for number in
        [CKM_SHA256_HMAC, CKM_AES_CMAC, CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS, CKM_ECDSA_SHA256]
    {
        assert!(multipart.contains(&number), "{number:#x} takes no parts");
    }
}

#[test]
fn digests() {
    let keys = Keys::new();
    let session = keys.session();
    let mut dice = Dice(3);
    for row in rows(|row| row.digest.is_some()) {
        for len in LENGTHS {
            let (data, with) = (noise(len), Mechanism::new(row.number));
            let whole = session.digest(&with, &data).expect(row.name);
            session.digest_init(&with).expect(row.name);
            let update = |part: &[u8]| session.digest_update(part).map(|()| Vec::new());
            let parts = in_parts(&cut(&data, &mut dice), update, || session.digest_final());
            assert_eq!(parts, Ok(whole), "{} {len}", row.name);
        }
    }
}

/// C_Encrypt, C_EncryptUpdate and their like on memory where the output begins `shift` bytes from the input.
#[test]
fn input_and_output_may_share_memory() {
    type Call = unsafe extern "C" fn(CK_SESSION_HANDLE, *mut u8, CK_ULONG, *mut u8, *mut CK_ULONG) -> CK_RV;
    let keys = Keys::new();
    let session = keys.session();
    let f = session.f();
    let (encrypt, encrypt_update) =
        (f.C_Encrypt.expect("C_Encrypt"), f.C_EncryptUpdate.expect("C_EncryptUpdate"));
    let (decrypt, decrypt_update) =
        (f.C_Decrypt.expect("C_Decrypt"), f.C_DecryptUpdate.expect("C_DecryptUpdate"));
    let on = |call: Call, data: &[u8], shift: isize| -> Result<Vec<u8>> {
        let at = 300;
        let mut memory = vec![0xEE; at + data.len() + 900];
        memory[at..at + data.len()].copy_from_slice(data);
        let mut len = 512 + data.len() as CK_ULONG;
        let out = at.strict_add_signed(shift);
        // SAFETY: input and output lie inside `memory`.
        let rv = Rv(unsafe {
            let start = memory.as_mut_ptr();
            call(session.handle(), start.add(at), data.len() as CK_ULONG, start.add(out), &raw mut len)
        });
        rv.ok().map(|()| memory[out..out + len as usize].to_vec())
    };
    for row in rows(|row| row.cipher.is_some()) {
        let (public, private) = keys.of(row);
        for len in [16, 64, 208] {
            let (data, with) = (noise(len), mechanism(row, len));
            let Ok(sealed) = session.encrypt(&with, public, &data) else { continue };
            let fixed = session.encrypt(&with, public, &data).is_ok_and(|again| again == sealed);
            for shift in [0, 1, -1, 8, -16, 16, -100, 100] {
                session.encrypt_init(&with, public).expect(row.name);
                let out = on(encrypt, &data, shift).unwrap_or_else(|rv| panic!("{} {shift}: {rv}", row.name));
                match fixed {
                    true => assert_eq!(out, sealed, "{} {len} {shift}", row.name),
                    false => {
                        assert_eq!(session.decrypt(&with, private, &out).as_ref(), Ok(&data), "{}", row.name)
                    }
                }
                session.decrypt_init(&with, private).expect(row.name);
                let opened = plain(row, on(decrypt, &sealed, shift), &data);
                assert_eq!(opened.as_ref(), Ok(&data), "{} {len} {shift}", row.name);
                if !fixed {
                    continue;
                }
                session.encrypt_init(&with, public).expect(row.name);
                let (first, rest) = data.split_at(len / 2 + 3);
                let Ok(mut out) = on(encrypt_update, first, shift) else {
                    assert_eq!(session.encrypt_final(), Err(INACTIVE));
                    continue;
                };
                out.extend(on(encrypt_update, rest, shift).expect(row.name));
                out.extend(session.encrypt_final().expect(row.name));
                assert_eq!(out, sealed, "{} {len} {shift} in parts", row.name);
                session.decrypt_init(&with, private).expect(row.name);
                let (first, rest) = sealed.split_at(len / 2 - 5);
                let mut out = on(decrypt_update, first, shift).expect(row.name);
                out.extend(on(decrypt_update, rest, shift).expect(row.name));
                out.extend(session.decrypt_final().expect(row.name));
                assert_eq!(out, data, "{} {len} {shift} in parts", row.name);
            }
        }
    }
}
