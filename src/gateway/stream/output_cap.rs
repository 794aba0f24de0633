//! The output of an answer so far, measured against its cap.
//!
//! Owns: the running count, and when it shows that the server ignores its cap.
//! Refuses: to guess; hidden reasoning counts only once the server reports it.
//! Invariant: the time is linear in the output, and the count that decides is made of whole blocks, so that a server which
//! keeps to its cap is not cut for writing in small pieces.

use crate::tokens::{self, Encoding, Tokenizer};

/// Bytes after which a block is counted whole and dropped. A seam adds a token or two to some five hundred.
const BLOCK: usize = 2 * 1024;
/// Tokens past the cap that are tolerated: end marks, and how a server counts its own framing.
const MARGIN: u64 = 64;

/// Which of the two texts of an answer a piece belongs to.
#[derive(Debug, Clone, Copy)]
pub(in crate::gateway) enum Side {
    Text,
    Reasoning,
}

/// The running count of one answer.
#[derive(Debug)]
pub(in crate::gateway) struct OutputCapMeter {
    encoding: Encoding,
    /// With more than this the server ignores its cap.
    most: u64,
    /// The server's own count, plus the blocks counted whole since.
    closed: u64,
    reported: u64,
    open: [UncountedBlock; 2],
}

/// The end of a text, counted piece by piece since it was last counted whole.
#[derive(Debug, Default)]
struct UncountedBlock {
    text: String,
    tokens: u64,
}

impl OutputCapMeter {
    pub(in crate::gateway) fn new(tokenizer: Tokenizer, cap: u64) -> Self {
        let encoding = tokenizer.encoding();
        Self {
            encoding,
            most: most(tokenizer, cap),
            closed: 0,
            reported: 0,
            open: [UncountedBlock::default(), UncountedBlock::default()],
        }
    }

    /// Output tokens so far: a little high, and cheap.
    pub(in crate::gateway) fn tokens(&self) -> u64 {
        self.open
            .iter()
            .fold(self.closed, |sum, block| sum.saturating_add(block.tokens))
    }

    pub(in crate::gateway) async fn push(&mut self, side: Side, piece: &str) {
        let block = &mut self.open[side as usize];
        block.text.push_str(piece);
        if block.text.len() < BLOCK {
            block.tokens += tokens::count(self.encoding, piece);
            return;
        }
        block.tokens = 0;
        let whole = std::mem::take(&mut block.text);
        self.closed = self
            .closed
            .saturating_add(count(self.encoding, whole).await);
    }

    /// Takes the server's own count of the output so far, which some servers report with every piece. It replaces ours,
    /// as it will on the bill; one that does not rise is ignored.
    pub(in crate::gateway) fn reported(&mut self, output: u64) {
        if output > self.reported {
            (self.reported, self.closed) = (output, output);
            self.open = [UncountedBlock::default(), UncountedBlock::default()];
        }
    }

    /// Whether the server has written so much more than its cap that different counting cannot explain it.
    pub(in crate::gateway) fn past_cap(&mut self) -> bool {
        if self.tokens() <= self.most {
            return false;
        }
        // At most two blocks, whatever the length of the answer: no work for another thread.
        for block in &mut self.open {
            block.tokens = tokens::count(self.encoding, &block.text);
        }
        self.tokens() > self.most
    }
}

/// The most that a server which keeps to its cap comes to by our count: a tenth above the cap, a quarter where the
/// encoding is not stated for the model, and a margin.
fn most(tokenizer: Tokenizer, cap: u64) -> u64 {
    let slack = match tokenizer {
        Tokenizer::Known(_) => cap / 10,
        Tokenizer::Assumed(_) | Tokenizer::Guess(_) => cap / 4,
    };
    cap.saturating_add(slack).saturating_add(MARGIN)
}

/// Counts a text; a long one on a thread that may take its time.
async fn count(encoding: Encoding, text: String) -> u64 {
    if text.len() <= 2 * BLOCK {
        return tokens::count(encoding, &text);
    }
    let bytes = text.len() as u64;
    tokio::task::spawn_blocking(move || tokens::count(encoding, &text))
        .await
        .unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Tokenizer = Tokenizer::Known(Encoding::O200kBase);

    /// So many words of one token each.
    fn words(n: u64) -> String {
        [" one", " two", " red", " sea"]
            .into_iter()
            .cycle()
            .zip(0..n)
            .map(|(word, _)| word)
            .collect()
    }

    fn letters(text: &str) -> impl Iterator<Item = &str> {
        text.split_inclusive(|_: char| true)
    }

    async fn written<'a>(
        tokenizer: Tokenizer,
        cap: u64,
        pieces: impl IntoIterator<Item = &'a str>,
    ) -> Option<u64> {
        let mut written = OutputCapMeter::new(tokenizer, cap);
        for piece in pieces {
            written.push(Side::Text, piece).await;
            if written.past_cap() {
                return Some(written.tokens());
            }
        }
        None
    }

    #[test]
    fn how_far_past_the_cap_is_too_far() {
        for (tokenizer, cap, expected) in [
            (KNOWN, 1_000, 1_164),
            (Tokenizer::Assumed(Encoding::O200kBase), 1_000, 1_314),
            (Tokenizer::Guess(Encoding::O200kBase), 1_000, 1_314),
            (KNOWN, 1, 65),
            (KNOWN, u64::MAX, u64::MAX),
        ] {
            assert_eq!(most(tokenizer, cap), expected, "{tokenizer:?} {cap}");
        }
    }

    #[tokio::test]
    async fn a_server_that_keeps_to_its_cap_is_not_cut_in_whatever_pieces_it_writes() {
        for cap in [1, 300, 3_000] {
            let text = words(cap);
            assert_eq!(tokens::count(KNOWN.encoding(), &text), cap);
            assert_eq!(
                written(KNOWN, cap, letters(&text)).await,
                None,
                "{cap}: a letter at a time"
            );
            assert_eq!(
                written(KNOWN, cap, text.split_inclusive(' ')).await,
                None,
                "{cap}: words cut at their ends"
            );
            assert_eq!(
                written(KNOWN, cap, [text.as_str()]).await,
                None,
                "{cap}: all at once"
            );
        }
    }

    #[tokio::test]
    async fn one_that_does_not_is_cut_at_the_margin() {
        for cap in [1, 300, 3_000] {
            let (text, most) = (words(2 * cap + 200), most(KNOWN, cap));
            let by_letters = written(KNOWN, cap, letters(&text)).await.unwrap();
            // The seams of the blocks may cost a token or two each.
            assert!(
                (most + 1..=most + 2).contains(&by_letters),
                "{cap}: {by_letters}"
            );
            assert!(
                written(KNOWN, cap, [text.as_str()]).await.is_some(),
                "{cap}: all at once"
            );
        }
    }

    #[tokio::test]
    async fn reasoning_in_sight_counts() {
        let mut written = OutputCapMeter::new(KNOWN, 100);
        written.push(Side::Reasoning, &words(100)).await;
        assert!(!written.past_cap());
        written.push(Side::Text, &words(75)).await;
        assert!(written.past_cap());
    }

    #[tokio::test]
    async fn the_servers_own_count_takes_the_place_of_ours() {
        let mut written = OutputCapMeter::new(KNOWN, 100);
        for _ in 0..50 {
            // Ten tokens of ours are one of theirs.
            written.push(Side::Text, &words(10)).await;
            let count = written.reported + 1;
            written.reported(count);
            assert!(!written.past_cap());
        }
        assert_eq!(written.tokens(), 50);
        written.reported(175);
        assert!(written.past_cap(), "and when it says so itself, it is so");
        let mut frozen = OutputCapMeter::new(KNOWN, 100);
        frozen.reported(1);
        frozen.push(Side::Text, &words(200)).await;
        frozen.reported(1);
        assert!(frozen.past_cap(), "a count that stands still is ignored");
    }
}
