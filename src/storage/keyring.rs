//! From a PIN to the keys: who can open what.
//!
//! PIN → key derivation → the user's key → the token key and the objects' data keys. The user's key is random
//! and stays when the PIN changes; it is also sealed to the SO, who can therefore set a new PIN.

use super::records::{Reader, Writer};
use crate::crypto::{Hash, Secret, hmac, random, seal};
use crate::error::{Result, Rv};
use argon2::{Algorithm, Argon2, Params, Version};

/// Names a user in its token: sixteen random bytes.
pub type UserId = [u8; 16];

/// Who logs in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// CKU_SO.
    So,
    /// CKU_USER.
    User,
}

impl Role {
    pub(super) fn number(self) -> u8 {
        match self {
            Role::So => 0,
            Role::User => 1,
        }
    }
}

/// Wrong tries in a row after which a PIN is locked.
const MOST_TRIES: u32 = 10;

/// How often a PIN was wrong since it was last right.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tries(pub u32);

impl Tries {
    /// At least one wrong try (CKF_*_PIN_COUNT_LOW).
    pub fn count_low(self) -> bool {
        self.0 > 0
    }

    /// One try is left (CKF_*_PIN_FINAL_TRY).
    pub fn final_try(self) -> bool {
        self.0 == MOST_TRIES - 1
    }

    /// None is left (CKF_*_PIN_LOCKED).
    pub fn locked(self) -> bool {
        self.0 >= MOST_TRIES
    }

    pub(super) fn decode(record: &[u8]) -> Result<Tries> {
        let mut reader = Reader::new(record, "a PIN counter")?;
        let tries = Tries(reader.u32()?);
        reader.end()?;
        Ok(tries)
    }

    pub(super) fn encode(self) -> Vec<u8> {
        Writer::new().u32(self.0).finish()
    }
}

/// How a PIN becomes a key. Stored beside the sealed user's key and authenticated with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kdf {
    /// RFC 9106, one lane: memory in KiB and passes.
    Argon2id { memory: u32, passes: u32 },
    /// SP 800-132 with HMAC-SHA256, for tokens in fips mode.
    Pbkdf2 { iterations: u32 },
}

impl Kdf {
    /// OWASP's figures: about 40 ms and 200 ms.
    pub const ARGON2ID: Kdf = Kdf::Argon2id { memory: 19 * 1024, passes: 2 };
    pub const PBKDF2: Kdf = Kdf::Pbkdf2 { iterations: 600_000 };

    fn encode(self, writer: Writer) -> Writer {
        match self {
            Kdf::Argon2id { memory, passes } => writer.u8(1).u32(memory).u32(passes),
            Kdf::Pbkdf2 { iterations } => writer.u8(2).u32(iterations).u32(0),
        }
    }

    /// Weaker figures than today's least are a forgery, and so are those that would stall the host.
    fn decode(reader: &mut Reader<'_>) -> Result<Kdf> {
        let kdf = match (reader.u8()?, reader.u32()?, reader.u32()?) {
            (1, memory @ 19_456..=1_048_576, passes @ 2..=16) => Kdf::Argon2id { memory, passes },
            (2, iterations @ 600_000..=10_000_000, 0) => Kdf::Pbkdf2 { iterations },
            _ => fail!(DeviceError, "the PIN's key derivation has parameters out of range"),
        };
        Ok(kdf)
    }

    pub(super) fn key(self, pin: &[u8], salt: &[u8; 16]) -> Result<Secret> {
        match self {
            Kdf::Argon2id { memory, passes } => {
                let mut key = Secret::zeroed(seal::KEY);
                let params = Params::new(memory, passes, 1, Some(seal::KEY));
                let params = params.map_err(|error| Rv::GeneralError.because(format!("Argon2: {error}")))?;
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into(pin, salt, key.expose_mut())
                    .map_err(|error| Rv::HostMemory.because(format!("Argon2: {error}")))?;
                Ok(key)
            }
            Kdf::Pbkdf2 { iterations } => seal::pbkdf2(pin, salt, iterations),
        }
    }
}

/// A user's record.
pub struct UserRecord {
    pub id: UserId,
    kdf: Kdf,
    salt: [u8; 16],
    /// The user's key under the PIN's.
    locked: Vec<u8>,
    /// The token key under the user's.
    token_key: Vec<u8>,
    /// The user's key under the SO's; empty of the SO itself.
    escrow: Vec<u8>,
}

/// What binds a sealed key to its token and user.
fn place(purpose: &str, token: &[u8; 16], user: &UserId) -> Writer {
    Writer::bare().bytes(purpose.as_bytes()).fixed(token).fixed(user)
}

impl UserRecord {
    /// A new user with fresh keys. The token key is the token's; `so` is absent for the SO itself.
    pub fn new(
        token: &[u8; 16],
        kdf: Kdf,
        pin: &[u8],
        token_key: &Secret,
        so: Option<&Keys>,
    ) -> Result<UserRecord> {
        let key = random::secret(seal::KEY);
        let id = random::array();
        UserRecord::seal(token, id, kdf, pin, &key, token_key, so)
    }

    fn seal(
        token: &[u8; 16],
        id: UserId,
        kdf: Kdf,
        pin: &[u8],
        key: &Secret,
        token_key: &Secret,
        so: Option<&Keys>,
    ) -> Result<UserRecord> {
        let salt = random::array();
        let under_pin = seal::Key::new(&kdf.key(pin, &salt)?)?;
        let under_user = seal::Key::new(&seal::derive(key, "token key")?)?;
        let escrow = match so {
            Some(so) => so.escrow()?.seal(&place("escrow", token, &id).finish(), key.expose())?,
            None => Vec::new(),
        };
        let locked = under_pin.seal(&locked_place(token, &id, kdf, &salt), key.expose())?;
        let token_key = under_user.seal(&place("token key", token, &id).finish(), token_key.expose())?;
        Ok(UserRecord { id, kdf, salt, locked, token_key, escrow })
    }

    /// The keys that the PIN opens.
    ///
    /// # Errors
    /// CKR_PIN_INCORRECT.
    pub fn unlock(&self, token: &[u8; 16], pin: &[u8]) -> Result<Keys> {
        let under_pin = seal::Key::new(&self.kdf.key(pin, &self.salt)?)?;
        let place = locked_place(token, &self.id, self.kdf, &self.salt);
        let key = under_pin.open(&place, &self.locked).map_err(|error| error.recode(Rv::PinIncorrect))?;
        self.keys(token, key)
    }

    fn keys(&self, token: &[u8; 16], key: Secret) -> Result<Keys> {
        let under_user = seal::Key::new(&seal::derive(&key, "token key")?)?;
        let place = place("token key", token, &self.id).finish();
        let token_key = under_user.open(&place, &self.token_key).map_err(|error| {
            error.recode(Rv::DeviceError).within("the user's record: the token key does not open")
        })?;
        Keys::new(*token, self.id, key, token_key)
    }

    /// The same user with another PIN, on the user's own word.
    pub fn with_pin(&self, keys: &Keys, pin: &[u8]) -> Result<UserRecord> {
        let renewed =
            UserRecord::seal(&keys.token, self.id, self.kdf, pin, &keys.user_key, &keys.token_key, None)?;
        Ok(UserRecord { escrow: self.escrow.clone(), ..renewed })
    }

    /// The same user with another PIN, on the SO's word.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR if the escrow does not open.
    pub fn reset_by(&self, so: &Keys, pin: &[u8]) -> Result<UserRecord> {
        let place = place("escrow", &so.token, &self.id).finish();
        let key = so.escrow()?.open(&place, &self.escrow).map_err(|error| {
            error.recode(Rv::DeviceError).within("the user's record: the escrow does not open")
        })?;
        UserRecord::seal(&so.token, self.id, self.kdf, pin, &key, &so.token_key, Some(so))
    }

    pub fn encode(&self) -> Vec<u8> {
        self.kdf
            .encode(Writer::new().fixed(&self.id))
            .fixed(&self.salt)
            .bytes(&self.locked)
            .bytes(&self.token_key)
            .bytes(&self.escrow)
            .finish()
    }

    pub fn decode(record: &[u8]) -> Result<UserRecord> {
        let mut reader = Reader::new(record, "a user's record")?;
        let id = reader.fixed()?;
        let kdf = Kdf::decode(&mut reader)?;
        let salt = reader.fixed()?;
        let mut bytes = || reader.bytes().map(<[u8]>::to_vec);
        let user = UserRecord { id, kdf, salt, locked: bytes()?, token_key: bytes()?, escrow: bytes()? };
        reader.end()?;
        Ok(user)
    }
}

fn locked_place(token: &[u8; 16], user: &UserId, kdf: Kdf, salt: &[u8; 16]) -> Vec<u8> {
    kdf.encode(place("user key", token, user)).fixed(salt).finish()
}

/// What a login opened; wiped when it ends.
pub struct Keys {
    pub(super) token: [u8; 16],
    pub(super) user: UserId,
    user_key: Secret,
    token_key: Secret,
    /// Seals the data keys of the user's objects.
    pub(super) data_keys: seal::Key,
    /// Authenticates public objects.
    pub(super) public: hmac::Key,
    /// Digests the records into the set.
    pub(super) set: hmac::Key,
    /// Seals the set.
    pub(super) set_seal: seal::Key,
}

impl Keys {
    pub(super) fn new(token: [u8; 16], user: UserId, user_key: Secret, token_key: Secret) -> Result<Keys> {
        let mac = |purpose| hmac::Key::new(Hash::Sha256, seal::derive(&token_key, purpose)?.expose());
        Ok(Keys {
            data_keys: seal::Key::new(&seal::derive(&user_key, "data keys")?)?,
            public: mac("public objects")?,
            set: mac("set digest")?,
            set_seal: seal::Key::new(&seal::derive(&token_key, "set seal")?)?,
            token,
            user,
            user_key,
            token_key,
        })
    }

    pub(super) fn token_key(&self) -> &Secret {
        &self.token_key
    }

    /// Seals other users' keys to the SO.
    fn escrow(&self) -> Result<seal::Key> {
        seal::Key::new(&seal::derive(&self.user_key, "escrow")?)
    }
}
