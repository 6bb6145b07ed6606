//! `coffer bench`: how fast a module is on this machine.

use crate::connection::Connection;
use crate::context::Context;
use crate::output::{Outcome, Report, progress, table};
use clap::Args;
use coffer_pkcs11::crypto::encoding::{Der, tag};
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Attr, Mechanism, Result as RvResult, Session};
use serde_json::json;
use std::time::{Duration, Instant};

/// Measure the usual operations of the module with keys of the session, one thread, each Init and operation together.
///
/// A look at this machine, not a comparison: for that `make bench` of the sources runs modules side by side, pinned and
/// repeated. Mechanisms that the token does not offer are left out.
#[derive(Args)]
pub struct Bench {
    /// Seconds for each row.
    #[arg(long, default_value_t = 0.2, value_parser = seconds)]
    seconds: f64,
    /// Only rows with this in their name.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.001..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("0.001 to 60 seconds".into()),
    }
}

/// An operation to repeat, made with its keys when its turn comes.
type Operation<'a> = Box<dyn FnMut() -> RvResult<()> + 'a>;
type Prepare = for<'a> fn(&'a Session, usize) -> RvResult<Operation<'a>>;

struct Row {
    name: &'static str,
    /// What the token must offer.
    needs: &'static [CK_MECHANISM_TYPE],
    /// Bytes an operation; none where the bytes are not what it is about.
    sizes: &'static [usize],
    prepare: Prepare,
}

const SMALL_AND_LARGE: &[usize] = &[64, 16_384];
const MESSAGE: &[usize] = &[0];

const ROWS: &[Row] = &[
    Row { name: "random", needs: &[], sizes: &[32, 4_096], prepare: random },
    Row {
        name: "SHA-256",
        needs: &[CKM_SHA256],
        sizes: SMALL_AND_LARGE,
        prepare: |s, n| digest(s, n, CKM_SHA256),
    },
    Row {
        name: "SHA-512",
        needs: &[CKM_SHA512],
        sizes: SMALL_AND_LARGE,
        prepare: |s, n| digest(s, n, CKM_SHA512),
    },
    Row {
        name: "HMAC-SHA-256 sign",
        needs: &[CKM_SHA256_HMAC, CKM_GENERIC_SECRET_KEY_GEN],
        sizes: SMALL_AND_LARGE,
        prepare: hmac,
    },
    Row {
        name: "AES-256-GCM encrypt",
        needs: &[CKM_AES_GCM, CKM_AES_KEY_GEN],
        sizes: SMALL_AND_LARGE,
        prepare: |s, n| encrypt(s, n, CKM_AES_KEY_GEN, || Mechanism::gcm(CKM_AES_GCM, &[7; 12], &[], 128)),
    },
    Row {
        name: "AES-256-CTR encrypt",
        needs: &[CKM_AES_CTR, CKM_AES_KEY_GEN],
        sizes: SMALL_AND_LARGE,
        prepare: |s, n| encrypt(s, n, CKM_AES_KEY_GEN, || Mechanism::ctr(128, [7; 16])),
    },
    Row {
        name: "AES-256-CBC encrypt",
        needs: &[CKM_AES_CBC, CKM_AES_KEY_GEN],
        sizes: SMALL_AND_LARGE,
        prepare: |s, n| encrypt(s, n, CKM_AES_KEY_GEN, || Mechanism::bytes(CKM_AES_CBC, &[7; 16])),
    },
    Row {
        name: "3DES-CBC encrypt",
        needs: &[CKM_DES3_CBC, CKM_DES3_KEY_GEN],
        sizes: SMALL_AND_LARGE,
        prepare: |s, n| encrypt(s, n, CKM_DES3_KEY_GEN, || Mechanism::bytes(CKM_DES3_CBC, &[7; 8])),
    },
    Row {
        name: "3DES-ECB encrypt",
        needs: &[CKM_DES3_ECB, CKM_DES3_KEY_GEN],
        sizes: SMALL_AND_LARGE,
        prepare: |s, n| encrypt(s, n, CKM_DES3_KEY_GEN, || Mechanism::new(CKM_DES3_ECB)),
    },
    Row { name: "RSA-2048 sign", needs: RSA, sizes: MESSAGE, prepare: |s, _| sign(s, Pair::Rsa(2_048)) },
    Row { name: "RSA-2048 verify", needs: RSA, sizes: MESSAGE, prepare: |s, _| verify(s, Pair::Rsa(2_048)) },
    Row { name: "RSA-3072 sign", needs: RSA, sizes: MESSAGE, prepare: |s, _| sign(s, Pair::Rsa(3_072)) },
    Row { name: "ECDSA P-256 sign", needs: EC, sizes: MESSAGE, prepare: |s, _| sign(s, Pair::Ec(P256)) },
    Row { name: "ECDSA P-256 verify", needs: EC, sizes: MESSAGE, prepare: |s, _| verify(s, Pair::Ec(P256)) },
    Row { name: "ECDSA P-384 sign", needs: EC, sizes: MESSAGE, prepare: |s, _| sign(s, Pair::Ec(P384)) },
    Row { name: "Ed25519 sign", needs: ED, sizes: MESSAGE, prepare: |s, _| sign(s, Pair::Edwards) },
    Row { name: "Ed25519 verify", needs: ED, sizes: MESSAGE, prepare: |s, _| verify(s, Pair::Edwards) },
    Row { name: "ML-DSA-65 sign", needs: ML_DSA, sizes: MESSAGE, prepare: |s, _| sign(s, Pair::MlDsa65) },
    Row { name: "ML-DSA-65 verify", needs: ML_DSA, sizes: MESSAGE, prepare: |s, _| verify(s, Pair::MlDsa65) },
    Row { name: "RSA-AES wrap of a 3DES key", needs: WRAP, sizes: MESSAGE, prepare: |s, _| wrap(s) },
    Row {
        name: "generate AES-256",
        needs: &[CKM_AES_KEY_GEN],
        sizes: MESSAGE,
        prepare: |s, _| Ok(Box::new(move || s.destroy(generate(s, CKM_AES_KEY_GEN)?))),
    },
    Row { name: "generate RSA-2048", needs: RSA, sizes: MESSAGE, prepare: |s, _| pairs(s, Pair::Rsa(2_048)) },
    Row { name: "generate P-256", needs: EC, sizes: MESSAGE, prepare: |s, _| pairs(s, Pair::Ec(P256)) },
];

const RSA: &[CK_MECHANISM_TYPE] = &[CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_SHA256_RSA_PKCS];
const EC: &[CK_MECHANISM_TYPE] = &[CKM_EC_KEY_PAIR_GEN, CKM_ECDSA];
const ED: &[CK_MECHANISM_TYPE] = &[CKM_EC_EDWARDS_KEY_PAIR_GEN, CKM_EDDSA];
const ML_DSA: &[CK_MECHANISM_TYPE] = &[CKM_ML_DSA_KEY_PAIR_GEN, CKM_ML_DSA];
const WRAP: &[CK_MECHANISM_TYPE] = &[CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_RSA_AES_KEY_WRAP, CKM_DES3_KEY_GEN];

/// Contents of the curves' object identifiers.
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x2b, 0x81, 4, 0, 0x22];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

impl Bench {
    pub fn run(self, context: &mut Context) -> Outcome {
        let connection = context.connect()?;
        let time = Duration::from_secs_f64(self.seconds);
        let wanted = |row: &&Row| {
            let named =
                self.name.as_ref().is_none_or(|part| row.name.to_lowercase().contains(&part.to_lowercase()));
            named && row.needs.iter().all(|mechanism| connection.offers(*mechanism))
        };
        let rows: Vec<_> = ROWS.iter().filter(wanted).collect();
        if rows.is_empty() {
            return Err("the token offers nothing of that name to measure".into());
        }
        let bar = progress("bench", rows.len());
        let (mut cells, mut entries) = (Vec::new(), Vec::new());
        for row in rows {
            for size in row.sizes {
                let (count, took) = measure(connection, row, *size, time)?;
                let operations = count as f64 / took.as_secs_f64();
                let bytes = operations * *size as f64 / 1e6;
                let (shown, megabytes) = match size {
                    0 => (String::new(), String::new()),
                    size => (format!("{size}"), format!("{bytes:.1}")),
                };
                cells.push(vec![row.name.into(), shown, format!("{operations:.0}"), megabytes]);
                entries.push(json!({
                    "operation": row.name, "bytes": size, "per-second": operations.round(),
                    "megabytes-per-second": (*size > 0).then_some((bytes * 10.0).round() / 10.0),
                }));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let info = connection.module.info().map_err(|rv| format!("C_GetInfo: {rv}"))?;
        let module = pkcs11_client::text(&info.libraryDescription);
        let mut text =
            format!("{module}, token {:?}, {} s a row, one thread\n", connection.label, self.seconds);
        text += &table(&["OPERATION", "BYTES", "OPS/S", "MB/S"], &cells);
        Ok(Report { text, json: json!({ "module": module, "token": connection.label, "rows": entries }) })
    }
}

/// How often in how much time.
fn measure(
    connection: &Connection,
    row: &Row,
    size: usize,
    time: Duration,
) -> Result<(u64, Duration), String> {
    let wrong = |rv| format!("{}: {rv}", row.name);
    let session = &connection.session;
    let mut operation = (row.prepare)(session, size).map_err(wrong)?;
    operation().map_err(wrong)?;
    // The clock is looked at between batches, so that it costs nothing beside what is measured.
    let (start, mut count, mut batch) = (Instant::now(), 0, 1);
    loop {
        for _ in 0..batch {
            operation().map_err(wrong)?;
        }
        count += batch;
        let took = start.elapsed();
        if took >= time {
            return Ok((count, took));
        }
        if took < time / 16 {
            batch *= 2;
        }
    }
}

fn random(session: &Session, size: usize) -> RvResult<Operation<'_>> {
    let mut out = vec![0; size];
    Ok(Box::new(move || session.random_into(&mut out)))
}

fn digest(session: &Session, size: usize, mechanism: CK_MECHANISM_TYPE) -> RvResult<Operation<'_>> {
    let (data, mut out, mechanism) = (vec![7; size], [0; 64], Mechanism::new(mechanism));
    Ok(Box::new(move || {
        session.digest_init(&mechanism)?;
        session.digest_into(&data, &mut out).map(drop)
    }))
}

fn generate(session: &Session, mechanism: CK_MECHANISM_TYPE) -> RvResult<CK_OBJECT_HANDLE> {
    let mut template = vec![
        Attr::bool(CKA_TOKEN, false),
        Attr::bool(CKA_ENCRYPT, true),
        Attr::bool(CKA_SIGN, true),
        Attr::bool(CKA_EXTRACTABLE, true),
    ];
    if mechanism != CKM_DES3_KEY_GEN {
        template.push(Attr::ulong(CKA_VALUE_LEN, 32));
    }
    session.generate_key(&Mechanism::new(mechanism), &template)
}

fn hmac(session: &Session, size: usize) -> RvResult<Operation<'_>> {
    let key = generate(session, CKM_GENERIC_SECRET_KEY_GEN)?;
    let (data, mut out, mechanism) = (vec![7; size], [0; 64], Mechanism::new(CKM_SHA256_HMAC));
    Ok(Box::new(move || {
        session.sign_init(&mechanism, key)?;
        session.sign_into(&data, &mut out).map(drop)
    }))
}

fn encrypt(
    session: &Session,
    size: usize,
    generator: CK_MECHANISM_TYPE,
    mechanism: fn() -> Mechanism,
) -> RvResult<Operation<'_>> {
    let key = generate(session, generator)?;
    let (data, mut out) = (vec![7; size], vec![0; size + 64]);
    Ok(Box::new(move || {
        session.encrypt_init(&mechanism(), key)?;
        session.encrypt_into(&data, &mut out).map(drop)
    }))
}

#[derive(Clone, Copy)]
enum Pair {
    Rsa(CK_ULONG),
    Ec(&'static [u8]),
    Edwards,
    MlDsa65,
}

impl Pair {
    fn generate(self, session: &Session, wraps: bool) -> RvResult<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
        let curve = |oid| Attr::bytes(CKA_EC_PARAMS, Der::Bytes(tag::OID, oid).encode_public());
        let (mechanism, parameters) = match self {
            Pair::Rsa(bits) => (
                CKM_RSA_PKCS_KEY_PAIR_GEN,
                vec![Attr::ulong(CKA_MODULUS_BITS, bits), Attr::bytes(CKA_PUBLIC_EXPONENT, [1, 0, 1])],
            ),
            Pair::Ec(oid) => (CKM_EC_KEY_PAIR_GEN, vec![curve(oid)]),
            Pair::Edwards => (CKM_EC_EDWARDS_KEY_PAIR_GEN, vec![curve(ED25519)]),
            Pair::MlDsa65 => (CKM_ML_DSA_KEY_PAIR_GEN, vec![Attr::ulong(CKA_PARAMETER_SET, CKP_ML_DSA_65)]),
        };
        let uses = if wraps { [CKA_WRAP, CKA_UNWRAP] } else { [CKA_VERIFY, CKA_SIGN] };
        let public = [vec![Attr::bool(CKA_TOKEN, false), Attr::bool(uses[0], true)], parameters].concat();
        let private = [Attr::bool(CKA_TOKEN, false), Attr::bool(uses[1], true)];
        session.generate_key_pair(&Mechanism::new(mechanism), &public, &private)
    }

    /// The usual signature, and what it signs: ECDSA a digest.
    fn signature(self) -> (Mechanism, Vec<u8>) {
        match self {
            Pair::Rsa(_) => (Mechanism::new(CKM_SHA256_RSA_PKCS), vec![7; 64]),
            Pair::Ec(_) => (Mechanism::new(CKM_ECDSA), vec![7; 32]),
            Pair::Edwards => (Mechanism::new(CKM_EDDSA), vec![7; 64]),
            Pair::MlDsa65 => (Mechanism::new(CKM_ML_DSA), vec![7; 64]),
        }
    }
}

fn sign(session: &Session, pair: Pair) -> RvResult<Operation<'_>> {
    let (_, private) = pair.generate(session, false)?;
    let ((mechanism, data), mut out) = (pair.signature(), vec![0; 8_192]);
    Ok(Box::new(move || {
        session.sign_init(&mechanism, private)?;
        session.sign_into(&data, &mut out).map(drop)
    }))
}

fn verify(session: &Session, pair: Pair) -> RvResult<Operation<'_>> {
    let (public, private) = pair.generate(session, false)?;
    let (mechanism, data) = pair.signature();
    let signature = session.sign(&mechanism, private, &data)?;
    Ok(Box::new(move || {
        session.verify_init(&mechanism, public)?;
        session.verify_into(&data, &signature)
    }))
}

fn wrap(session: &Session) -> RvResult<Operation<'_>> {
    let (public, _) = Pair::Rsa(2_048).generate(session, true)?;
    let payload = generate(session, CKM_DES3_KEY_GEN)?;
    let (mechanism, mut out) = (Mechanism::rsa_aes(256, CKM_SHA256, CKG_MGF1_SHA256), vec![0; 1_024]);
    Ok(Box::new(move || session.wrap_into(&mechanism, public, payload, &mut out).map(drop)))
}

fn pairs(session: &Session, pair: Pair) -> RvResult<Operation<'_>> {
    Ok(Box::new(move || {
        let (public, private) = pair.generate(session, false)?;
        session.destroy(public)?;
        session.destroy(private)
    }))
}
