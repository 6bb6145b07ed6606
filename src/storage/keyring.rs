//! From a PIN to keys.
//!
//! ```text
//!   PIN --Kdf--> KEK --opens--> user key --+--> token key: record MACs, the set
//!                                          +--> grants: objects' data keys
//!                                          +--> ML-KEM seed: data keys that others share
//!   founding SO's user key --gives--> admin key --opens--> escrow: the user key, to set a forgotten PIN anew
//!   other SOs' user keys --open--/
//! ```
//!
//! A key is never used for two things: what it does is derived from it with [`Hmac::derive`] and a name.

use super::Key;
use super::codec::{Reader, Writer};
use crate::crypto::Secret;
use crate::crypto::seal::{self, Hmac, KEM_PUBLIC, KEM_SEED, KEY, KemPair, NONCE, TAG, random_array};
use crate::error::{Result, Rv};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;

/// Names a token for as long as it is not initialised again.
pub type TokenId = [u8; 16];
/// Names a user key: another after a reset that could not keep it.
pub type UserId = [u8; 16];

/// Longest name of a user, in bytes.
pub const MAX_NAME: usize = 64;
const SEALED_KEY: usize = NONCE + KEY + TAG;
const SEALED_SEED: usize = NONCE + KEM_SEED + TAG;
const SALT: usize = 16;

/// How a PIN becomes a key, and at what cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kdf {
    /// Argon2id version 1.3 (RFC 9106).
    Argon2id {
        /// KiB.
        memory: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes; they run one after the other.
        lanes: u32,
    },
    /// PBKDF2 with HMAC-SHA256 (SP 800-132), for tokens in FIPS mode.
    Pbkdf2 {
        /// Rounds.
        iterations: u32,
    },
}

impl Kdf {
    /// What OWASP advises: 19 MiB, two passes; about 40 ms.
    pub const DEFAULT: Kdf = Kdf::Argon2id { memory: 19 << 10, passes: 2, lanes: 1 };
    /// What OWASP advises where it has to be PBKDF2.
    pub const DEFAULT_FIPS: Kdf = Kdf::Pbkdf2 { iterations: 600_000 };

    /// Refuses what would hang the process or eat its memory: a forged record must not.
    fn check(self) -> Result<Kdf> {
        let sane = match self {
            Kdf::Argon2id { memory, passes, lanes } => {
                (1..=16).contains(&lanes)
                    && (8 * lanes..=1 << 20).contains(&memory)
                    && (1..=64).contains(&passes)
                    && u64::from(memory) * u64::from(passes) <= 4 << 20
            }
            Kdf::Pbkdf2 { iterations } => (1..=10_000_000).contains(&iterations),
        };
        if sane { Ok(self) } else { fail!(DeviceError, "impossible key derivation parameters: {self:?}") }
    }

    /// True if it costs a guesser at least what `floor` does, in the same currency.
    pub fn at_least(self, floor: Kdf) -> bool {
        match (self, floor) {
            (Kdf::Argon2id { memory, passes, .. }, Kdf::Argon2id { memory: m, passes: p, .. }) => {
                memory >= m && passes >= p
            }
            (Kdf::Pbkdf2 { iterations }, Kdf::Pbkdf2 { iterations: floor }) => iterations >= floor,
            _ => false,
        }
    }

    pub(super) fn write(self, to: Writer) -> Writer {
        match self {
            Kdf::Argon2id { memory, passes, lanes } => to.u8(1).u32(memory).u32(passes).u32(lanes),
            Kdf::Pbkdf2 { iterations } => to.u8(2).u32(iterations).u32(0).u32(0),
        }
    }

    pub(super) fn read(from: &mut Reader) -> Result<Kdf> {
        let (algorithm, a, b, c) = (from.u8()?, from.u32()?, from.u32()?, from.u32()?);
        match (algorithm, b, c) {
            (1, passes, lanes) => Kdf::Argon2id { memory: a, passes, lanes }.check(),
            (2, 0, 0) => Kdf::Pbkdf2 { iterations: a }.check(),
            _ => fail!(DeviceError, "unknown key derivation {algorithm}"),
        }
    }

    /// The key of [`KEY`] bytes that `pin` gives; takes the time it is meant to take.
    pub fn derive(self, pin: &[u8], salt: &[u8]) -> Result<Secret> {
        let mut key = Secret::zeroed(KEY);
        match self.check()? {
            Kdf::Argon2id { memory, passes, lanes } => {
                let params = Params::new(memory, passes, lanes, Some(KEY));
                let argon = params.map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params));
                argon
                    .and_then(|argon| argon.hash_password_into(pin, salt, key.expose_mut()))
                    .map_err(|error| Rv::HostMemory.because(format!("Argon2id: {error}")))?;
            }
            Kdf::Pbkdf2 { iterations } => seal::pbkdf2(pin, salt, iterations, key.expose_mut())?,
        }
        Ok(key)
    }
}

/// Who logs in (CK_USER_TYPE).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// CKU_SO.
    So,
    /// CKU_USER, or one of several by name.
    User,
}

impl Role {
    fn number(self) -> u8 {
        self as u8
    }
}

/// Seals under a random nonce, which goes first.
pub(super) fn seal_small(key: &Secret, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let nonce: [u8; NONCE] = random_array();
    let mut sealed = Vec::with_capacity(NONCE + plain.len() + TAG);
    sealed.extend(nonce);
    seal::seal_onto(&mut sealed, key, &nonce, aad, plain)?;
    Ok(sealed)
}

/// What [`seal_small`] sealed, or nothing.
pub(super) fn open_small(key: &Secret, aad: &[u8], sealed: &[u8]) -> Option<Secret> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    seal::open(key, nonce, aad, sealed)
}

/// The same into `out`, which must have its length. False, and zeros, if it does not open.
#[must_use]
pub(super) fn open_small_to(key: &[u8], aad: &[u8], sealed: &[u8], out: &mut [u8]) -> bool {
    let Some((nonce, sealed)) = sealed.split_first_chunk::<NONCE>() else { return false };
    seal::open_to(key, nonce, aad, sealed, out)
}

/// A user of a token, as stored (record `u`).
#[derive(Clone)]
pub struct User {
    /// Whether it is the SO.
    pub role: Role,
    /// Names the user key.
    pub id: UserId,
    /// Empty for CKU_USER and the SO.
    pub name: String,
    kdf: Kdf,
    salt: [u8; SALT],
    user_key: [u8; SEALED_KEY],
    token_key: [u8; SEALED_KEY],
    /// For others to seal data keys to.
    pub public: Vec<u8>,
    seed: [u8; SEALED_SEED],
    escrow: Vec<u8>,
    /// The admin key of an SO other than the founding one, whose own key gives it.
    admin: Vec<u8>,
}

/// The records of all users of a role.
pub(super) fn user_records(role: Role) -> [u8; 2] {
    [b'u', role.number()]
}

/// The record of a user.
pub(super) fn user_record(role: Role, name: &str) -> Key {
    [b"u", &[role.number()][..], name.as_bytes()].concat()
}

/// The record of a user's failed tries.
pub(super) fn tries_record(role: Role, name: &str) -> Key {
    [b"c", &[role.number()][..], name.as_bytes()].concat()
}

/// The purpose of a key derived from a user key.
fn purpose(key: &Secret, name: &[u8]) -> Secret {
    Hmac::new(key.expose()).derive(&[name])
}

const FOR_TOKEN_KEY: &[u8] = b"coffer-1 user token key\0";
const FOR_SEED: &[u8] = b"coffer-1 user kem seed\0";
const FOR_ESCROW: &[u8] = b"coffer-1 user escrow\0";
const FOR_ADMIN_KEY: &[u8] = b"coffer-2 user admin key\0";

/// The admin key, which the founding SO's user key gives.
fn admin_key(founder: &Secret) -> Secret {
    purpose(founder, FOR_ESCROW)
}

impl User {
    /// A new user with fresh keys, and the user key. With the admin key in `escrow` an SO may set the PIN anew.
    pub(super) fn new(
        token: &TokenKeys,
        role: Role,
        name: &str,
        pin: &[u8],
        kdf: Kdf,
        escrow: Option<&Secret>,
    ) -> Result<(User, Secret)> {
        let key = seal::random_key();
        let id: UserId = random_array();
        let mut seed = Secret::zeroed(KEM_SEED);
        seal::random(seed.expose_mut());
        let aad = |purpose: &[u8]| [purpose, &token.id, &id].concat();
        let sealed = |purpose_name: &[u8], plain: &Secret| {
            seal_small(&purpose(&key, purpose_name), &aad(purpose_name), plain.expose())
        };
        let escrow = escrow.map(|admin| seal_small(admin, &aad(FOR_ESCROW), key.expose()));
        let mut user = User {
            role,
            id,
            name: name.into(),
            kdf,
            salt: [0; SALT],
            user_key: [0; SEALED_KEY],
            token_key: fixed(&sealed(FOR_TOKEN_KEY, &token.key)?)?,
            public: KemPair::from_seed(&seed)?.public()?,
            seed: fixed(&sealed(FOR_SEED, &seed)?)?,
            escrow: escrow.transpose()?.unwrap_or_default(),
            admin: Vec::new(),
        };
        user.set_pin(&token.id, &key, pin, kdf)?;
        Ok((user, key))
    }

    /// Seals the user key under another PIN.
    pub(super) fn set_pin(&mut self, token: &TokenId, key: &Secret, pin: &[u8], kdf: Kdf) -> Result<()> {
        self.kdf = kdf;
        self.salt = random_array();
        let kek = kdf.derive(pin, &self.salt)?;
        self.user_key = fixed(&seal_small(&kek, &self.pin_aad(token), key.expose())?)?;
        Ok(())
    }

    /// The user key, if the PIN is right. The comparison is that of a GCM tag, in constant time.
    pub(super) fn open(&self, token: &TokenId, pin: &[u8]) -> Result<Option<Secret>> {
        let kek = self.kdf.derive(pin, &self.salt)?;
        Ok(open_small(&kek, &self.pin_aad(token), &self.user_key))
    }

    /// The user key by the admin key; none if the user was made without escrow.
    pub(super) fn open_escrow(&self, token: &TokenId, admin: &Secret) -> Result<Option<Secret>> {
        if self.escrow.is_empty() {
            return Ok(None);
        }
        let aad = [FOR_ESCROW, token, &self.id].concat();
        let key = open_small(admin, &aad, &self.escrow);
        key.map(Some).ok_or_else(|| Rv::DeviceError.because("the escrowed user key is damaged"))
    }

    /// Makes an SO of the user with this user key, who shall have the admin key.
    pub(super) fn appoint(&mut self, token: &TokenId, key: &Secret, admin: &Secret) -> Result<()> {
        let aad = [FOR_ADMIN_KEY, token, &self.id].concat();
        self.role = Role::So;
        self.admin = seal_small(&purpose(key, FOR_ADMIN_KEY), &aad, admin.expose())?;
        Ok(())
    }

    /// Makes a user without the admin key of an SO.
    pub(super) fn dismiss(&mut self) {
        self.role = Role::User;
        self.admin.clear();
    }

    /// The admin key of an SO, by its user key.
    pub(super) fn open_admin(&self, token: &TokenId, key: &Secret) -> Result<Option<Secret>> {
        if self.role == Role::User {
            return Ok(None);
        }
        if self.admin.is_empty() {
            return Ok(Some(admin_key(key)));
        }
        let aad = [FOR_ADMIN_KEY, token, &self.id].concat();
        let admin = open_small(&purpose(key, FOR_ADMIN_KEY), &aad, &self.admin);
        admin.map(Some).ok_or_else(|| Rv::DeviceError.because("the admin key is damaged"))
    }

    /// The token key.
    pub(super) fn open_token(&self, token: &TokenId, key: &Secret) -> Result<TokenKeys> {
        let aad = [FOR_TOKEN_KEY, token, &self.id].concat();
        let opened = open_small(&purpose(key, FOR_TOKEN_KEY), &aad, &self.token_key);
        opened
            .map(|opened| TokenKeys::new(*token, opened))
            .ok_or_else(|| Rv::TokenNotRecognized.because("the token key is damaged"))
    }

    /// The user's key pair.
    pub fn open_pair(&self, token: &TokenId, key: &Secret) -> Result<KemPair> {
        let aad = [FOR_SEED, token, &self.id].concat();
        let seed = open_small(&purpose(key, FOR_SEED), &aad, &self.seed);
        KemPair::from_seed(&seed.ok_or_else(|| Rv::DeviceError.because("the user's key pair is damaged"))?)
    }

    fn pin_aad(&self, token: &TokenId) -> Vec<u8> {
        let aad =
            Writer::default().raw(b"coffer-1 user key\0").raw(token).u8(self.role.number()).raw(&self.id);
        self.kdf.write(aad.bytes(self.name.as_bytes())).raw(&self.salt).0
    }

    pub(super) fn body(&self) -> Vec<u8> {
        let body = Writer::default().u8(2).u8(self.role.number()).raw(&self.id).bytes(self.name.as_bytes());
        self.kdf
            .write(body)
            .raw(&self.salt)
            .raw(&self.user_key)
            .raw(&self.token_key)
            .raw(&self.public)
            .raw(&self.seed)
            .bytes(&self.escrow)
            .bytes(&self.admin)
            .0
    }

    pub(super) fn parse(body: &[u8]) -> Result<User> {
        let mut from = Reader(body);
        let format = from.u8()?;
        if !(1..=2).contains(&format) {
            fail!(DeviceError, "a user record of another version");
        }
        let role = match from.u8()? {
            0 => Role::So,
            1 => Role::User,
            other => fail!(DeviceError, "unknown role {other}"),
        };
        let user = User {
            role,
            id: from.array()?,
            name: from.text()?.into(),
            kdf: Kdf::read(&mut from)?,
            salt: from.array()?,
            user_key: from.array()?,
            token_key: from.array()?,
            public: from.raw(KEM_PUBLIC)?.into(),
            seed: from.array()?,
            escrow: from.bytes()?.into(),
            // Format 1 knew the founding SO only.
            admin: if format == 1 { Vec::new() } else { from.bytes()?.into() },
        };
        from.end()?;
        Ok(user)
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| Rv::GeneralError.because("a sealed key of another length"))
}

/// What every user of a token shares: the right to say what is in it.
pub struct TokenKeys {
    /// Of the token these keys are for.
    pub id: TokenId,
    pub(super) key: Secret,
    pub(super) record_mac: Hmac,
    pub(super) set_tag: Hmac,
    pub(super) set_seal: Arc<Secret>,
    pub(super) anchor: Hmac,
}

impl TokenKeys {
    pub(super) fn new(id: TokenId, key: Secret) -> TokenKeys {
        let derived = |name: &[u8]| Hmac::new(key.expose()).derive(&[name, &id]);
        TokenKeys {
            record_mac: Hmac::new(derived(b"coffer-1 token record mac\0").expose()),
            set_tag: Hmac::new(derived(b"coffer-1 token set tag\0").expose()),
            set_seal: Arc::new(derived(b"coffer-1 token set seal\0")),
            anchor: Hmac::new(derived(b"coffer-1 token anchor\0").expose()),
            id,
            key,
        }
    }

    /// The seed of the key that signs the audit log.
    pub(super) fn audit_seed(&self) -> Secret {
        Hmac::new(self.key.expose()).derive(&[b"coffer-2 token audit signature\0", &self.id])
    }

    /// The key of one backup.
    pub(super) fn backup_key(&self, salt: &[u8; 16]) -> Secret {
        Hmac::new(self.key.expose()).derive(&[b"coffer-2 token backup\0", &self.id, salt])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Kdf = Kdf::Argon2id { memory: 8, passes: 1, lanes: 1 };

    #[test]
    fn argon2id_answers_a_known_vector() {
        // The reference implementation's test of version 0x13: 256 KiB, two passes, one lane.
        let key =
            Kdf::Argon2id { memory: 256, passes: 2, lanes: 1 }.derive(b"password", b"somesalt").unwrap();
        assert_eq!(
            hex::encode(key.expose()),
            "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"
        );
    }

    #[test]
    fn insane_costs_are_refused_before_they_cost() {
        for kdf in [
            Kdf::Argon2id { memory: u32::MAX, passes: 1, lanes: 1 },
            Kdf::Argon2id { memory: 1 << 20, passes: 64, lanes: 1 },
            Kdf::Argon2id { memory: 8, passes: 0, lanes: 1 },
            Kdf::Argon2id { memory: 8, passes: 1, lanes: 2 },
            Kdf::Pbkdf2 { iterations: u32::MAX },
            Kdf::Pbkdf2 { iterations: 0 },
        ] {
            assert!(kdf.derive(b"1234", &[0; 16]).is_err(), "{kdf:?}");
            assert!(Kdf::read(&mut Reader(&kdf.write(Writer::default()).0)).is_err(), "{kdf:?}");
        }
    }

    #[test]
    fn a_user_opens_by_pin_and_by_escrow() {
        let token = TokenKeys::new([7; 16], seal::random_key());
        let (so, so_key) = User::new(&token, Role::So, "", b"so", CHEAP, None).unwrap();
        let admin = so.open_admin(&token.id, &so_key).unwrap().unwrap();
        let (user, key) = User::new(&token, Role::User, "alice", b"1234", CHEAP, Some(&admin)).unwrap();
        let user = User::parse(&user.body()).unwrap();
        let opened = user.open(&token.id, b"1234").unwrap().unwrap();
        assert_eq!(opened.expose(), key.expose());
        assert!(user.open(&token.id, b"1235").unwrap().is_none());
        assert!(user.open(&[8; 16], b"1234").unwrap().is_none(), "bound to its token");
        assert_eq!(user.open_escrow(&token.id, &admin).unwrap().unwrap().expose(), key.expose());
        assert_eq!(user.open_token(&token.id, &key).unwrap().key.expose(), token.key.expose());
        assert_eq!(user.open_pair(&token.id, &key).unwrap().public().unwrap(), user.public);
        assert!(user.open_admin(&token.id, &key).unwrap().is_none());
        let mut second = user.clone();
        second.appoint(&token.id, &key, &admin).unwrap();
        let second = User::parse(&second.body()).unwrap();
        assert_eq!(second.open_admin(&token.id, &key).unwrap().unwrap().expose(), admin.expose());
        assert!(second.open_admin(&token.id, &so_key).is_err());
        let mut other = user.clone();
        other.name = "bob".into();
        assert!(other.open(&token.id, b"1234").unwrap().is_none(), "bound to its name");
    }
}
