//! What the keys do, pressed in a real terminal.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

mod editing;
mod leaving;
mod reading;
