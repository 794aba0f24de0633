//! Tokens, counted on this machine before anything is sent.
//!
//! Owns: the encodings (tiktoken-rs lives here and nowhere else), the framing of a conversation, upper bounds.
//! Refuses: prices, and models; whoever counts names an encoding, or none when no public one exists.
//! Invariant: a count never panics and takes time linear in the text; `upper` is never below what a server could count.

mod count;
pub mod encoding;
mod framing;

pub use count::count;
pub use encoding::{Encoding, UnknownEncoding};
pub use framing::{Count, Tokenizer, conversation, message};
