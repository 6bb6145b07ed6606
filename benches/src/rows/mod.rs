//! What is measured: each row is an operation of a module and, where there is one, its bare primitive in AWS-LC.

mod asymmetric;
mod calls;
mod post_quantum;
mod symmetric;
mod wrapping;

use crate::desk::Desk;
use crate::work::{Buffer, Work, repeat};
use cryptoki_sys::*;
use pkcs11_conformance::client::{Mechanism, Result, Rv};

/// Prepares the operation for one session.
pub type Prepare = Box<dyn Fn(&Desk) -> Result<Work> + Sync>;

/// An operation.
pub struct Row {
    /// As in "aes256-gcm-enc-64".
    pub name: String,
    /// Bytes that one operation works on, where a rate in bytes says more than one in operations; otherwise 0.
    pub bytes: usize,
    /// Through a module: Init and operation each time.
    pub module: Prepare,
    /// In AWS-LC: keys expanded beforehand, the entry point with the least around it.
    pub bare: Option<Box<dyn Fn() -> Work + Sync>>,
    /// Whether one takes much more than another, by chance, so that the mean of many is what counts.
    pub uneven: bool,
}

impl Row {
    fn new(name: impl Into<String>, module: impl Fn(&Desk) -> Result<Work> + Sync + 'static) -> Row {
        Row { name: name.into(), bytes: 0, module: Box::new(module), bare: None, uneven: false }
    }

    fn bare(mut self, work: impl Fn() -> Work + Sync + 'static) -> Row {
        self.bare = Some(Box::new(work));
        self
    }

    /// From 1 KiB on the rate is told in bytes.
    fn sized(mut self, size: usize) -> Row {
        self.bytes = if size >= 1024 { size } else { 0 };
        self
    }

    fn uneven(mut self) -> Row {
        self.uneven = true;
        self
    }
}

/// All of them, in the order of the table.
pub fn all() -> Vec<Row> {
    [calls::rows(), symmetric::rows(), wrapping::rows(), asymmetric::rows(), post_quantum::rows()]
        .into_iter()
        .flatten()
        .collect()
}

/// "64", "1k", "16k", "1m".
fn size_name(size: usize) -> String {
    match size {
        _ if size >= 1 << 20 => format!("{}m", size >> 20),
        _ if size >= 1 << 10 => format!("{}k", size >> 10),
        _ => size.to_string(),
    }
}

type Init = Option<unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE) -> CK_RV>;
type Run =
    Option<unsafe extern "C" fn(CK_SESSION_HANDLE, *mut u8, CK_ULONG, *mut u8, *mut CK_ULONG) -> CK_RV>;

/// `C_*Init` with `mechanism` and `key`, then the operation on `data` into a buffer with `room`.
fn one_shot(
    desk: &Desk,
    (init, run): (Init, Run),
    mechanism: Mechanism,
    key: CK_OBJECT_HANDLE,
    data: impl AsRef<[u8]>,
    room: usize,
) -> Result<Work> {
    let (init, run) = (init.ok_or(Rv::ABSENT)?, run.ok_or(Rv::ABSENT)?);
    let session = desk.session.handle();
    let (mut data, mut out) = (Buffer::of(data.as_ref()), Buffer::output(room));
    Ok(repeat(move || {
        // SAFETY: a mechanism and buffers that the closure owns, with their lengths.
        unsafe {
            let rv = init(session, mechanism.ptr(), key);
            if rv != CKR_OK {
                return Rv(rv);
            }
            let mut length = out.len() as CK_ULONG;
            Rv(run(session, data.as_mut_ptr(), data.len() as CK_ULONG, out.as_mut_ptr(), &mut length))
        }
    }))
}

/// What C_Encrypt makes of `data`, once. Into a large buffer: NSS does not tell the right length when it is asked.
fn sealed(desk: &Desk, mechanism: &Mechanism, key: CK_OBJECT_HANDLE, data: &[u8]) -> Result<Vec<u8>> {
    desk.session.encrypt_init(mechanism, key)?;
    let run = desk.session.f().C_Encrypt.ok_or(Rv::ABSENT)?;
    let (mut data, mut out) = (data.to_vec(), vec![0; data.len() + 512]);
    let mut length = out.len() as CK_ULONG;
    let (from, count) = (data.as_mut_ptr(), data.len() as CK_ULONG);
    // SAFETY: buffers with their lengths.
    Rv(unsafe { run(desk.session.handle(), from, count, out.as_mut_ptr(), &mut length) }).ok()?;
    out.truncate(length as usize);
    Ok(out)
}

/// C_EncryptInit and C_Encrypt of so many bytes.
pub fn encryption(desk: &Desk, mechanism: Mechanism, key: CK_OBJECT_HANDLE, size: usize) -> Result<Work> {
    let entries = (desk.session.f().C_EncryptInit, desk.session.f().C_Encrypt);
    one_shot(desk, entries, mechanism, key, vec![0x5A; size], size + 64)
}

/// C_VerifyInit and C_Verify of a signature made beforehand.
fn verification(
    desk: &Desk,
    mechanism: Mechanism,
    (public, private): (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE),
    mut data: Vec<u8>,
) -> Result<Work> {
    let list = desk.session.f();
    let (init, run) = (list.C_VerifyInit.ok_or(Rv::ABSENT)?, list.C_Verify.ok_or(Rv::ABSENT)?);
    let mut signature = desk.session.sign(&mechanism, private, &data)?;
    let session = desk.session.handle();
    Ok(repeat(move || {
        // SAFETY: a mechanism and buffers that the closure owns, with their lengths.
        unsafe {
            let rv = init(session, mechanism.ptr(), public);
            if rv != CKR_OK {
                return Rv(rv);
            }
            let (data_len, signature_len) = (data.len() as CK_ULONG, signature.len() as CK_ULONG);
            Rv(run(session, data.as_mut_ptr(), data_len, signature.as_mut_ptr(), signature_len))
        }
    }))
}

/// Repeats what makes a session object, and destroys each one.
fn making(desk: &Desk, mut make: impl FnMut(*mut CK_OBJECT_HANDLE) -> CK_RV + 'static) -> Result<Work> {
    let destroy = desk.session.f().C_DestroyObject.ok_or(Rv::ABSENT)?;
    let session = desk.session.handle();
    Ok(repeat(move || {
        let mut key = CK_INVALID_HANDLE;
        match make(&mut key) {
            // SAFETY: numbers only.
            CKR_OK => Rv(unsafe { destroy(session, key) }),
            rv => Rv(rv),
        }
    }))
}
