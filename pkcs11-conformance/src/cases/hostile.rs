//! Hostile arguments: for every function a sweep over its arguments, and rows for what stands inside templates and
//! parameters. Each case is about coming back: a crash or a hang is the finding, and what a caller could never mean must
//! be refused.

use super::entry::{FUNCTIONS, Function, Kind, Words};
use crate::case::{Case, Outcome, Setup, Stop, Want};
use crate::client::{Attr, Mechanism, Rv};
use crate::context::{Context, P256, yes};
use cryptoki_sys::*;
use std::ffi::c_void;
use std::ptr;

const CHAPTER: &str = "Hostile arguments";
/// More elements or bytes than any address space has room for.
const ABSURD: CK_ULONG = 1 << 60;
const NO_HANDLE: usize = 0x7ead_beef;

pub fn cases() -> Vec<Case> {
    FUNCTIONS.iter().flat_map(sweep).chain(templates()).chain(parameters()).chain(misuse()).collect()
}

/// What a sweep does to one argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Twist {
    /// NULL, with the length that goes with it unchanged.
    Null,
    /// A handle that is not there.
    Unknown,
    /// A length or count of 2^60.
    Absurd,
    /// An address that is not aligned for what stands there.
    Misaligned,
}

impl Twist {
    fn name(self) -> &'static str {
        match self {
            Twist::Null => "null",
            Twist::Unknown => "unknown",
            Twist::Absurd => "absurd",
            Twist::Misaligned => "misaligned",
        }
    }

    /// The twists that make sense for an argument, and what they want.
    fn of(function: &Function, at: usize) -> Vec<(Twist, Want)> {
        let length_follows = function.kinds.get(at + 1) == Some(&Kind::Length);
        match function.kinds[at] {
            Kind::Session => vec![(Twist::Null, REFUSED), (Twist::Unknown, REFUSED)],
            Kind::Slot | Kind::Object => vec![(Twist::Unknown, Want::Answer)],
            Kind::Mechanism => vec![(Twist::Null, Want::Answer), (Twist::Misaligned, Want::Answer)],
            Kind::Template => vec![(Twist::Null, REFUSED), (Twist::Misaligned, Want::Answer)],
            // C_FindObjects may be given more room than there are objects.
            Kind::Length if function.name == "C_FindObjects" => vec![(Twist::Absurd, Want::Answer)],
            Kind::Length => vec![(Twist::Absurd, REFUSED)],
            Kind::Input => vec![(Twist::Null, REFUSED)],
            // NULL asks for the length, where there is one to ask for.
            Kind::Output => vec![(Twist::Null, if length_follows { REFUSED } else { Want::Answer })],
            Kind::LengthAt | Kind::Place => vec![(Twist::Null, REFUSED), (Twist::Misaligned, Want::Answer)],
            Kind::Number | Kind::Reserved => vec![],
        }
    }
}

/// One case for each twist of each argument of a function, and one with every argument zero.
fn sweep(function: &'static Function) -> Vec<Case> {
    let zeros = Case::new(
        format!("hostile.{}.zeros", function.name),
        CHAPTER,
        format!("{} with every argument 0", function.name),
        Want::Answer,
        move |x| listed(function, function.call(&x.module, &[0; 10])),
    );
    // With flags of 0 C_WaitForSlotEvent waits, as it should.
    let mut cases = if function.name == "C_WaitForSlotEvent" { vec![] } else { vec![zeros] };
    for (at, &kind) in function.kinds.iter().enumerate() {
        for (twist, want) in Twist::of(function, at) {
            let id = format!("hostile.{}.{}-{at}", function.name, twist.name());
            let does = format!("{}: argument {} ({kind:?}) is {}", function.name, at + 1, twist.name());
            cases.push(Case::new(id, CHAPTER, does, want, move |x| {
                if !function.is_listed(&x.module) {
                    return Err(Stop::NotOffered(function.name.into()));
                }
                let mut words = Arguments::prepare(function, x)?.words;
                twist_word(&mut words[at], twist);
                listed(function, function.call(&x.module, &words))
            }));
        }
    }
    cases
}

fn listed(function: &Function, rv: Option<Rv>) -> Outcome {
    rv.ok_or_else(|| Stop::NotOffered(function.name.into()))
}

fn twist_word(word: &mut usize, twist: Twist) {
    match twist {
        Twist::Null => *word = 0,
        Twist::Unknown => *word = NO_HANDLE,
        Twist::Absurd => *word = ABSURD as usize,
        Twist::Misaligned => {
            // The same bytes, three further on.
            let moved = block(&[]) + 3;
            // SAFETY: every argument that is twisted so is a block, and half of one fits into another at 3.
            unsafe {
                ptr::copy_nonoverlapping(*word as *const u8, moved as *mut u8, BLOCK * size_of::<usize>() / 2)
            };
            *word = moved;
        }
    }
}

/// Good arguments for a function, in memory that outlives the process's one case.
struct Arguments {
    words: Words,
}

impl Arguments {
    /// Begins the operation that the function belongs to, so that an argument is what fails and not the state.
    fn prepare(function: &Function, x: &Context) -> Result<Arguments, Stop> {
        let mechanism = begin(function.name, x);
        let object = object(function.name, x);
        let mut words: Words = [0; 10];
        for (word, &kind) in words.iter_mut().zip(function.kinds) {
            *word = match kind {
                Kind::Session => x.s().handle() as usize,
                Kind::Slot => x.slot as usize,
                Kind::Object => object as usize,
                // CKU_USER, CK_TRUE, CKF_DONT_BLOCK: what no function waits for.
                Kind::Number => 1,
                Kind::Mechanism => block(&[
                    mechanism.number() as usize,
                    mechanism.parameter().0 as usize,
                    mechanism.parameter().1 as usize,
                ]),
                Kind::Template => template(function.name),
                Kind::Length => length(function.name),
                Kind::Input => block(&[0x0101_0101_0101_0101; 16]),
                Kind::Output | Kind::Place => block(&[0; 64]),
                Kind::LengthAt => block(&[256]),
                Kind::Reserved => 0,
            };
        }
        std::mem::forget(mechanism);
        Ok(Arguments { words })
    }
}

/// How many words a block has: more than any structure, and than 32 attributes.
const BLOCK: usize = 512;

/// Memory that is never freed, as the process ends with its one case.
fn block(words: &[usize]) -> usize {
    let mut room = vec![0usize; BLOCK];
    room[..words.len()].copy_from_slice(words);
    room.leak().as_mut_ptr() as usize
}

/// The length for a function's inputs and the count for its template, which is always of one attribute.
fn length(name: &str) -> usize {
    let of_templates =
        ["C_CreateObject", "C_CopyObject", "C_GetAttributeValue", "C_SetAttributeValue", "C_FindObjectsInit"];
    let of_keys = ["C_GenerateKey", "C_GenerateKeyPair", "C_DeriveKey"];
    if of_templates.contains(&name) || of_keys.contains(&name) { 1 } else { 32 }
}

fn template(name: &str) -> usize {
    let (kind, value): (_, &'static [u8]) = match name {
        "C_GenerateKey" => (CKA_VALUE_LEN, &[32, 0, 0, 0, 0, 0, 0, 0]),
        "C_CreateObject" => (CKA_CLASS, &[0; 8]),
        _ => (CKA_LABEL, b"hostile!"),
    };
    let value = block(&[usize::from_ne_bytes(value.try_into().expect("eight bytes"))]);
    // UnwrapKey and its like count 32: the rows after the first must be rows too.
    block(&[[kind as usize, value, 8]; 32].concat())
}

/// Begins what `name` goes on with; the mechanism is the one a function of that name takes.
fn begin(name: &str, x: &Context) -> Mechanism {
    let cbc = || Mechanism::bytes(CKM_AES_CBC, &[0; 16]);
    let (sha, hmac) = (Mechanism::new(CKM_SHA256), Mechanism::new(CKM_SHA256_HMAC));
    let aes = x.aes(32, &yes(&[CKA_ENCRYPT, CKA_DECRYPT])).unwrap_or(0);
    let mac = x.import(CKK_GENERIC_SECRET, &[3; 32], &yes(&[CKA_SIGN, CKA_VERIFY])).unwrap_or(0);
    // A module that lacks one of these answers the twisted call with a code all the same.
    let dual = name.starts_with("C_DigestEncrypt") || name.starts_with("C_DecryptDigest");
    let any = |names: &[&str]| names.contains(&name);
    if any(&["C_Encrypt", "C_EncryptUpdate", "C_EncryptFinal", "C_SignEncryptUpdate"])
        || name == "C_DigestEncryptUpdate"
    {
        let _ = x.s().encrypt_init(&cbc(), aes);
    }
    if any(&["C_Decrypt", "C_DecryptUpdate", "C_DecryptFinal", "C_DecryptVerifyUpdate"])
        || name == "C_DecryptDigestUpdate"
    {
        let _ = x.s().decrypt_init(&cbc(), aes);
    }
    if dual || any(&["C_Digest", "C_DigestUpdate", "C_DigestFinal", "C_DigestKey", "C_GetOperationState"]) {
        let _ = x.s().digest_init(&sha);
    }
    if any(&["C_Sign", "C_SignUpdate", "C_SignFinal", "C_SignEncryptUpdate"]) {
        let _ = x.s().sign_init(&hmac, mac);
    }
    if any(&["C_Verify", "C_VerifyUpdate", "C_VerifyFinal", "C_DecryptVerifyUpdate"]) {
        let _ = x.s().verify_init(&hmac, mac);
    }
    if any(&["C_FindObjects", "C_FindObjectsFinal"]) {
        let _ = x.s().find_init(&[]);
    }
    if name.contains("EncryptMessage") {
        let _ = x.s().message_encrypt_init(&Mechanism::new(CKM_AES_GCM), aes);
    }
    if name.contains("DecryptMessage") {
        let _ = x.s().message_decrypt_init(&Mechanism::new(CKM_AES_GCM), aes);
    }
    if name.starts_with("C_VerifySignature") && name != "C_VerifySignatureInit" {
        let _ = x.s().verify_signature_init(&hmac, mac, &[1; 32]);
    }
    match name {
        "C_DigestInit" => sha,
        "C_SignInit"
        | "C_VerifyInit"
        | "C_VerifySignatureInit"
        | "C_MessageSignInit"
        | "C_MessageVerifyInit" => hmac,
        "C_GenerateKey" => Mechanism::new(CKM_AES_KEY_GEN),
        "C_GenerateKeyPair" => Mechanism::new(CKM_EC_KEY_PAIR_GEN),
        "C_WrapKey" | "C_UnwrapKey" => Mechanism::new(CKM_AES_KEY_WRAP),
        "C_EncapsulateKey" | "C_DecapsulateKey" => Mechanism::new(CKM_ML_KEM),
        "C_DeriveKey" => Mechanism::ecdh1(CKM_ECDH1_DERIVE, CKD_NULL, &[], &[4; 65]),
        name if name.starts_with("C_Message") || name.contains("Authenticated") => {
            Mechanism::new(CKM_AES_GCM)
        }
        _ => cbc(),
    }
}

/// An object that fits the function.
fn object(name: &str, x: &Context) -> CK_OBJECT_HANDLE {
    match name {
        "C_SignInit" | "C_VerifyInit" | "C_VerifySignatureInit" => {
            x.import(CKK_GENERIC_SECRET, &[3; 32], &yes(&[CKA_SIGN, CKA_VERIFY])).unwrap_or(0)
        }
        "C_DeriveKey" => x.ec(P256, &[], &yes(&[CKA_DERIVE])).map_or(0, |pair| pair.1),
        "C_WrapKey" | "C_UnwrapKey" => x.aes(32, &yes(&[CKA_WRAP, CKA_UNWRAP, CKA_EXTRACTABLE])).unwrap_or(0),
        _ => x.aes(32, &yes(&[CKA_ENCRYPT, CKA_DECRYPT])).unwrap_or(0),
    }
}

type Rows = fn() -> Vec<Attr>;

fn size() -> Attr {
    Attr::ulong(CKA_VALUE_LEN, 32)
}

/// A template with templates in it, `depth` deep; of plain rows, so that it takes none of this program's own stack.
fn nested(depth: usize) -> Attr {
    let mut value = block(&[CK_TRUE as usize]);
    for depth in 0..depth {
        let row = if depth == 0 {
            [CKA_SENSITIVE as usize, value, 1]
        } else {
            [CKA_UNWRAP_TEMPLATE as usize, value, 24]
        };
        value = Vec::from(row).leak().as_mut_ptr() as usize;
    }
    Attr::raw(CKA_UNWRAP_TEMPLATE, value as *const c_void, 24)
}

const NULL: *const c_void = ptr::null();
const REFUSED: Want = Want::Refusal;

/// Templates for C_GenerateKey of an AES key.
const TEMPLATES: &[(&str, Rows, Want)] = &[
    ("value-len-null", || vec![Attr::raw(CKA_VALUE_LEN, NULL, 8)], REFUSED),
    ("label-null", || vec![size(), Attr::raw(CKA_LABEL, NULL, 8)], REFUSED),
    ("bool-null", || vec![size(), Attr::raw(CKA_ENCRYPT, NULL, 1)], REFUSED),
    ("value-len-1-byte", || vec![Attr::bytes(CKA_VALUE_LEN, [16])], REFUSED),
    ("bool-8-bytes", || vec![size(), Attr::bytes(CKA_ENCRYPT, [1; 8])], REFUSED),
    ("bool-of-2", || vec![size(), Attr::bytes(CKA_ENCRYPT, [2])], Want::Answer),
    ("same-twice", || vec![size(), size()], Want::Answer),
    ("same-twice-different", || vec![size(), Attr::ulong(CKA_VALUE_LEN, 16)], REFUSED),
    ("label-absurd", || vec![size(), Attr::raw(CKA_LABEL, ptr::dangling::<u8>().cast(), ABSURD)], REFUSED),
    ("value-len-absurd", || vec![Attr::ulong(CKA_VALUE_LEN, ABSURD)], REFUSED),
    ("value-len-max", || vec![Attr::ulong(CKA_VALUE_LEN, CK_ULONG::MAX)], REFUSED),
    ("nested-null", || vec![size(), Attr::raw(CKA_UNWRAP_TEMPLATE, NULL, 24)], REFUSED),
    ("nested-half-row", || vec![size(), Attr::bytes(CKA_UNWRAP_TEMPLATE, [0; 23])], REFUSED),
    (
        "nested-absurd",
        || vec![size(), Attr::raw(CKA_UNWRAP_TEMPLATE, ptr::dangling::<u64>().cast(), ABSURD)],
        REFUSED,
    ),
    ("nested-deep", || vec![size(), nested(64)], REFUSED),
    ("nested-very-deep", || vec![size(), nested(100_000)], REFUSED),
    (
        "nested-value-null",
        || vec![size(), Attr::template(CKA_WRAP_TEMPLATE, &[Attr::raw(CKA_LABEL, NULL, 9)])],
        REFUSED,
    ),
    ("mechanisms-half", || vec![size(), Attr::bytes(CKA_ALLOWED_MECHANISMS, [0; 7])], REFUSED),
    ("mechanisms-null", || vec![size(), Attr::raw(CKA_ALLOWED_MECHANISMS, NULL, 16)], REFUSED),
    (
        "date-garbage",
        || vec![size(), Attr::bytes(CKA_START_DATE, b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8")],
        Want::Answer,
    ),
    ("label-no-utf8", || vec![size(), Attr::bytes(CKA_LABEL, [0xff; 8])], Want::Answer),
    ("label-a-mebibyte", || vec![size(), Attr::bytes(CKA_LABEL, vec![b'a'; 1 << 20])], Want::Answer),
    ("ten-thousand-rows", || vec![Attr::label("x"); 10_000], REFUSED),
];

fn templates() -> impl Iterator<Item = Case> {
    TEMPLATES.iter().map(|&(name, rows, want)| {
        let does = format!("C_GenerateKey with a hostile template: {name}");
        Case::new(format!("hostile.template.{name}"), CHAPTER, does, want, move |x| {
            let template = [&[Attr::bool(CKA_TOKEN, false)][..], &rows()].concat();
            Ok(Rv::of(&x.s().generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template)))
        })
    })
}

type Make = fn() -> Mechanism;

fn gcm(change: impl FnOnce(&mut CK_GCM_PARAMS)) -> Mechanism {
    Mechanism::with(CKM_AES_GCM, |m| {
        let mut params = CK_GCM_PARAMS {
            pIv: m.slice(&[1u8; 12]),
            ulIvLen: 12,
            ulIvBits: 96,
            pAAD: ptr::null_mut(),
            ulAADLen: 0,
            ulTagBits: 128,
        };
        change(&mut params);
        params
    })
}

/// Parameters of C_EncryptInit with an AES key; then 16 bytes are encrypted.
const PARAMETERS: &[(&str, Make, Want)] = &[
    ("gcm-aad-null", || gcm(|p| p.ulAADLen = 16), REFUSED),
    ("gcm-iv-null", || gcm(|p| p.pIv = ptr::null_mut()), REFUSED),
    ("gcm-iv-absurd", || gcm(|p| p.ulIvLen = ABSURD), REFUSED),
    (
        "gcm-aad-absurd",
        || {
            gcm(|p| {
                p.pAAD = ptr::dangling_mut();
                p.ulAADLen = ABSURD
            })
        },
        REFUSED,
    ),
    ("gcm-tag-absurd", || gcm(|p| p.ulTagBits = ABSURD), REFUSED),
    ("gcm-null", || Mechanism::raw(CKM_AES_GCM, NULL, size_of::<CK_GCM_PARAMS>() as CK_ULONG), REFUSED),
    ("gcm-short", || Mechanism::bytes(CKM_AES_GCM, &[0; 8]), REFUSED),
    ("cbc-null", || Mechanism::raw(CKM_AES_CBC, NULL, 16), REFUSED),
    ("cbc-absurd", || Mechanism::raw(CKM_AES_CBC, ptr::dangling::<u8>().cast(), ABSURD), REFUSED),
    ("ctr-null", || Mechanism::raw(CKM_AES_CTR, NULL, size_of::<CK_AES_CTR_PARAMS>() as CK_ULONG), REFUSED),
    ("ctr-bits-0", || Mechanism::ctr(0, [0; 16]), REFUSED),
    ("ctr-bits-129", || Mechanism::ctr(129, [0; 16]), REFUSED),
    ("ctr-bits-absurd", || Mechanism::ctr(ABSURD, [0; 16]), REFUSED),
    (
        "ccm-nonce-null",
        || {
            Mechanism::with(CKM_AES_CCM, |_| CK_CCM_PARAMS {
                ulDataLen: 16,
                ulNonceLen: 12,
                ulMACLen: 16,
                ..Default::default()
            })
        },
        REFUSED,
    ),
    ("ccm-data-absurd", || Mechanism::ccm(ABSURD as usize, &[1; 12], &[], 16), REFUSED),
];

fn parameters() -> impl Iterator<Item = Case> {
    let aes = PARAMETERS.iter().map(|&(name, make, want)| {
        let does = format!("C_EncryptInit with hostile parameters: {name}");
        Case::new(format!("hostile.parameter.{name}"), CHAPTER, does, want, move |x| {
            let m = make();
            x.need(m.number(), CKF_ENCRYPT)?;
            let key = x.aes(32, &yes(&[CKA_ENCRYPT])).setup("C_GenerateKey")?;
            x.s().encrypt_init(&m, key)?;
            Ok(Rv::of(&x.s().encrypt_once(&[0; 16])))
        })
    });
    let rsa = RSA.iter().map(|&(name, make, want)| {
        let does = format!("C_EncryptInit or C_SignInit of RSA with hostile parameters: {name}");
        Case::new(format!("hostile.parameter.{name}"), CHAPTER, does, want, move |x| {
            let m = make();
            let sign = m.number() == CKM_RSA_PKCS_PSS;
            x.need(m.number(), if sign { CKF_SIGN } else { CKF_ENCRYPT })?;
            let pair = x.rsa(2048, &yes(&[CKA_ENCRYPT]), &yes(&[CKA_SIGN]));
            let (public, private) = pair.setup("C_GenerateKeyPair")?;
            if sign {
                x.s().sign_init(&m, private)?;
                return Ok(Rv::of(&x.s().sign_once(&[1; 32])));
            }
            x.s().encrypt_init(&m, public)?;
            Ok(Rv::of(&x.s().encrypt_once(&[0; 16])))
        })
    });
    aes.chain(rsa)
}

fn oaep(change: impl FnOnce(&mut CK_RSA_PKCS_OAEP_PARAMS)) -> Mechanism {
    Mechanism::with(CKM_RSA_PKCS_OAEP, |_| {
        let mut params = CK_RSA_PKCS_OAEP_PARAMS {
            hashAlg: CKM_SHA_1,
            mgf: CKG_MGF1_SHA1,
            source: CKZ_DATA_SPECIFIED,
            pSourceData: ptr::null_mut(),
            ulSourceDataLen: 0,
        };
        change(&mut params);
        params
    })
}

const RSA: &[(&str, Make, Want)] = &[
    (
        "oaep-null",
        || Mechanism::raw(CKM_RSA_PKCS_OAEP, NULL, size_of::<CK_RSA_PKCS_OAEP_PARAMS>() as CK_ULONG),
        REFUSED,
    ),
    ("oaep-hash", || oaep(|p| p.hashAlg = 0x7fff_fff0), REFUSED),
    ("oaep-mgf", || oaep(|p| p.mgf = 77), REFUSED),
    ("oaep-label-null", || oaep(|p| p.ulSourceDataLen = 9), REFUSED),
    (
        "oaep-label-absurd",
        || {
            oaep(|p| {
                p.pSourceData = ptr::dangling_mut();
                p.ulSourceDataLen = ABSURD
            })
        },
        REFUSED,
    ),
    (
        "pss-null",
        || Mechanism::raw(CKM_RSA_PKCS_PSS, NULL, size_of::<CK_RSA_PKCS_PSS_PARAMS>() as CK_ULONG),
        REFUSED,
    ),
    ("pss-salt-absurd", || Mechanism::pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, ABSURD), REFUSED),
    (
        "pss-salt-max",
        || Mechanism::pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, CK_ULONG::MAX),
        REFUSED,
    ),
    ("pss-hash", || Mechanism::pss(CKM_RSA_PKCS_PSS, 0x7fff_fff0, CKG_MGF1_SHA256, 32), REFUSED),
];

/// What fits nowhere else.
fn misuse() -> Vec<Case> {
    let case = |id: &str, does: &str, want: Want, run: fn(&Context) -> Outcome| {
        Case::new(format!("hostile.{id}"), CHAPTER, does, want, run)
    };
    vec![
        case(
            "size-query-of-2^64",
            "asks for the length of the ciphertext of nearly 2^64 bytes",
            REFUSED,
            |x| {
                x.need(CKM_AES_CBC_PAD, CKF_ENCRYPT)?;
                let key = x.aes(32, &yes(&[CKA_ENCRYPT])).setup("C_GenerateKey")?;
                x.s()
                    .encrypt_init(&Mechanism::bytes(CKM_AES_CBC_PAD, &[0; 16]), key)
                    .setup("C_EncryptInit")?;
                let (encrypt, mut data, mut length) = (x.s().f().C_Encrypt.expect("C_Encrypt"), [0u8; 16], 0);
                // SAFETY: the length is the attack.
                Ok(Rv(unsafe {
                    encrypt(
                        x.s().handle(),
                        data.as_mut_ptr(),
                        CK_ULONG::MAX - 8,
                        ptr::null_mut(),
                        &raw mut length,
                    )
                }))
            },
        ),
        case("get-attribute-absurd", "reads an attribute into a buffer of 2^60 bytes", Want::Answer, |x| {
            let key = x.aes(32, &[Attr::label("l")]).setup("C_GenerateKey")?;
            let mut room = [0u8; 64];
            let mut row =
                [CK_ATTRIBUTE { type_: CKA_LABEL, pValue: room.as_mut_ptr().cast(), ulValueLen: ABSURD }];
            Ok(x.s().get_raw(key, &mut row))
        }),
        case("set-null-value", "sets CKA_LABEL from NULL and length 8", REFUSED, |x| {
            let key = x.aes(32, &[]).setup("C_GenerateKey")?;
            Ok(Rv::of(&x.s().set(key, &[Attr::raw(CKA_LABEL, NULL, 8)])))
        }),
        case("find-null-value", "looks for a CKA_LABEL of NULL and length 8", Want::Answer, |x| {
            Ok(Rv::of(&x.s().find(&[Attr::raw(CKA_LABEL, NULL, 8)])))
        }),
        case("create-ec-garbage", "creates an EC key of DER with absurd lengths", REFUSED, |x| {
            let der = [0x30, 0x88, 255, 255, 255, 255, 255, 255, 255, 255];
            let key = [
                Attr::class(CKO_PUBLIC_KEY),
                Attr::key_type(CKK_EC),
                Attr::bool(CKA_TOKEN, false),
                Attr::bytes(CKA_EC_PARAMS, der),
                Attr::bytes(CKA_EC_POINT, der),
            ];
            Ok(Rv::of(&x.s().create_object(&key)))
        }),
        case("create-rsa-zeros", "creates an RSA private key of zeros and uses it", REFUSED, |x| {
            let numbers = [
                CKA_MODULUS,
                CKA_PUBLIC_EXPONENT,
                CKA_PRIVATE_EXPONENT,
                CKA_PRIME_1,
                CKA_PRIME_2,
                CKA_EXPONENT_1,
                CKA_EXPONENT_2,
                CKA_COEFFICIENT,
            ];
            let mut key = vec![
                Attr::class(CKO_PRIVATE_KEY),
                Attr::key_type(CKK_RSA),
                Attr::bool(CKA_TOKEN, false),
                Attr::bool(CKA_SIGN, true),
            ];
            key.extend(numbers.map(|kind| Attr::bytes(kind, [0; 128])));
            let key = x.s().create_object(&key)?;
            Ok(Rv::of(&x.s().sign(&Mechanism::new(CKM_RSA_PKCS), key, &[1; 20])))
        }),
        case("unwrap-garbage", "unwraps a private key from bytes that are no PKCS#8", REFUSED, |x| {
            let m = x.first(&[CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD], CKF_WRAP | CKF_UNWRAP)?;
            let kek = x.aes(32, &yes(&[CKA_WRAP, CKA_UNWRAP])).setup("the wrapping key")?;
            let junk = x
                .import(CKK_GENERIC_SECRET, &[0x30; 64], &yes(&[CKA_EXTRACTABLE]))
                .setup("C_CreateObject")?;
            let blob = x.s().wrap(&Mechanism::new(m), kek, junk).setup("C_WrapKey")?;
            let template =
                [Attr::class(CKO_PRIVATE_KEY), Attr::key_type(CKK_RSA), Attr::bool(CKA_TOKEN, false)];
            Ok(Rv::of(&x.s().unwrap(&Mechanism::new(m), kek, &blob, &template)))
        }),
        case("unwrap-short", "unwraps every length from 0 to 40", REFUSED, |x| {
            let m = x.first(&[CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD], CKF_UNWRAP)?;
            let kek = x.aes(32, &yes(&[CKA_UNWRAP])).setup("the wrapping key")?;
            let template =
                [Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_AES), Attr::bool(CKA_TOKEN, false)];
            for length in 0..40 {
                if let Ok(key) = x.s().unwrap(&Mechanism::new(m), kek, &vec![0x5a; length], &template) {
                    return Err(Stop::Wrong(format!("{length} bytes of garbage became key {key}")));
                }
            }
            Ok(Rv::of(&x.s().unwrap(&Mechanism::new(m), kek, &[0x5a; 40], &template)))
        }),
        case("threads-one-session", "eight threads digest in one session", Want::Answer, |x| {
            x.need(CKM_SHA256, CKF_DIGEST)?;
            threads(x, |session| drop(session.digest(&Mechanism::new(CKM_SHA256), &[1; 100])));
            Ok(Rv::of(&x.s().info()))
        }),
        case("threads-objects", "eight threads create, find and destroy objects", Want::Answer, |x| {
            threads(x, |session| {
                let data = [Attr::class(CKO_DATA), Attr::bool(CKA_TOKEN, false)];
                let object = session.create_object(&data);
                let _ = session.find(&data);
                let _ = object.map(|object| session.destroy(object));
            });
            Ok(Rv::of(&x.s().info()))
        }),
        case("finalize-under-load", "finalises while eight threads work", Want::Answer, |x| {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    let _ = x.module.finalize();
                });
                threads(x, |session| drop(session.random(64)));
            });
            Ok(Rv::of(&x.module.init()))
        }),
        case(
            "template-null-values",
            "reads attributes of a template whose rows are all zero",
            Want::Answer,
            |x| {
                let key = x.aes(32, &[]).setup("C_GenerateKey")?;
                let mut rows = vec![CK_ATTRIBUTE::default(); 1000];
                Ok(x.s().get_raw(key, &mut rows))
            },
        ),
    ]
}

/// Runs `work` 200 times in each of eight threads, all in the context's one session.
fn threads(x: &Context, work: impl Fn(&crate::client::Session) + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..200).for_each(|_| work(x.s())));
        }
    });
}
