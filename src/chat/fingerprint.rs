//! A short name for bytes that must stay secret.
//!
//! Owns: [`fingerprint`].
//! Refuses: short words. Trying all of them would reveal the one that was used, so callers must not pass them.
//! Invariant: the same on every machine and in every version, and of no use for anything but telling bytes apart.

/// What the hash is for: the same bytes hashed for another purpose give another name (BLAKE3, `derive_key`).
const CONTEXT: &str = "chat-agent 2026-11 fingerprint of a key";

/// 16 hexadecimal digits (64 bits) that stand for `bytes`.
pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    let hash = blake3::derive_key(CONTEXT, bytes);
    blake3::Hash::from_bytes(hash).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_differ_between_keys_and_never_change() {
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
