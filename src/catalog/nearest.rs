//! The names a mistyped one may have meant.
//!
//! Owns: the likeness of two names, and its cut-off.
//! Refuses: choosing; a near name is shown, never used.
//! Invariant: best first; nothing that shares hardly more than its length.

use strsim::normalized_damerau_levenshtein;

/// Below this share of letters in place, a name is no help.
const CUT_OFF: f64 = 0.6;
/// What a fragment (`sonnet`) counts for at least, when it lies inside a name.
const FRAGMENT: f64 = 0.65;
const SHORTEST_FRAGMENT: usize = 3;

/// How alike a typed name and a known one are, from 0 to 1; `None` below the cut-off. Case and punctuation do not
/// count, and the known name is tried with and without its provider.
pub(super) fn likeness(typed: &str, provider: &str, model: &str) -> Option<f64> {
    let typed = letters(typed);
    let bare = letters(model);
    let full = letters(provider) + &bare;
    let best = alike(&typed, &bare).max(alike(&typed, &full));
    (best >= CUT_OFF).then_some(best)
}

fn alike(typed: &str, name: &str) -> f64 {
    let edits = normalized_damerau_levenshtein(typed, name);
    if typed.len() >= SHORTEST_FRAGMENT && name.contains(typed) {
        #[expect(clippy::cast_precision_loss, reason = "names are short")]
        let share = typed.len() as f64 / name.len() as f64;
        return edits.max(FRAGMENT + (1.0 - FRAGMENT) * share);
    }
    edits
}

fn letters(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_ignores_case_and_punctuation_and_stops_at_the_cut_off() {
        assert_eq!(likeness("GPT5", "openai", "gpt-5"), Some(1.0));
        assert_eq!(likeness("openai gpt 5", "openai", "gpt-5"), Some(1.0));
        assert!(likeness("gpt-5-mni", "openai", "gpt-5-mini") > Some(0.8));
        assert!(likeness("sonnet", "anthropic", "claude-sonnet-4-6").is_some());
        for noise in ["", "-", "zebra", "x"] {
            assert_eq!(likeness(noise, "openai", "gpt-5"), None, "{noise:?}");
        }
    }
}
