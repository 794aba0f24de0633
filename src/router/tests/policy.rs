//! Health, pace, effort: what passes a rung over that would fit.

use super::*;
use crate::chat::Timestamp;

const HOUR: i64 = 3_600_000;

/// $5 a day, this much of it spent by 11:00.
fn pace(spent: &str, held: u32) -> PaceInput {
    let window = PaceWindow {
        scope: Scope::Day,
        began_at: Timestamp(0),
        resets_at: Timestamp(24 * HOUR),
        spent: spent.parse().unwrap(),
        limit: "5".parse().unwrap(),
        by: "11:00".to_owned(),
    };
    PaceInput {
        now: Timestamp(11 * HOUR),
        windows: vec![window],
        held,
    }
}

fn health(failed: u64, requests: u64) -> Health {
    Health { requests, failed }
}

fn plan_of(candidates: &[Candidate<'_>], pace: Option<&PaceInput>) -> Plan {
    let params = Params::default();
    let (selection, downgrade) = (&Selection::Auto, Downgrade::Freely);
    plan(&Query {
        selection,
        candidates,
        params: &params,
        default_cap: 8_192,
        downgrade,
        pace,
        note: None,
    })
    .unwrap()
}

/// The rung taken, the reason, and the level to remember.
fn taken(candidates: &[Candidate<'_>], pace: &PaceInput) -> (String, String, Option<u32>) {
    let plan = plan_of(candidates, Some(pace));
    (
        plan.first.model.model().to_owned(),
        plan.route.reason,
        plan.pace,
    )
}

#[test]
fn the_pace_goes_down_and_up_again() {
    let (big, mid, small) = (
        model("big", 10, 100),
        model("mid", 2, 20),
        model("small", 1, 10),
    );
    let ladder = [candidate(&big), candidate(&mid), candidate(&small)];
    let words = |spent| format!("keeps the day's pace: ${spent} of $5.00 by 11:00");
    let best = || "best of the ladder".to_owned();
    for (spent, held, name, reason, level) in [
        ("0.83", 0, "big", best(), None),
        ("2.40", 0, "mid", words("2.40"), Some(1)),
        ("4.70", 0, "small", words("4.70"), Some(2)),
        ("2.20", 1, "mid", words("2.20"), None),
        ("2.20", 0, "big", best(), None),
        ("1.80", 1, "big", best(), Some(0)),
    ] {
        assert_eq!(
            taken(&ladder, &pace(spent, held)),
            (name.to_owned(), reason, level),
            "{spent} held {held}"
        );
    }
}

#[test]
fn a_step_down_is_a_step_to_something_cheaper() {
    let (big, twin, small) = (
        model("big", 10, 100),
        model("twin", 10, 100),
        model("small", 1, 10),
    );
    let level_one = pace("2.40", 0);
    let ladder = [candidate(&big), candidate(&twin), candidate(&small)];
    assert_eq!(
        taken(&ladder, &level_one).0,
        "small",
        "the twin would save nothing"
    );
    let fates: Vec<_> = plan_of(&ladder, Some(&level_one))
        .route
        .considered
        .into_iter()
        .map(|c| c.skipped)
        .collect();
    let paced = Some("keeps the day's pace: $2.40 of $5.00 by 11:00".to_owned());
    assert_eq!(fates, [paced.clone(), paced, None]);
    let up = [candidate(&small), candidate(&big)];
    assert_eq!(
        taken(&up, &level_one),
        ("small".to_owned(), "best of the ladder".to_owned(), Some(1))
    );
    // Less effort is a step down, whatever the answers so far were like.
    let with = |effort, expected_output| Candidate {
        effort: Some(effort),
        expected_output,
        ..candidate(&big)
    };
    let efforts = [
        with(Effort::High, 500),
        with(Effort::Low, 700),
        candidate(&small),
    ];
    let plan = plan_of(&efforts, Some(&level_one));
    assert_eq!(
        (plan.first.model.model(), plan.first.effort),
        ("big", Some(Effort::Low))
    );
    assert_eq!(plan.route.chosen().unwrap().effort, Some(Effort::Low));
    let fallbacks: Vec<_> = plan
        .fallbacks
        .iter()
        .map(|rung| rung.model.model())
        .collect();
    assert_eq!(
        fallbacks,
        ["small"],
        "the same model with another effort is no way out of a failure"
    );
}

#[test]
fn a_lack_of_money_does_not_count_twice() {
    let (big, mid, small) = (
        model("big", 10, 100),
        model("mid", 2, 20),
        model("small", 1, 10),
    );
    let money = left("0.06");
    let ladder = [&big, &mid, &small].map(|m| limited(&candidate(m), Some(&money)));
    let (name, reason, level) = taken(&ladder, &pace("2.40", 0));
    assert_eq!(
        (name.as_str(), reason.as_str(), level),
        ("mid", "big has too little room to answer", Some(1))
    );
    assert_eq!(taken(&ladder, &pace("4.70", 0)).0, "small");
}

#[test]
fn a_failing_model_is_passed_over_while_another_rung_fits() {
    let (big, small) = (model("big", 10, 100), model("small", 1, 10));
    let sick = |model, failed, requests| Candidate {
        health: health(failed, requests),
        ..candidate(model)
    };
    let calm = pace("0", 0);
    for (failed, requests, name, reason) in [
        (3, 3, "big", "best of the ladder"),
        (1, 4, "big", "best of the ladder"),
        (2, 4, "small", "big failed 2 of its last 4 requests"),
        (20, 20, "small", "big failed 20 of its last 20 requests"),
    ] {
        let ladder = [sick(&big, failed, requests), candidate(&small)];
        let (taken, why, _) = taken(&ladder, &calm);
        assert_eq!(
            (taken.as_str(), why.as_str()),
            (name, reason),
            "{failed} of {requests}"
        );
    }
    let all = [sick(&big, 4, 4), sick(&small, 4, 4)];
    assert_eq!(taken(&all, &calm).0, "big", "all are ill: the order stands");
    let plan = plan_of(&all, Some(&calm));
    assert_eq!(
        plan.route.considered[1].skipped.as_deref(),
        Some("failed 4 of its last 4 requests")
    );
    let dear = limited(&candidate(&small), Some(&left("0")));
    assert_eq!(
        taken(&[sick(&big, 4, 4), dear], &calm).0,
        "big",
        "what does not fit is no way out"
    );
    let fallbacks = plan_of(&[sick(&big, 4, 4), candidate(&small)], Some(&calm)).fallbacks;
    assert_eq!(fallbacks[0].model, big.id, "better an ill one than none");
}

#[test]
fn a_refusal_names_the_cheapest_rung_that_did_not_fit() {
    let (big, small) = (model("big", 10, 100), model("small", 1, 10));
    let money = left("0.001");
    let ladder = [&big, &small].map(|m| limited(&candidate(m), Some(&money)));
    let query = Query {
        selection: &Selection::Auto,
        candidates: &ladder,
        params: &Params::default(),
        default_cap: 8_192,
        downgrade: Downgrade::Freely,
        pace: None,
        note: None,
    };
    let message = |query: &Query<'_>| plan(query).unwrap_err().failure.message;
    assert_eq!(
        message(&query),
        "even p/small could cost $0.0036, $0.001 left today"
    );
    assert_eq!(
        message(&Query {
            downgrade: Downgrade::Never,
            ..query.clone()
        }),
        "p/big could cost $0.036, $0.001 left today"
    );
    assert_eq!(
        message(&Query {
            candidates: &ladder[..1],
            ..query
        }),
        "p/big could cost $0.036, $0.001 left today"
    );
}

#[test]
fn the_cap_follows_the_task_and_frees_money() {
    let big = model("big", 10, 100);
    let of = |task_cap| Candidate {
        task_cap,
        ..candidate(&big)
    };
    for (task_cap, asked, cap) in [
        (None, None, 8_192),
        (Some(1_024), None, 1_024),
        (Some(50_000), None, 8_192),
        (Some(1_024), Some(5_000), 5_000),
        (Some(1_024), Some(10), 10),
    ] {
        let params = Params {
            max_output: asked,
            ..Params::default()
        };
        assert_eq!(
            run(&Selection::Auto, &[of(task_cap)], params, None)
                .unwrap()
                .1,
            cap,
            "{task_cap:?} {asked:?}"
        );
    }
    let plan = plan_of(&[of(Some(1_024))], None);
    assert_eq!(
        plan.first.estimate.worst_usd,
        Some("0.1124".parse().unwrap()),
        "1000 in, 1024 out"
    );
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However much was spent: something is chosen, what is free is kept, and so is a pinned model.
        #[test]
        fn the_pace_never_takes_the_last_or_a_free_rung_away(
            prices in prop::collection::vec(0i128..50, 1..6),
            sick in prop::collection::vec(0u64..5, 6),
            cents in 0i128..1_000,
            held in 0u32..6,
        ) {
            let models: Vec<_> = prices.iter().enumerate().map(|(n, price)| {
                let priced = model(&n.to_string(), *price, *price);
                let free = *price == 0;
                Model { price: priced.price.map(|p| Price { free, ..p }), ..priced }
            }).collect();
            let of = |(m, failed): (_, &u64)| Candidate { health: health(*failed, 4), ..candidate(m) };
            let ladder: Vec<_> = models.iter().zip(&sick).map(of).collect();
            let spent = Usd::from_pico(cents * 10_000_000_000).to_string();
            let first = |pace: &PaceInput| plan_of(&ladder, Some(pace)).first.model.model().parse::<usize>().unwrap();
            let (at, calm) = (first(&pace(&spent, held)), first(&pace("0", 0)));
            prop_assert!(at >= calm, "the pace only goes down");
            prop_assert!(prices[calm] > 0 || at == calm, "what is free is kept");
            prop_assert!(prices[at] <= prices[calm], "down is not dearer");
            let more = Usd::from_pico((cents + 7) * 10_000_000_000).to_string();
            prop_assert!(first(&pace(&more, held)) >= at, "more spent is never a higher rung");
            let pinned = Selection::Pinned(models[0].id.clone());
            let query = Query {
                selection: &pinned,
                candidates: &ladder[..1],
                params: &Params::default(),
                default_cap: 8_192,
                downgrade: Downgrade::Freely,
                pace: Some(&pace(&spent, held)),
                note: None,
            };
            let plan = plan(&query).unwrap();
            prop_assert_eq!((plan.first.model, plan.route.reason.as_str()), (models[0].id.clone(), "your choice"));
            prop_assert_eq!(plan.pace, None);
        }
    }
}
