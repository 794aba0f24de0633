//! Removing everything whose name has a given prefix.
//!
//! Owns: the walk over the names, and its end.
//! Refuses: to block the server (it reads the names in steps); clusters, whose nodes would each have to be scanned.
//! Invariant: what is removed begins with the prefix and the name that were asked for; the walk ends in bounded time.

use std::time::Duration;

use tokio::time::Instant;

use super::{Away, Redis};

/// Names looked at in one step of the server's.
const STEP: u32 = 1000;
/// The longest walk. A server takes a second for about a million names.
const LONGEST: Duration = Duration::from_mins(1);

/// What a walk has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Values removed.
    pub(crate) removed: u64,
    /// All names were looked at.
    pub(crate) whole: bool,
}

/// Removes every value whose name begins with this text, step by step. Only for a command that does nothing else: it may
/// take a minute.
pub(crate) async fn sweep(redis: &Redis, begins: &str) -> Result<Swept, Away> {
    if redis.is_cluster() {
        return Err(Away::Refused(
            "a cluster does not list what it holds; answers end by themselves".to_owned(),
        ));
    }
    let (begins, deadline) = (redis.key(begins), Instant::now() + LONGEST);
    let (mut cursor, mut removed) = (0u64, 0);
    while Instant::now() < deadline {
        let mut scan = ::redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(format!("{}*", literal(&begins)))
            .arg("COUNT")
            .arg(STEP);
        let (next, names): (u64, Vec<Vec<u8>>) = redis.ask_patiently(&scan).await?;
        // Remove only what was asked for, whatever the server lists.
        let ours: Vec<_> = names
            .into_iter()
            .filter(|name| name.starts_with(begins.as_bytes()))
            .collect();
        if !ours.is_empty() {
            removed += redis
                .ask_patiently::<u64>(::redis::cmd("DEL").arg(ours))
                .await?;
        }
        if next == 0 {
            return Ok(Swept {
                removed,
                whole: true,
            });
        }
        cursor = next;
    }
    Ok(Swept {
        removed,
        whole: false,
    })
}

/// A pattern that means this very text.
fn literal(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            r"\*?[]^-"
                .contains(c)
                .then_some('\\')
                .into_iter()
                .chain([c])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_pattern_means_itself() {
        assert_eq!(literal("chat:answer:0af"), "chat:answer:0af");
        assert_eq!(literal(r"a*b?[c]\d"), r"a\*b\?\[c\]\\d");
    }
}
