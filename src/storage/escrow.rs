//! Escrow keys: an ML-KEM-1024 pair kept apart from the token. A backup that was made for one opens with it alone, so
//! that a token outlives its PINs.

use super::codec::{Reader, Writer};
use super::keyring::{TokenId, TokenKeys, open_small, seal_small};
use crate::crypto::Secret;
use crate::crypto::seal::{self, Hmac, KEM_CIPHERTEXT, KEM_PUBLIC, KEY, KemPair, sha256};
use crate::error::{Result, Rv};

const NAME: &[u8] = b"coffer-2 backup escrow\0";

/// What of a token is sealed to an escrow key: all that an SO holds.
pub(super) struct Opened {
    pub(super) token: TokenKeys,
    pub(super) admin: Secret,
}

/// Names an escrow key: the start of a hash of its public half.
pub type EscrowId = [u8; 16];

/// The name of the escrow key with this public half.
///
/// # Errors
/// CKR_PUBLIC_KEY_INVALID unless it has an ML-KEM-1024 key's length.
pub fn id(public: &[u8]) -> Result<EscrowId> {
    if public.len() != KEM_PUBLIC {
        fail!(PublicKeyInvalid, "an ML-KEM-1024 public key has {KEM_PUBLIC} bytes, not {}", public.len());
    }
    let hash = sha256(&[b"coffer-2 escrow key\0", public]);
    Ok(std::array::from_fn(|at| hash[at]))
}

fn aad(token: &TokenId, salt: &[u8; 16], id: &EscrowId) -> Vec<u8> {
    [NAME, token, salt, id].concat()
}

fn sealing_key(shared: &Secret, ciphertext: &[u8]) -> Secret {
    Hmac::new(shared.expose()).derive(&[NAME, ciphertext])
}

/// Seals the token key and the admin key to the holder of an escrow key, for one backup.
pub(super) fn grant(public: &[u8], token: &TokenKeys, admin: &Secret, salt: &[u8; 16]) -> Result<Vec<u8>> {
    let id = id(public)?;
    let (ciphertext, shared) = seal::encapsulate(public)?;
    let mut both = Secret::zeroed(2 * KEY);
    both.expose_mut()[..KEY].copy_from_slice(token.key.expose());
    both.expose_mut()[KEY..].copy_from_slice(admin.expose());
    let sealed = seal_small(&sealing_key(&shared, &ciphertext), &aad(&token.id, salt, &id), both.expose())?;
    Ok(Writer::default().raw(&id).raw(&ciphertext).bytes(&sealed).0)
}

/// For whom a grant is.
pub(super) fn recipient(grant: &[u8]) -> Result<EscrowId> {
    Reader(grant).array()
}

/// Opens a grant with the escrow key.
///
/// # Errors
/// CKR_ARGUMENTS_BAD if it is another key's; CKR_DEVICE_ERROR if it is damaged.
pub(super) fn open(pair: &KemPair, token: &TokenId, salt: &[u8; 16], grant: &[u8]) -> Result<Opened> {
    let mut from = Reader(grant);
    let (id, ciphertext, sealed) = (from.array()?, from.raw(KEM_CIPHERTEXT)?, from.bytes()?);
    from.end()?;
    if id != self::id(&pair.public()?)? {
        fail!(ArgumentsBad, "the backup was made for another escrow key");
    }
    let key = sealing_key(&pair.decapsulate(ciphertext)?, ciphertext);
    let both = open_small(&key, &aad(token, salt, &id), sealed).filter(|both| both.len() == 2 * KEY);
    let Some(both) = both else { return Err(Rv::DeviceError.because("the escrow of the backup is damaged")) };
    let (token_key, admin) = both.expose().split_at(KEY);
    Ok(Opened {
        token: TokenKeys::new(*token, Secret::from_slice(token_key)),
        admin: Secret::from_slice(admin),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::seal::{KEM_SEED, random, random_key};

    fn pair() -> KemPair {
        let mut seed = Secret::zeroed(KEM_SEED);
        random(seed.expose_mut());
        KemPair::from_seed(&seed).unwrap()
    }

    #[test]
    fn a_grant_opens_for_its_key_token_and_backup_only() {
        let (mine, other, admin) = (pair(), pair(), random_key());
        let token = TokenKeys::new([7; 16], random_key());
        let grant = grant(&mine.public().unwrap(), &token, &admin, &[1; 16]).unwrap();
        let opened = open(&mine, &token.id, &[1; 16], &grant).unwrap();
        assert_eq!(opened.admin.expose(), admin.expose());
        assert_eq!(opened.token.key.expose(), token.key.expose());
        assert_eq!(open(&other, &token.id, &[1; 16], &grant).err().unwrap().rv(), Rv::ArgumentsBad);
        assert_eq!(open(&mine, &[8; 16], &[1; 16], &grant).err().unwrap().rv(), Rv::DeviceError);
        assert_eq!(open(&mine, &token.id, &[2; 16], &grant).err().unwrap().rv(), Rv::DeviceError);
        for at in [16, 900, grant.len() - 1] {
            let mut bad = grant.clone();
            bad[at] ^= 1;
            assert_eq!(open(&mine, &token.id, &[1; 16], &bad).err().unwrap().rv(), Rv::DeviceError);
        }
        assert!(open(&mine, &token.id, &[1; 16], &grant[..20]).is_err());
        assert_eq!(id(&[0; 32]).unwrap_err().rv(), Rv::PublicKeyInvalid);
    }
}
