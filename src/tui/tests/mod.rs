//! The screen as a whole: keys in, effects and screens out.

mod chaos;
mod cues;
mod economy;
mod flows;
mod kept;
mod money;
mod rescue;
pub(crate) mod sample;
mod screens;
mod wire;
