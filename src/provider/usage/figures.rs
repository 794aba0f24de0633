//! The figures of a usage as they are written, before anything is made of them.
//!
//! Owns: the names under which servers write counts and costs, and where.
//! Refuses: what a figure means, and whether it can be one (`usage` has that).
//! Invariant: two ways of reading the same text (a tree of it, one walk over it) come to the same figures.

use serde_json::{Number, Value};

/// Where a figure stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::provider) enum Place {
    Prompt,
    Completion,
    Total,
    Input,
    Output,
    CacheHit,
    CacheMiss,
    Cached,
    CacheRead,
    CacheCreation,
    PromptCached,
    PromptWritten,
    CompletionReasoning,
    InputCached,
    OutputReasoning,
    CreationForAnHour,
    Cost,
    CostTicks,
    OwnKey,
}

/// The objects inside a usage in which figures stand.
const DETAILS: [&str; 5] = [
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
    "cache_creation",
];

impl Place {
    const COUNT: usize = Self::OwnKey as usize + 1;
    /// How many objects with figures there are.
    pub(in crate::provider) const DETAILS: usize = DETAILS.len();

    /// The place of a name; `inside` which object, empty for the usage itself.
    pub(in crate::provider) fn of(inside: &str, name: &str) -> Option<Self> {
        Some(match (inside, name) {
            ("", "prompt_tokens") => Self::Prompt,
            ("", "completion_tokens") => Self::Completion,
            ("", "total_tokens") => Self::Total,
            ("", "input_tokens") => Self::Input,
            ("", "output_tokens") => Self::Output,
            ("", "prompt_cache_hit_tokens") => Self::CacheHit,
            ("", "prompt_cache_miss_tokens") => Self::CacheMiss,
            ("", "cached_tokens") => Self::Cached,
            ("", "cache_read_input_tokens") => Self::CacheRead,
            ("", "cache_creation_input_tokens") => Self::CacheCreation,
            ("", "cost") => Self::Cost,
            ("", "cost_in_usd_ticks") => Self::CostTicks,
            ("", "is_byok") => Self::OwnKey,
            ("prompt_tokens_details", "cached_tokens") => Self::PromptCached,
            ("prompt_tokens_details", "cache_write_tokens") => Self::PromptWritten,
            ("completion_tokens_details", "reasoning_tokens") => Self::CompletionReasoning,
            ("input_tokens_details", "cached_tokens") => Self::InputCached,
            ("output_tokens_details", "reasoning_tokens") => Self::OutputReasoning,
            ("cache_creation", "ephemeral_1h_input_tokens") => Self::CreationForAnHour,
            _ => return None,
        })
    }

    /// Which of the objects with figures inside this is.
    pub(in crate::provider) fn details(name: &str) -> Option<usize> {
        DETAILS.iter().position(|known| *known == name)
    }
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::provider) enum Figure {
    #[default]
    Absent,
    Null,
    Bool(bool),
    Number(Number),
    /// A text, a list, an object.
    Other,
}

impl Figure {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(is) => Self::Bool(*is),
            Value::Number(number) => Self::Number(number.clone()),
            _ => Self::Other,
        }
    }

    /// It is there, and not null.
    pub(super) fn is_said(&self) -> bool {
        !matches!(self, Self::Absent | Self::Null)
    }

    pub(super) fn number(&self) -> Option<&Number> {
        if let Self::Number(number) = self {
            Some(number)
        } else {
            None
        }
    }
}

/// All figures of a usage.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::provider) struct Figures([Figure; Place::COUNT]);

impl Figures {
    /// Of any value; one that is no object has none.
    pub(super) fn of(value: &Value) -> Self {
        let mut figures = Self::default();
        for (name, value) in value.as_object().into_iter().flatten() {
            if let Some(place) = Place::of("", name) {
                figures.0[place as usize] = Figure::of(value);
            } else if Place::details(name).is_some() {
                for (inner, value) in value.as_object().into_iter().flatten() {
                    if let Some(place) = Place::of(name, inner) {
                        figures.0[place as usize] = Figure::of(value);
                    }
                }
            }
        }
        figures
    }

    pub(super) fn at(&self, place: Place) -> &Figure {
        &self.0[place as usize]
    }

    /// Notes a figure; `None`: one stands there already.
    pub(in crate::provider) fn put(&mut self, place: Place, figure: Figure) -> Option<()> {
        let at = &mut self.0[place as usize];
        (*at == Figure::Absent).then(|| *at = figure)
    }
}
