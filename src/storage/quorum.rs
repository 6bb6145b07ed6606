//! Approvals by several users (records `q`): how many a service takes, who can give one, and what waits for them.
//!
//! An approval is a signature over a request, made outside of the token with an RSA key whose public half its
//! user has registered. A request names the token, who asked, the service, the object and its end, and is deleted
//! in the transaction that does what was approved: so an approval is good once, for one user and one kind of thing.

use super::Key;
use super::codec::{Reader, Writer};
use super::keyring::{TokenId, UserId};
use super::record::ObjectId;
use crate::crypto::Hash;
use crate::crypto::encoding::{self, tag};
use crate::crypto::rsa::PublicKey;
use crate::crypto::seal::{random_array, sha256};
use crate::error::{Error, Result, Rv};
use std::time::{SystemTime, UNIX_EPOCH};

/// The most approvals that anything takes.
pub const MOST: u8 = 8;
/// How long a request waits, in seconds.
pub const LIFETIME: u64 = 600;
/// The most requests that wait at a time.
pub(super) const MOST_WAITING: usize = 1024;
/// Bytes of what is signed.
pub const MESSAGE: usize = 93;
/// The least bits of a key to approve with.
const LEAST_BITS: usize = 2048;

pub(super) const VALUES: &[u8] = b"q\0";
pub(super) const REQUESTS: &[u8] = b"q\x02";

/// What approvals are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// Registering a key to approve with: signed by that key alone.
    Registration = 0,
    /// An SO's changes to users.
    User = 1,
    /// An SO's changes to how many approvals a service takes.
    Quorum = 2,
    /// Wrapping, unwrapping with, sharing and changing one key.
    KeyManagement = 3,
    /// Any other use of one key.
    KeyUsage = 4,
}

impl Service {
    /// The service of a number.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD.
    pub fn of(number: u64) -> Result<Service> {
        use Service::*;
        let known = [Registration, User, Quorum, KeyManagement, KeyUsage];
        match known.into_iter().find(|service| *service as u64 == number) {
            Some(service) => Ok(service),
            None => fail!(ArgumentsBad, "there is no service {number}"),
        }
    }

    /// Whether it is about one key.
    pub fn is_of_keys(self) -> bool {
        matches!(self, Service::KeyManagement | Service::KeyUsage)
    }
}

/// What is done only if enough users approve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Guarded {
    /// What kind of thing it is.
    pub service: Service,
    /// The key that it is done to.
    pub object: Option<ObjectId>,
    /// How many must approve; none below 2.
    pub need: u8,
}

/// How many approvals the services of an SO take.
#[derive(Clone, Copy)]
pub(super) struct Values {
    pub(super) user: u8,
    pub(super) quorum: u8,
}

impl Default for Values {
    fn default() -> Values {
        Values { user: 1, quorum: 1 }
    }
}

impl Values {
    pub(super) fn of(self, service: Service) -> u8 {
        match service {
            Service::User => self.user,
            Service::Quorum => self.quorum,
            _ => 1,
        }
    }

    pub(super) fn body(self) -> Vec<u8> {
        Writer::default().u8(1).u8(self.user).u8(self.quorum).0
    }

    pub(super) fn parse(body: &[u8]) -> Result<Values> {
        let mut from = Reader(body);
        version(&mut from)?;
        let values = Values { user: from.u8()?, quorum: from.u8()? };
        from.end()?;
        Ok(values)
    }
}

fn version(from: &mut Reader) -> Result<()> {
    if from.u8()? == 1 { Ok(()) } else { fail!(DeviceError, "a quorum record of another version") }
}

/// What waits for approval.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Request {
    pub(super) id: [u8; 16],
    pub(super) what: Guarded,
    /// Who asked, and alone can do it.
    pub(super) by: UserId,
    /// Seconds since 1970.
    until: u64,
}

impl Request {
    pub(super) fn new(what: Guarded, by: UserId) -> Request {
        Request { id: random_array(), what, by, until: now() + LIFETIME }
    }

    /// Seconds left.
    pub(super) fn left(&self) -> u64 {
        // A clock that was set back makes nothing last longer.
        self.until.saturating_sub(now()).min(LIFETIME)
    }

    pub(super) fn record(&self) -> Key {
        [REQUESTS, &self.id].concat()
    }

    pub(super) fn body(&self) -> Vec<u8> {
        let Guarded { service, object, need } = self.what;
        let to = Writer::default().u8(1).u8(service as u8).u8(need).raw(&self.by);
        to.raw(&object.unwrap_or_default()).u64(self.until).0
    }

    pub(super) fn parse(key: &[u8], body: &[u8]) -> Result<Request> {
        let id = key.strip_prefix(REQUESTS).and_then(|id| id.try_into().ok());
        let id = id.ok_or_else(|| Rv::DeviceError.because("a request without a name"))?;
        let mut from = Reader(body);
        version(&mut from)?;
        let service = Service::of(from.u8()?.into()).map_err(|error| error.recode(Rv::DeviceError))?;
        let (need, by, object) = (from.u8()?, from.array()?, from.array()?);
        let object = service.is_of_keys().then_some(object);
        let request = Request { id, what: Guarded { service, object, need }, by, until: from.u64()? };
        from.end()?;
        Ok(request)
    }

    /// What is signed to approve it.
    pub(super) fn message(&self, token: &TokenId) -> Vec<u8> {
        [b"coffer-2 approval\0", &token[..], &self.id, &self.body()].concat()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX / 2, |since| since.as_secs())
}

/// The record of a user's key to approve with.
pub(super) fn approver_record(user: &UserId) -> Key {
    [b"q\x01", &user[..]].concat()
}

/// A registered key.
pub(super) struct Approver(PublicKey);

impl Approver {
    /// Of a SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD if it is none of an RSA key of at least 2048 bits.
    pub(super) fn new(info: &[u8]) -> Result<Approver> {
        match rsa(info) {
            Some(key) if key.bits() >= LEAST_BITS => Ok(Approver(key)),
            _ => fail!(ArgumentsBad, "an RSA public key of at least {LEAST_BITS} bits is wanted"),
        }
    }

    pub(super) fn body(info: &[u8]) -> Vec<u8> {
        Writer::default().u8(1).bytes(info).0
    }

    pub(super) fn parse(body: &[u8]) -> Result<Approver> {
        let mut from = Reader(body);
        version(&mut from)?;
        let key = Approver::new(from.bytes()?).map_err(|error: Error| error.recode(Rv::DeviceError))?;
        from.end()?;
        Ok(key)
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256.
    ///
    /// # Errors
    /// CKR_SIGNATURE_INVALID.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<()> {
        match self.0.verify_digest(Hash::Sha256, &sha256(&[message]), signature) {
            true => Ok(()),
            false => fail!(SignatureInvalid, "the approval was signed with another key, or is another one's"),
        }
    }
}

fn rsa(info: &[u8]) -> Option<PublicKey> {
    const OID: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    let mut outer = encoding::Reader::new(info);
    let mut fields = outer.enter(tag::SEQUENCE)?;
    outer.end()?;
    if fields.enter(tag::SEQUENCE)?.read(tag::OID)? != OID {
        return None;
    }
    let mut inner = encoding::Reader::new(fields.bits()?);
    fields.end()?;
    let mut numbers = inner.enter(tag::SEQUENCE)?;
    inner.end()?;
    let (modulus, exponent) = (numbers.unsigned()?, numbers.unsigned()?);
    numbers.end()?;
    PublicKey::new(modulus, exponent).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_and_no_clock_makes_it_last() {
        let what = Guarded { service: Service::KeyUsage, object: Some([7; 16]), need: 2 };
        let fresh = Request::new(what, [1; 16]);
        assert!((LIFETIME - 1..=LIFETIME).contains(&fresh.left()));
        assert_eq!(fresh.message(&[2; 16]).len(), MESSAGE);
        assert_eq!(Request::parse(&fresh.record(), &fresh.body()).unwrap(), fresh);
        assert_eq!(Request { until: now() - 1, ..fresh.clone() }.left(), 0);
        assert_eq!(Request { until: now() + 10 * LIFETIME, ..fresh.clone() }.left(), LIFETIME);
        let other = Request { by: [3; 16], ..fresh.clone() };
        assert_ne!(other.message(&[2; 16]), fresh.message(&[2; 16]));
        assert_ne!(fresh.message(&[4; 16]), fresh.message(&[2; 16]), "of another token");
    }

    #[test]
    fn what_is_no_rsa_key_approves_nothing() {
        for info in [&b""[..], b"\x30\x00", &[0x30; 300], b"-----BEGIN PUBLIC KEY-----"] {
            assert_eq!(Approver::new(info).map(drop).unwrap_err().rv(), Rv::ArgumentsBad);
        }
    }
}
