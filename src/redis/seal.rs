//! The seal on answers in a Redis that others can read and write.
//!
//! Owns: the keys derived from the configured secret, the names of entries, sealing and opening.
//! Refuses: a secret that is short enough to guess: a copied entry can be attacked offline, without a limit of time.
//! Invariant: what opens was sealed with this secret, under this name; another user of that Redis can neither read an
//! entry, nor forge one, nor put one in the place of another, nor tell from its name what was asked.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};

/// The shortest secret that is taken, in bytes.
const SHORTEST: usize = 16;
/// Names the way of sealing. Another way gets another number, and then does not find entries of this one.
const SCHEME: &[u8] = b"chat-agent sealed answer 1";
const NAME: usize = 32;

/// Seals with the keys of one secret.
pub struct Seal {
    key: LessSafeKey,
    names: hmac::Key,
    random: SystemRandom,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// `None`: the secret is too short to keep anything secret.
    pub fn new(secret: &[u8]) -> Option<Self> {
        if secret.len() < SHORTEST {
            return None;
        }
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, SCHEME).extract(secret);
        let key = UnboundKey::from(root.expand(&[b"entries"], &CHACHA20_POLY1305).ok()?);
        let names = hmac::Key::from(root.expand(&[b"names"], hmac::HMAC_SHA256).ok()?);
        Some(Self {
            key: LessSafeKey::new(key),
            names,
            random: SystemRandom::new(),
        })
    }

    /// The name under which the entry with this digest lies, in hexadecimal.
    pub(crate) fn name(&self, digest: &[u8; NAME]) -> String {
        use std::fmt::Write;
        let mut name = String::with_capacity(2 * NAME);
        for byte in hmac::sign(&self.names, digest).as_ref() {
            let _ = write!(name, "{byte:02x}");
        }
        name
    }

    /// Nonce, then the digest and the bytes, encrypted, then the tag. `None`: the system has no randomness.
    pub(crate) fn seal(&self, digest: &[u8; NAME], bytes: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut sealed = [digest, bytes].concat();
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(nonce_used, aad(digest), &mut sealed)
            .ok()?;
        sealed.splice(0..0, nonce);
        Some(sealed)
    }

    /// The bytes that were sealed under this digest; `None` for anything else.
    pub(crate) fn open(&self, digest: &[u8; NAME], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut body = body.to_vec();
        let plain = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad(digest), &mut body)
            .ok()?;
        // Checked twice: as associated data, and as a part of the entry.
        plain.strip_prefix(digest).map(<[u8]>::to_vec)
    }
}

fn aad(digest: &[u8; NAME]) -> Aad<Vec<u8>> {
    Aad::from([SCHEME, digest].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seal(secret: &str) -> Seal {
        Seal::new(secret.as_bytes()).unwrap()
    }

    #[test]
    fn only_the_same_secret_and_the_same_name_open_an_entry() {
        let (ours, theirs) = (seal("a long enough secret"), seal("another long secret"));
        let (this, other) = ([1; 32], [2; 32]);
        let sealed = ours.seal(&this, b"forty two").unwrap();
        assert_eq!(
            ours.open(&this, &sealed).as_deref(),
            Some(&b"forty two"[..])
        );
        assert_eq!(ours.open(&other, &sealed), None, "moved to another name");
        assert_eq!(theirs.open(&this, &sealed), None, "another user's");
        assert_ne!(
            ours.seal(&this, b"forty two").unwrap(),
            sealed,
            "no two are alike"
        );
        assert_ne!(ours.name(&this), theirs.name(&this));
        assert_ne!(ours.name(&this), ours.name(&other));
        assert_eq!(
            ours.name(&this),
            seal("a long enough secret").name(&this),
            "the same on every machine"
        );
        assert!(!sealed.windows(9).any(|part| part == b"forty two"));
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_none() {
        assert!(Seal::new(b"").is_none() && Seal::new(b"fifteen letters").is_none());
        assert!(Seal::new(b"sixteen letters!").is_some());
    }

    proptest! {
        #[test]
        fn no_byte_of_an_entry_can_be_changed(
            bytes in prop::collection::vec(any::<u8>(), 0..80), at in any::<prop::sample::Index>(), flip in 1u8..,
        ) {
            let (seal, digest) = (seal("a long enough secret"), [7; 32]);
            let mut sealed = seal.seal(&digest, &bytes).unwrap();
            prop_assert_eq!(seal.open(&digest, &sealed), Some(bytes));
            prop_assert_eq!(seal.open(&digest, &sealed[..at.index(sealed.len())]), None);
            let at = at.index(sealed.len());
            sealed[at] ^= flip;
            prop_assert_eq!(seal.open(&digest, &sealed), None);
        }
    }
}
