//! One kept answer and its bytes.

use serde::{Deserialize, Serialize};

use super::tier::Bytes;
use crate::chat::request::Digest;
use crate::chat::usage::Usage;
use crate::chat::{Finish, ModelId, Params, Reply, Timestamp, Usd};

/// The form of the bytes; another one is a miss.
const SCHEMA: u8 = 1;
/// Bytes in front of the JSON: the schema and the check.
const HEAD: usize = 17;
/// Largest entry that leaves this process, in bytes: one answer must not push out thousands.
pub(crate) const LARGEST: usize = 1 << 20;

/// An answer as kept: what a hit must give back, and what it once cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CachedAnswer {
    /// The model that really answered.
    pub model: ModelId,
    /// The answer, as the model wrote it.
    pub text: String,
    /// What the model wrote before it; empty when it showed nothing.
    pub reasoning: String,
    /// The tokens that it took.
    pub usage: Usage,
    /// What it cost then; a hit saves this much. `None`: its price was unknown.
    pub cost: Option<Usd>,
    /// When it was given.
    pub at: Timestamp,
}

impl CachedAnswer {
    /// The schema, a check over digest and JSON, and the JSON. Bytes put under another digest do not pass the check.
    pub(crate) fn encode(&self, digest: Digest) -> Bytes {
        let json = serde_json::to_vec(self).unwrap_or_default();
        [&[SCHEMA][..], &check(digest, &json), &json]
            .concat()
            .into()
    }

    /// The entry that these bytes are, whole and kept under this digest; `None` for anything else.
    pub(crate) fn decode(digest: Digest, bytes: &[u8]) -> Option<Self> {
        let (head, json) = bytes.split_at_checked(HEAD)?;
        let sound = head.split_first() == Some((&SCHEMA, &check(digest, json)[..]));
        sound.then(|| serde_json::from_slice(json).ok())?
    }
}

/// Finds damage, not malice: a program that can write the user's files can also compute this.
fn check(digest: Digest, json: &[u8]) -> [u8; HEAD - 1] {
    let mut hasher = blake3::Hasher::new_keyed(&digest.0);
    hasher.update(json);
    let mut check = [0; HEAD - 1];
    hasher.finalize_xof().fill(&mut check);
    check
}

/// Whether an answer may be kept: whole, not empty, and not sampled at random.
pub(crate) fn worth_keeping(reply: &Reply, params: &Params, sampled: bool) -> bool {
    let whole = reply.finish == Some(Finish::Stop) && !reply.text.is_empty();
    whole && repeatable(params, sampled)
}

/// Whether one answer to a request may stand for another. A request that leaves the temperature alone may: asking twice
/// for the same is rarely asking for variety.
pub(crate) fn repeatable(params: &Params, sampled: bool) -> bool {
    sampled || params.temperature.is_none_or(|t| t == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_an_entry_whole_and_in_their_place_or_not_at_all() {
        let entry = CachedAnswer {
            model: ModelId::new("openai", "gpt-5"),
            text: "yes".to_owned(),
            reasoning: "hm".to_owned(),
            usage: Usage::counted(3, 4),
            cost: None,
            at: Timestamp(1_800_000_000_000),
        };
        let (here, there) = (Digest([1; 32]), Digest([2; 32]));
        let bytes = entry.encode(here);
        assert_eq!(CachedAnswer::decode(here, &bytes), Some(entry));
        assert_eq!(
            CachedAnswer::decode(there, &bytes),
            None,
            "under another digest"
        );
        for length in 0..bytes.len() {
            assert_eq!(
                CachedAnswer::decode(here, &bytes[..length]),
                None,
                "cut at {length}"
            );
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 0x10;
            assert_eq!(
                CachedAnswer::decode(here, &flipped),
                None,
                "flipped at {at}"
            );
        }
    }

    #[test]
    fn only_whole_repeatable_answers_are_kept() {
        let reply = |finish| Reply {
            text: "yes".into(),
            finish,
            ..Reply::default()
        };
        let at = |temperature| Params {
            temperature,
            ..Params::default()
        };
        let whole = reply(Some(Finish::Stop));
        for (reply, params, sampled, kept) in [
            (whole.clone(), at(None), false, true),
            (whole.clone(), at(Some(0.0)), false, true),
            (whole.clone(), at(Some(0.7)), false, false),
            (whole.clone(), at(Some(0.7)), true, true),
            (reply(Some(Finish::Length)), at(None), false, false),
            (reply(Some(Finish::ContentFilter)), at(None), false, false),
            (reply(Some(Finish::Cut)), at(None), false, false),
            (reply(Some(Finish::ToolCalls)), at(None), false, false),
            (reply(None), at(None), false, false),
            (
                Reply {
                    text: String::new(),
                    ..whole.clone()
                },
                at(None),
                false,
                false,
            ),
        ] {
            assert_eq!(
                worth_keeping(&reply, &params, sampled),
                kept,
                "{reply:?} {params:?} {sampled}"
            );
        }
    }
}
