//! A short name for bytes that must not be told.
//!
//! Owns: [`fingerprint`].
//! Refuses: what can be guessed; whoever tries all short words finds the one that was meant, so callers keep those out.
//! Invariant: the same on every machine and in every version, and of no use for anything but telling bytes apart.

/// What the hash is for: the same bytes hashed for another purpose give another name (BLAKE3, `derive_key`).
const CONTEXT: &str = "chat-agent 2026-11 fingerprint of a key";

/// 16 hexadecimal digits (64 bits) that stand for `bytes`.
pub fn fingerprint(bytes: &[u8]) -> String {
    let hash = blake3::derive_key(CONTEXT, bytes);
    blake3::Hash::from_bytes(hash).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_names_of_their_own_that_never_change() {
        let name = fingerprint(b"sk-test-1234567890");
        assert_eq!(name, "80e1abbd31b69556");
        assert!(name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(name, fingerprint(b"sk-test-1234567891"));
        assert_ne!(
            name,
            blake3::hash(b"sk-test-1234567890").to_hex()[..16],
            "no plain hash of the key"
        );
    }
}
