//! Tokens, counted on this machine before anything is sent.
//!
//! Owns: the encodings (tiktoken-rs is read for them at build time, here and nowhere else), the framing of a
//! conversation, the rules for tools and images, what is learned of a model's own counting, upper bounds.
//! Refuses: prices and models; the caller names an encoding, or none when no public one exists.
//! Invariant: a count never panics and takes time linear in the text; `upper` is never below what a server could count.

mod calibration;
mod classes;
mod count;
mod draft;
pub(crate) mod encoding;
mod framing;
mod images;
mod layout;
mod merge;
mod pieces;
mod ranks;
mod tools;

pub(crate) use calibration::Calibration;
pub use count::count;
pub use draft::IncrementalCount;
pub use encoding::Encoding;
pub(crate) use framing::{
    FramedMessage, Framing, TokenCount, Tokenizer, conversation, message, prompt, sent,
};
pub(crate) use images::{Detail, ImageRule, ImageSize};
pub(crate) use tools::tools;
