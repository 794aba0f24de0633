//! The screen as a whole: keys in, effects and screens out.

mod chaos;
mod flows;
pub mod sample;
mod screens;
