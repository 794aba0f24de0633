use super::*;
use crate::catalog::{Price, PriceOrigin};
use crate::chat::{ModelId, Scope};
use crate::tokens::Encoding;

fn room(context: u64, encoding: Option<Encoding>) -> WindowShortfall {
    let mut model = Model::unknown(ModelId::new("openai", "tiny"));
    model.context = Some(context);
    model.encoding = encoding;
    model.price = Some(Price {
        input: Usd::from_pico(1_000_000),
        output: Usd::from_pico(10_000_000),
        free: false,
        ..Price::free(PriceOrigin::User, "")
    });
    WindowShortfall {
        model,
        effort: None,
        needs: 99_999,
        holds: context,
        expected_output: 600,
        left: None,
    }
}

fn job(lines: usize) -> Job {
    let material = "A line of the material, as long as this one is.\n".repeat(lines);
    Job {
        task: Task {
            instruction: "Sum it up".to_owned(),
            material,
        },
        system: Some("Be brief.".to_owned()),
        params: Params::default(),
        default_cap: 8192,
        per_request: None,
        auto: false,
        downgrade: false,
    }
}

fn laid(room: WindowShortfall, job: &Job) -> Result<SplitLayout, Failure> {
    plan(
        &TooLong {
            shortfalls: vec![room],
            considered: Vec::new(),
        },
        job,
    )
}

#[test]
fn every_request_fits_the_window_whatever_the_answers_are() {
    for (context, encoding, lines) in [
        (2_000, Some(Encoding::O200kBase), 2_000),
        (2_000, None, 2_000),
        (8_000, Some(Encoding::Cl100kBase), 5_000),
        (40_000, Some(Encoding::O200kBase), 9_000),
    ] {
        let (room, job) = (room(context, encoding), job(lines));
        let tokenizer = tokenizer(&room.model);
        let layout = laid(room, &job).unwrap();
        let whole: String = layout
            .parts
            .iter()
            .map(|part| &layout.task.material[part.clone()])
            .collect();
        assert_eq!(whole, job.task.material);
        for (at, part) in layout.parts.iter().enumerate() {
            let asked =
                layout
                    .task
                    .part(at, layout.parts.len(), &layout.task.material[part.clone()]);
            assert!(sent(&job, tokenizer, &asked).tokens + layout.cap <= context);
        }
        // Answers of the dearest kind: a token for each of a few letters, as long as the cap allows.
        let answer = " a".repeat(usize::try_from(layout.cap).unwrap());
        let mut left = layout.parts.len();
        for (level, groups) in layout.joins.iter().enumerate() {
            assert_eq!(
                groups.iter().map(Range::len).sum::<usize>(),
                left,
                "every answer is joined once"
            );
            let cap = if level + 1 == layout.joins.len() {
                layout.last_cap
            } else {
                layout.cap
            };
            for group in groups {
                let answers: Vec<_> = group
                    .clone()
                    .map(|at| (at..at + 1, answer.as_str()))
                    .collect();
                assert!(
                    sent(&job, tokenizer, &layout.task.join(&answers, 9_999)).tokens + cap
                        <= context
                );
            }
            left = groups.len();
        }
        assert_eq!(left, 1);
        let fitted = Fitted::Segmented {
            parts: layout.parts.len() as u64,
            requests: layout.requests(),
        };
        assert_eq!(layout.fitted(), fitted);
        assert!(layout.requests() > layout.parts.len() as u64);
    }
}

#[test]
fn answers_are_joined_by_levels_when_they_do_not_fit_together() {
    let sizes = |parts, fan| -> Vec<Vec<usize>> {
        levels(parts, fan)
            .iter()
            .map(|groups| groups.iter().map(Range::len).collect())
            .collect()
    };
    assert_eq!(sizes(5, 14), [vec![5]]);
    assert_eq!(sizes(5, 4), [vec![2, 3], vec![2]]);
    assert_eq!(sizes(3, 2), [vec![1, 2], vec![2]]);
    assert_eq!(sizes(9, 2).len(), 4);
}

#[test]
fn the_price_is_over_all_requests_and_answers_shrink_to_what_is_left() {
    let job = job(2_000);
    let free = laid(room(8_000, Some(Encoding::O200kBase)), &job).unwrap();
    let worst = free.estimate.worst_usd.unwrap();
    assert!(free.estimate.expected_usd.unwrap() < worst && free.dearest.unwrap() < worst);
    let with = |usd: Usd, per_request: Option<Usd>| {
        let left = Some(Left {
            scope: Scope::Day,
            usd,
        });
        laid(
            WindowShortfall {
                left,
                ..room(8_000, Some(Encoding::O200kBase))
            },
            &Job {
                per_request,
                ..self::job(2_000)
            },
        )
    };
    assert_eq!(with(worst, None).unwrap().cap, free.cap);
    let shrunk = with(worst - Usd::from_pico(1), None).unwrap();
    assert!(shrunk.cap < free.cap && shrunk.estimate.worst_usd.unwrap() < worst);
    for refused in [
        with(Usd::from_pico(1_000), None),
        with(worst, Some(Usd::from_pico(1_000))),
    ] {
        let failure = refused.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Budget);
        assert!(
            failure.message.contains("requests") && failure.message.contains("nothing was sent"),
            "{failure}"
        );
    }
}

#[test]
fn a_question_that_splitting_does_not_help_is_refused() {
    let known = || room(2_000, Some(Encoding::O200kBase));
    let short = laid(known(), &job(3)).unwrap_err();
    assert!(
        short.hint.unwrap().contains("truncate"),
        "the chat before it is what is too long"
    );
    let wordy = Job {
        system: Some("Be brief. ".repeat(900)),
        ..job(2_000)
    };
    assert!(
        laid(known(), &wordy)
            .unwrap_err()
            .message
            .contains("no room")
    );
    let greedy = Job {
        params: Params {
            max_output: Some(1_500),
            ..Params::default()
        },
        ..job(2_000)
    };
    assert!(
        laid(known(), &greedy)
            .unwrap_err()
            .hint
            .unwrap()
            .contains("--max-output")
    );
    // A long instruction is cut with the rest.
    let mut long = job(2_000);
    long.task.instruction = "Sum it up. ".repeat(900);
    assert_eq!(laid(known(), &long).unwrap().task.instruction, "");
}
