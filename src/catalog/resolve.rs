//! What to say when a name that the user typed does not lead to one model.
//!
//! Owns: [`ResolveError`].
//! Refuses: looking models up; `lookup` does.
//! Invariant: the error names what would work.

use crate::chat::ModelId;

/// The name leads to no model, or to more than one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error(
        "several providers have `{name}`; name it in full: {}",
        list(full_names)
    )]
    Ambiguous {
        name: String,
        full_names: Vec<ModelId>,
    },
    #[error(
        "no key is set for a provider of `{name}`; set one, or name the model in full: {}",
        list(full_names)
    )]
    NoKey {
        name: String,
        full_names: Vec<ModelId>,
    },
    #[error("there is no model `{name}` in the catalogue; {}", meant(nearest))]
    Unknown { name: String, nearest: Vec<String> },
}

fn list(names: &[ModelId]) -> String {
    names
        .iter()
        .map(ModelId::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn meant(nearest: &[String]) -> String {
    if nearest.is_empty() {
        return "`chat-agent models` lists those it knows".into();
    }
    format!("did you mean {}?", nearest.join(", "))
}

#[cfg(test)]
mod tests {
    use crate::catalog::Catalog;

    fn resolve(text: &str, usable: &[&str]) -> Result<String, String> {
        let found = Catalog::builtin().resolve(text, |provider| usable.contains(&provider));
        found
            .map(|id| id.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_leads_to_one_model() {
        for (text, usable, model) in [
            ("openai/gpt-5", &[][..], "openai/gpt-5"),
            ("gpt-5", &["openai"], "openai/gpt-5"),
            (
                " gpt-5-mini ",
                &["openai", "anthropic"],
                "openai/gpt-5-mini",
            ),
            ("guide", &["offline"], "offline/guide"),
            // One model at two providers: the one with a key.
            ("gpt-oss-120b", &["cerebras"], "cerebras/gpt-oss-120b"),
            ("gpt-oss-120b", &["groq"], "groq/openai/gpt-oss-120b"),
            // A model part that itself holds a slash.
            ("openai/gpt-oss-120b", &["groq"], "groq/openai/gpt-oss-120b"),
            (
                "meta-llama/llama-4-scout-17b-16e-instruct",
                &["groq"],
                "groq/meta-llama/llama-4-scout-17b-16e-instruct",
            ),
        ] {
            assert_eq!(
                resolve(text, usable).as_deref(),
                Ok(model),
                "{text} with {usable:?}"
            );
        }
    }

    #[test]
    fn an_unknown_name_suggests_names_that_work() {
        for (text, usable, sentence) in [
            (
                "gpt-oss-120b",
                &["cerebras", "groq"][..],
                "several providers have `gpt-oss-120b`; name it in full: \
                 groq/openai/gpt-oss-120b, cerebras/gpt-oss-120b",
            ),
            (
                "gpt-5",
                &["anthropic"],
                "no key is set for a provider of `gpt-5`; set one, or name the model in full: openai/gpt-5",
            ),
            (
                "openai/gpt-oss-120b",
                &["openai", "groq"],
                "there is no model `openai/gpt-oss-120b` in the catalogue; did you mean groq/openai/gpt-oss-120b, \
                 groq/openai/gpt-oss-20b, cerebras/gpt-oss-120b?",
            ),
            (
                "qqqqqq",
                &["openai"],
                "there is no model `qqqqqq` in the catalogue; `chat-agent models` lists those it knows",
            ),
        ] {
            assert_eq!(
                resolve(text, usable).as_ref().map_err(String::as_str),
                Err(sentence),
                "{text}"
            );
        }
    }
}
