//! The words of a text, as the search compares them.
//!
//! Owns: splitting a text into words, the stop list, light English stemming, and the distance of one typing error.
//! Refuses: dictionaries and other languages.
//! Invariant: a stem is lower-case and never empty; the same text always gives the same words.

/// A word as it was written (in lower case) and as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StemmedWord {
    pub(crate) raw: String,
    pub(crate) stem: String,
}

/// Words that say nothing about the topic of a question.
const STOP: &str = "a about also am an and any anyone anything are as at be because been but by can cannot cant could \
    describe did do does doesnt doing done dont each either else explain for from further give \
    had happen has have having here how hows i id if ill im in into is isnt it its ive just kindly know let \
    lets like made make makes making me mean means might more must my need needs of on or our please \
    possible see shall should so some somehow someone something tell than that the their them then there \
    these they thing things this those to us use used uses using want wants was way we were what whats when \
    where wheres which while who whom whose why will with wont would you your youre";

/// The words of a text, stop words left out. `Alt-P`, `n/a` and `per_day` give themselves and their parts.
pub(super) fn words(text: &str) -> Vec<StemmedWord> {
    let text = text
        .to_lowercase()
        .replace(['\'', '’'], "")
        .replace('~', " tilde ")
        .replace('+', "-");
    let mut found = Vec::new();
    for run in text.split(|c: char| !c.is_alphanumeric() && !is_joint(c)) {
        let run = run.trim_matches(is_joint);
        let parts = run.split(is_joint).filter(|part| !part.is_empty());
        if run.contains(is_joint) {
            found.push(StemmedWord {
                raw: run.to_owned(),
                stem: run.to_owned(),
            });
        }
        found.extend(parts.filter(|part| !is_stop(part)).map(|part| StemmedWord {
            raw: part.to_owned(),
            stem: stem(part),
        }));
    }
    found
}

fn is_joint(c: char) -> bool {
    matches!(c, '-' | '_' | '/' | '.')
}

fn is_stop(word: &str) -> bool {
    STOP.split_ascii_whitespace().any(|stop| stop == word)
}

/// Cuts the endings of plurals and verb forms; `setting`, `settings` and `set` become one.
fn stem(word: &str) -> String {
    if !word.bytes().all(|b| b.is_ascii_lowercase()) || word.len() < 4 {
        return word.to_owned();
    }
    let mut stem = word.to_owned();
    if stem.len() > 4 && (stem.ends_with("ies") || stem.ends_with("ied")) {
        stem.truncate(stem.len() - 3);
        stem.push('y');
        return stem;
    }
    if stem.ends_with('s') && !["ss", "us", "is"].iter().any(|end| stem.ends_with(end)) {
        stem.pop();
    }
    for end in ["ing", "ed"] {
        if stem.ends_with(end) && stem.len() >= end.len() + 3 {
            stem.truncate(stem.len() - end.len());
            break;
        }
    }
    if stem.len() >= 4 && stem.ends_with('e') {
        stem.pop();
    }
    let bytes = stem.as_bytes();
    if let [.., before, last] = bytes
        && before == last
        && b"bdglmnprt".contains(last)
        && bytes.len() > 3
    {
        stem.pop();
    }
    stem
}

/// Whether `a` and `b` differ by one typo: a letter replaced, left out, added or swapped with its neighbour. Equal words
/// do not.
pub(super) fn one_typo_apart(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (short, long) = if a.len() <= b.len() {
        (&a, &b)
    } else {
        (&b, &a)
    };
    let head = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    let (short, long) = (&short[head..], &long[head..]);
    match long.len() - short.len() {
        0 => {
            !long.is_empty()
                && (short[1..] == long[1..]
                    || (short.len() > 1
                        && short[0] == long[1]
                        && short[1] == long[0]
                        && short[2..] == long[2..]))
        }
        1 => *short == long[1..],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stems(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.stem).collect()
    }

    #[test]
    fn the_forms_of_a_word_have_one_stem() {
        for (one, other) in [
            ("setting", "set"),
            ("settings", "SET"),
            ("cached", "cache"),
            ("caching", "caches"),
            ("copies", "copy"),
            ("copied", "copying"),
            ("retries", "retry"),
            ("billed", "bill"),
            ("prices", "pricing"),
            ("cancelled", "cancel"),
            ("stored?", "store!"),
            ("quits", "quitting"),
            ("codes", "code"),
        ] {
            assert_eq!(stems(one), stems(other), "{one} {other}");
        }
        for (one, other) in [
            ("this", "thi"),
            ("status", "statu"),
            ("key", "keep"),
            ("red", "r"),
            ("day", "days-off"),
        ] {
            assert_ne!(stem(one), stem(other), "{one} {other}");
        }
    }

    #[test]
    fn compound_names_are_kept_and_split_into_parts() {
        assert_eq!(stems("Alt-P"), ["alt-p", "alt", "p"]);
        assert_eq!(stems("what is `--no-cache`?"), ["no-cache", "no", "cach"]);
        assert_eq!(stems("n/a"), ["n/a", "n"]);
        assert_eq!(stems("Ctrl+C."), ["ctrl-c", "ctrl", "c"]);
        assert_eq!(stems("the ~ sign"), ["tild", "sign"]);
        assert_eq!(stems("What's it, and how do I?"), Vec::<String>::new());
        assert_eq!(stems("… -- / ."), Vec::<String>::new());
    }

    #[test]
    fn one_typo_is_found() {
        for (typed, meant) in [
            ("bugdet", "budget"),
            ("buget", "budget"),
            ("budgget", "budget"),
            ("fudget", "budget"),
            ("ollamma", "ollama"),
        ] {
            assert!(
                one_typo_apart(typed, meant) && one_typo_apart(meant, typed),
                "{typed}"
            );
        }
        for (typed, meant) in [
            ("budget", "budget"),
            ("bguetd", "budget"),
            ("bud", "budget"),
            ("", ""),
            ("ab", "cd"),
        ] {
            assert!(!one_typo_apart(typed, meant), "{typed}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_words_without_harm(text in any::<String>()) {
            for word in words(&text) {
                prop_assert!(!word.stem.is_empty() && !word.raw.is_empty());
            }
        }

        #[test]
        fn leaving_out_a_letter_is_one_typo(word in "[a-zäß]{2,12}", at in any::<prop::sample::Index>()) {
            let mut letters: Vec<char> = word.chars().collect();
            letters.remove(at.index(letters.len()));
            prop_assert!(one_typo_apart(&word, &letters.iter().collect::<String>()));
        }
    }
}
