//! A rung of the ladder as it is written: `openai/gpt-5`, or with an effort `openai/gpt-5 high`.

use std::fmt;
use std::str::FromStr;

use super::rules;
use crate::chat::{Effort, ModelId};

/// A model, and the effort that belongs to the rung.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LadderRung {
    /// The model of this rung.
    pub model: ModelId,
    /// `None`: as the model does by itself.
    pub effort: Option<Effort>,
}

impl fmt::Display for LadderRung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.effort {
            Some(effort) => write!(f, "{} {effort}", self.model),
            None => self.model.fmt(f),
        }
    }
}

impl FromStr for LadderRung {
    /// What is expected instead.
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let (name, effort) = match written.split_once(' ') {
            Some((name, effort)) => (name, Some(effort)),
            None => (written, None),
        };
        rules::full_name(name)?;
        let model = name
            .parse()
            .map_err(|_| format!("expected {}", rules::FULL_NAME))?;
        let known = |word: &str| {
            let words = || Effort::ALL.into_iter().map(Effort::as_str);
            let list = words().collect::<Vec<_>>().join(", ");
            word.parse().map_err(|_| {
                format!(
                    "expected an effort after the model's name: {list}{}",
                    rules::nearest(word, words())
                )
            })
        };
        Ok(Self {
            model,
            effort: effort.map(known).transpose()?,
        })
    }
}
