//! Removing everything whose name begins in one way, and nothing else.
//!
//! Owns: the walk over the names, and its end.
//! Refuses: to block the server, which is asked for a part of its names at a time; clusters, whose parts would each have
//! to be walked.
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
pub struct Swept {
    /// Values removed.
    pub removed: u64,
    /// All names were looked at.
    pub whole: bool,
}

impl Redis {
    /// Removes every value whose name begins so. For whoever asks just that: it takes its time, in steps.
    pub async fn sweep(&self, begins: &str) -> Result<Swept, Away> {
        if self.is_cluster() {
            return Err(Away::Refused(
                "a cluster does not list what it holds; answers end by themselves".to_owned(),
            ));
        }
        let (begins, deadline) = (self.key(begins), Instant::now() + LONGEST);
        let (mut cursor, mut removed) = (0u64, 0);
        while Instant::now() < deadline {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg(format!("{}*", literal(&begins)))
                .arg("COUNT")
                .arg(STEP);
            let (next, names): (u64, Vec<Vec<u8>>) = self.ask_patiently(&scan).await?;
            // A server that lists what was not asked for does not get it removed.
            let ours: Vec<_> = names
                .into_iter()
                .filter(|name| name.starts_with(begins.as_bytes()))
                .collect();
            if !ours.is_empty() {
                removed += self
                    .ask_patiently::<u64>(redis::cmd("DEL").arg(ours))
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
