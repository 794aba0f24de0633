//! One kept answer.

use serde::{Deserialize, Serialize};

use crate::chat::usage::Usage;
use crate::chat::{Finish, ModelId, Params, Reply, Timestamp, Usd};

/// An answer as kept: what a hit must give back, and what it once cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The model that really answered.
    pub model: ModelId,
    pub text: String,
    pub reasoning: String,
    pub usage: Usage,
    /// What it cost then; a hit saves this much. `None`: its price was unknown.
    pub cost: Option<Usd>,
    pub at: Timestamp,
}

impl Entry {
    /// Bytes it weighs.
    pub fn weight(&self) -> u32 {
        u32::try_from(self.text.len() + self.reasoning.len() + 200).unwrap_or(u32::MAX)
    }
}

/// Whether an answer may be kept: whole, not empty, and not one of many that a dice throw could have given.
pub fn worth_keeping(reply: &Reply, params: &Params, sampled: bool) -> bool {
    let whole = reply.finish == Some(Finish::Stop) && !reply.text.is_empty();
    // A request that leaves the temperature alone is kept: asking twice for the same is rarely asking for variety.
    let repeatable = sampled || params.temperature.is_none_or(|t| t == 0.0);
    whole && repeatable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_repeatable_answers_are_kept() {
        let reply = |finish| Reply { text: "yes".into(), finish, ..Reply::default() };
        let at = |temperature| Params { temperature, ..Params::default() };
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
            (Reply { text: String::new(), ..whole.clone() }, at(None), false, false),
        ] {
            assert_eq!(worth_keeping(&reply, &params, sampled), kept, "{reply:?} {params:?} {sampled}");
        }
    }
}
