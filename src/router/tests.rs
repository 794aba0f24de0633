mod policy;

use super::*;
use crate::catalog::{Lifecycle, Model, Price, PriceOrigin};
use crate::chat::{Effort, Failure, FailureKind, ModelId, Params, Scope, Selection, Usd};
use crate::protocol::Left;
use crate::store::Health;
use crate::tokens::TokenCount;

/// A priced model: dollars per million tokens in and out.
fn model(name: &str, input: i128, output: i128) -> Model {
    let dollars = |n: i128| Usd::from_pico(n * 1_000_000);
    Model {
        context: Some(100_000),
        max_output: Some(20_000),
        price: Some(Price::flat(
            dollars(input),
            dollars(output),
            PriceOrigin::Catalogue,
        )),
        ..Model::unknown(ModelId::new("p", name))
    }
}

fn candidate(model: &Model) -> Candidate<'_> {
    let input = TokenCount {
        tokens: 1_000,
        upper: 1_000,
        exact: true,
    };
    Candidate {
        model,
        effort: None,
        input,
        band_permille: None,
        expected_output: 600,
        task_cap: None,
        left: None,
        unusable: None,
        health: Health::default(),
    }
}

/// The candidate with this much left on it.
fn limited<'a>(candidate: &Candidate<'a>, left: Option<&Left>) -> Candidate<'a> {
    Candidate {
        left: left.cloned(),
        ..candidate.clone()
    }
}

fn left(usd: &str) -> Left {
    Left {
        scope: Scope::Day,
        usd: usd.parse().unwrap(),
    }
}

/// Plans over a ladder; gives the model taken, its cap, and the reason, or the failure's sentence.
fn run(
    selection: &Selection,
    candidates: &[Candidate<'_>],
    params: Params,
    left: Option<&Left>,
) -> Result<(String, u64, String), Failure> {
    let candidates: Vec<_> = candidates.iter().map(|c| limited(c, left)).collect();
    let query = Query {
        selection,
        candidates: &candidates,
        params: &params,
        default_cap: 8_192,
        downgrade: Downgrade::Freely,
        pace: None,
        note: None,
    };
    plan(&query)
        .map(|p| {
            (
                p.first.model.model().to_owned(),
                p.first.estimate.output_cap,
                p.route.reason,
            )
        })
        .map_err(|refusal| refusal.failure)
}

#[test]
fn the_ladder_goes_down_with_the_money() {
    let (big, small) = (model("big", 10, 100), model("small", 1, 10));
    let ladder = [candidate(&big), candidate(&small)];
    for (money, expected) in [
        (None, ("big", 8_192, "best of the ladder")),
        (Some("5"), ("big", 8_192, "$5.00 left today")),
        // 1,000 in costs $0.01; what is left buys fewer tokens than an answer usually has.
        (
            Some("0.10"),
            ("small", 8_192, "big has too little room to answer"),
        ),
        (
            Some("0.03"),
            ("small", 2_900, "big could cost $0.036, $0.03 left today"),
        ),
    ] {
        let money = money.map(left);
        let (name, cap, reason) =
            run(&Selection::Auto, &ladder, Params::default(), money.as_ref()).unwrap();
        assert_eq!((name.as_str(), cap, reason.as_str()), expected, "{money:?}");
    }
}

#[test]
fn a_refusal_names_the_cause_and_what_to_do() {
    let known = model("m", 10, 100);
    let unpriced = Model {
        price: None,
        ..known.clone()
    };
    let retired = Model {
        status: Lifecycle::Retired {
            since: "2025-10-27".into(),
            instead: Some(ModelId::new("p", "n")),
        },
        ..known.clone()
    };
    let asked = |max_output| Params {
        max_output: Some(max_output),
        ..Params::default()
    };
    let money = left("0.02");
    let none = Params::default();
    for (model, params, left, kind, sentence) in [
        (
            &known,
            none,
            Some(left("0")),
            FailureKind::Budget,
            "p/m could cost $0.036, $0.00 left today",
        ),
        (
            &known,
            asked(500),
            Some(money.clone()),
            FailureKind::Budget,
            "p/m could cost $0.06, $0.02 left today",
        ),
        (
            &known,
            asked(30_000),
            None,
            FailureKind::Usage,
            "p/m writes at most 20000 tokens, 30000 were asked for",
        ),
        (
            &unpriced,
            none,
            Some(money),
            FailureKind::Budget,
            "p/m has no known price, so no limit could hold",
        ),
        (
            &retired,
            none,
            None,
            FailureKind::Usage,
            "p/m was retired on 2025-10-27",
        ),
    ] {
        let pinned = Selection::Pinned(model.id.clone());
        let failure = run(&pinned, &[candidate(model)], params, left.as_ref()).unwrap_err();
        assert_eq!((failure.kind, failure.message.as_str()), (kind, sentence));
        assert!(failure.hint.is_some(), "{sentence}");
    }
}

#[test]
fn a_pin_is_never_changed_and_shrinks_only_a_cap_that_we_chose() {
    let (big, small) = (model("big", 10, 100), model("small", 1, 10));
    let pinned = Selection::Pinned(big.id.clone());
    let money = left("0.04");
    let (name, cap, reason) =
        run(&pinned, &[candidate(&big)], Params::default(), Some(&money)).unwrap();
    assert_eq!(
        (name.as_str(), cap, reason.as_str()),
        ("big", 300, "your choice")
    );
    let plan = plan(&Query {
        selection: &pinned,
        candidates: &[candidate(&big), candidate(&small)],
        params: &Params::default(),
        default_cap: 8_192,
        downgrade: Downgrade::Freely,
        pace: None,
        note: None,
    });
    assert_eq!(plan.unwrap().fallbacks, []);
}

#[test]
fn what_does_not_fit_the_window_is_passed_over() {
    let small_window = Model {
        context: Some(1_200),
        ..model("narrow", 1, 1)
    };
    let wide = model("wide", 1, 1);
    let ladder = [candidate(&small_window), candidate(&wide)];
    let (name, ..) = run(&Selection::Auto, &ladder, Params::default(), None).unwrap();
    assert_eq!(name, "wide");
    let pinned = Selection::Pinned(small_window.id.clone());
    let failure = run(&pinned, &ladder[..1], Params::default(), None).unwrap_err();
    assert_eq!(
        failure.message,
        "p/narrow holds 1200 tokens, this needs 1256"
    );
}

#[test]
fn an_unpriced_model_needs_to_be_named_and_no_limit_set() {
    let unpriced = Model {
        price: None,
        ..model("m", 1, 1)
    };
    let pinned = Selection::Pinned(unpriced.id.clone());
    assert!(run(&pinned, &[candidate(&unpriced)], Params::default(), None).is_ok());
    assert!(
        run(
            &Selection::Auto,
            &[candidate(&unpriced)],
            Params::default(),
            None
        )
        .is_err()
    );
}

fn never_lower<'a>(candidates: &'a [Candidate<'a>], params: &'a Params) -> Query<'a> {
    let (selection, downgrade) = (&Selection::Auto, Downgrade::Never);
    Query {
        selection,
        candidates,
        params,
        default_cap: 8_192,
        downgrade,
        pace: None,
        note: None,
    }
}

#[test]
fn on_limit_refuse_takes_no_lower_rung_for_money() {
    let (big, small) = (model("big", 10, 100), model("small", 1, 10));
    let money = left("0.03");
    let ladder = [candidate(&big), candidate(&small)].map(|c| limited(&c, Some(&money)));
    let params = Params::default();
    let query = never_lower(&ladder, &params);
    assert_eq!(plan(&query).unwrap_err().failure.kind, FailureKind::Budget);
    assert_eq!(
        plan(&Query {
            downgrade: Downgrade::Freely,
            ..query
        })
        .unwrap()
        .first
        .model,
        small.id
    );
}

#[test]
fn on_limit_refuse_shrinks_the_cap_instead_of_taking_a_lower_rung() {
    let (big, small) = (model("big", 10, 100), model("small", 1, 10));
    // What is left buys fewer tokens of the better one than an answer usually has.
    let money = left("0.10");
    let ladder = [candidate(&big), candidate(&small)].map(|c| limited(&c, Some(&money)));
    let params = Params::default();
    let query = never_lower(&ladder, &params);
    let first = |query: &Query<'_>| {
        let first = plan(query).unwrap().first;
        (first.model, first.estimate.output_cap)
    };
    assert_eq!(first(&query), (big.id.clone(), 900));
    for downgrade in [Downgrade::Freely, Downgrade::ForRoom] {
        assert_eq!(
            first(&Query {
                downgrade,
                ..query.clone()
            }),
            (small.id.clone(), 8_192)
        );
    }
}

#[test]
fn a_note_stands_before_the_reason_whichever_rung_is_taken() {
    let (big, small) = (model("big", 10, 100), model("small", 1, 10));
    for (money, reason) in [
        (None, "no rung has a key"),
        (Some("5"), "no rung has a key"),
        (
            Some("0.03"),
            "no rung has a key; big could cost $0.036, $0.03 left today",
        ),
    ] {
        let money = money.map(left);
        let candidates = [candidate(&big), candidate(&small)].map(|c| limited(&c, money.as_ref()));
        let query = Query {
            selection: &Selection::Auto,
            candidates: &candidates,
            params: &Params::default(),
            default_cap: 8_192,
            downgrade: Downgrade::Freely,
            pace: None,
            note: Some("no rung has a key"),
        };
        assert_eq!(plan(&query).unwrap().route.reason, reason, "{money:?}");
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is planned fits what was left, to the pico-dollar.
        #[test]
        fn every_rung_fits_the_money(
            prices in prop::collection::vec((1i128..200, 1i128..800), 1..4),
            tokens in 0u64..90_000,
            pico in 0i128..2_000_000_000_000,
            asked in prop::option::of(1u64..20_000),
        ) {
            let models: Vec<_> = prices.iter().enumerate().map(|(n, (i, o))| model(&n.to_string(), *i, *o)).collect();
            let input = TokenCount { tokens, upper: tokens + tokens / 10, exact: false };
            let money = Left { scope: Scope::Day, usd: Usd::from_pico(pico) };
            let limited = |m| Candidate { input, left: Some(money.clone()), ..candidate(m) };
            let ladder: Vec<_> = models.iter().map(limited).collect();
            let params = Params { max_output: asked, ..Params::default() };
            let query = Query {
                selection: &Selection::Auto,
                candidates: &ladder,
                params: &params,
                default_cap: 8_192,
                downgrade: Downgrade::Freely,
                pace: None,
        note: None,
            };
            if let Ok(plan) = plan(&query) {
                for rung in std::iter::once(&plan.first).chain(&plan.fallbacks) {
                    prop_assert!(rung.estimate.worst_usd.unwrap() <= money.usd);
                    prop_assert!(asked.is_none_or(|asked| rung.estimate.output_cap == asked));
                    prop_assert!(asked.is_some() || rung.estimate.output_cap >= MINIMUM_OUTPUT);
                }
            }
        }
    }
}
