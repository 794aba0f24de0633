//! Checks the ladder against the catalogue.

use crate::catalog::Catalog;
use crate::chat::{Effort, Failure, FailureKind};
use crate::config::LadderRung;

/// Refuses a rung with an effort that its model does not take, at the start rather than at the first question.
pub(crate) fn check_ladder(ladder: &[LadderRung], catalog: &Catalog) -> Result<(), Failure> {
    for rung in ladder {
        let Some(effort) = rung.effort else { continue };
        let model = catalog
            .get(&rung.model)
            .cloned()
            .unwrap_or_else(|| catalog.unlisted(&rung.model));
        let known: Vec<&str> = model
            .dialect
            .efforts
            .iter()
            .copied()
            .map(Effort::as_str)
            .collect();
        if known.contains(&effort.as_str()) {
            continue;
        }
        let cause = format!("[router] ladder: {} takes no effort `{effort}`", rung.model);
        let mend = if known.is_empty() {
            format!(
                "write \"{}\", or give the model its efforts under [[models]]",
                rung.model
            )
        } else {
            format!("it takes {}", known.join(", "))
        };
        return Err(Failure::new(FailureKind::Usage, cause).hint(mend));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effort_is_one_that_the_model_takes() {
        let catalog = Catalog::builtin();
        for (rung, refused) in [
            ("openai/gpt-5", None),
            ("openai/gpt-5 high", None),
            ("openai/gpt-5 minimal", None),
            ("openai/gpt-5 xhigh", Some("minimal, low, medium, high")),
            ("openai/gpt-4o low", Some("\"openai/gpt-4o\"")),
            ("mine/unlisted low", Some("[[models]]")),
        ] {
            let rung: LadderRung = rung.parse().unwrap();
            let found = check_ladder(std::slice::from_ref(&rung), &catalog);
            match refused {
                None => assert_eq!(found, Ok(()), "{rung}"),
                Some(mend) => {
                    let failure = found.unwrap_err();
                    assert!(
                        failure.hint.as_ref().unwrap().contains(mend),
                        "{rung}: {failure:?}"
                    );
                }
            }
        }
    }
}
