use futures_util::stream;

use super::*;
use crate::chat::{Finish, Reply};

const HEL: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const ROLE: &str =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n";

/// Pieces, each after its wait in seconds; after a `None` nothing more ever comes.
fn script(steps: Vec<(u64, Option<&'static str>)>) -> BodyStream {
    Box::pin(stream::unfold(steps.into_iter(), |mut steps| async move {
        let (wait, piece) = steps.next()?;
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let Some(piece) = piece else {
            return std::future::pending().await;
        };
        let piece = if piece == "RST" {
            Err("reset".to_owned())
        } else {
            Ok(Bytes::from_static(piece.as_bytes()))
        };
        Some((piece, steps))
    }))
}

fn reply(pieces: BodyStream) -> ReplyStream {
    let (first_token, idle) = (Duration::from_mins(1), Duration::from_secs(30));
    let waits = Waits {
        sent_at: Instant::now(),
        first_token,
        idle,
    };
    ReplyStream::new(pieces, ResponseMeta::default(), Mask::default(), waits)
}

/// The reply, the class of the error, and how many seconds it took.
async fn read(pieces: BodyStream) -> (Reply, Option<ErrorClass>, u64) {
    let (mut stream, mut reply) = (reply(pieces), Reply::default());
    let (started, mut failed) = (Instant::now(), None);
    while let Some(step) = stream.next().await {
        match step {
            Ok(delta) => reply.push(&delta),
            Err(error) => assert!(failed.replace(error.class).is_none(), "one error at most"),
        }
    }
    assert!(stream.next().await.is_none());
    (reply, failed, started.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_slow_but_steady_answer_is_read_to_its_end() {
    let steps = vec![
        (50, Some(HEL)),
        (29, Some(HEL)),
        (29, Some(HEL)),
        (29, Some(STOP)),
        (1, Some(USAGE)),
    ];
    let (reply, failed, seconds) = read(script(steps)).await;
    assert_eq!(
        (reply.text.as_str(), reply.finish, failed),
        ("HelHelHel", Some(Finish::Stop), None)
    );
    assert_eq!(reply.usage.unwrap().output, 2);
    assert_eq!(seconds, 138);
}

#[tokio::test(start_paused = true)]
async fn comments_and_roles_are_no_first_token() {
    for sign in [": ping\n\n", ROLE, "\n", "data: {}\n\n"] {
        let (reply, failed, seconds) =
            read(script((0..100).map(|_| (5, Some(sign))).collect())).await;
        assert_eq!(
            (reply.text.as_str(), failed, seconds),
            ("", Some(ErrorClass::FirstTokenTimeout), 60),
            "{sign:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn comments_do_not_hide_a_stall() {
    for sign in [": ping\n\n", "data: {}\n\n", "d"] {
        let steps = std::iter::once((1, Some(HEL)))
            .chain((0..100).map(|_| (5, Some(sign))))
            .collect();
        let (reply, failed, seconds) = read(script(steps)).await;
        assert_eq!(
            (reply.text.as_str(), failed, seconds),
            ("Hel", Some(ErrorClass::IdleTimeout), 31),
            "{sign:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_comments_meets_the_clock_too() {
    // Always ready, so that a timer that is only polled when nothing is there would never fire.
    let flood = stream::repeat_with(|| Ok(Bytes::from_static(b": x\n"))).then(|piece| async {
        tokio::time::advance(Duration::from_millis(100)).await;
        piece
    });
    let (_, failed, _) = read(Box::pin(flood)).await;
    assert_eq!(failed, Some(ErrorClass::FirstTokenTimeout));
}

#[tokio::test(start_paused = true)]
async fn after_the_finish_usage_is_awaited_for_two_seconds() {
    let (reply, failed, seconds) =
        read(script(vec![(0, Some(HEL)), (0, Some(STOP)), (0, None)])).await;
    assert_eq!(
        (reply.finish, failed, seconds),
        (Some(Finish::Stop), None, 2)
    );
    // Endless usage does not lengthen it.
    let steps = [(0, Some(HEL)), (0, Some(STOP))]
        .into_iter()
        .chain((0..100).map(|_| (1, Some(USAGE))))
        .collect();
    let (reply, failed, seconds) = read(script(steps)).await;
    assert_eq!((reply.usage.is_some(), failed, seconds), (true, None, 2));
    // With [DONE] nothing is awaited at all.
    let steps = vec![
        (0, Some(HEL)),
        (0, Some(STOP)),
        (0, Some("data: [DONE]\n\n")),
        (0, None),
    ];
    assert_eq!(read(script(steps)).await.2, 0);
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_a_cut_unless_the_answer_was_complete() {
    let (reply, failed, _) = read(script(vec![(0, Some(HEL)), (0, Some("RST"))])).await;
    assert_eq!(
        (reply.text.as_str(), failed),
        ("Hel", Some(ErrorClass::Cut))
    );
    let (_, failed, _) = read(script(vec![
        (0, Some(HEL)),
        (0, Some(STOP)),
        (0, Some("RST")),
    ]))
    .await;
    assert_eq!(failed, None);
    let (reply, failed, _) = read(script(vec![(0, Some(HEL))])).await;
    assert_eq!(
        (reply.text.as_str(), failed),
        ("Hel", Some(ErrorClass::Truncated))
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_looks_again_and_again_does_not_put_the_timers_off() {
    for pause in [250, 1500, 7000] {
        let mut stream = reply(script(vec![(0, Some(HEL)), (0, None)]));
        assert_eq!(stream.next().await, Some(Ok(Delta::Text("Hel".into()))));
        let (began, pause) = (Instant::now(), Duration::from_millis(pause));
        let looks = 120_000 / u32::try_from(pause.as_millis()).unwrap();
        let mut class = None;
        for _ in 0..looks {
            if let Ok(step) = tokio::time::timeout(pause, stream.next()).await {
                class = step.and_then(Result::err).map(|error| error.class);
                break;
            }
        }
        assert_eq!(
            (class, began.elapsed().as_secs()),
            (Some(ErrorClass::IdleTimeout), 30),
            "{pause:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_absence_is_forgiven_once() {
    let mut stream = reply(script(vec![(0, Some(HEL)), (0, None)]));
    assert_eq!(stream.next().await, Some(Ok(Delta::Text("Hel".into()))));
    let began = Instant::now();
    tokio::time::advance(Duration::from_secs(100)).await;
    for _ in 0..3 {
        assert!(
            tokio::time::timeout(Duration::from_secs(2), stream.next())
                .await
                .is_err()
        );
    }
    assert_eq!(
        stream.next().await.unwrap().unwrap_err().class,
        ErrorClass::IdleTimeout
    );
    assert_eq!(
        began.elapsed().as_secs(),
        130,
        "a hundred away, and thirty of silence"
    );
}

#[tokio::test(start_paused = true)]
async fn giving_up_waiting_loses_nothing() {
    let mut stream = reply(script(vec![(0, Some(HEL)), (10, Some(STOP))]));
    assert_eq!(stream.next().await, Some(Ok(Delta::Text("Hel".into()))));
    assert!(
        tokio::time::timeout(Duration::from_secs(1), stream.next())
            .await
            .is_err()
    );
    assert_eq!(stream.next().await, Some(Ok(Delta::Finish(Finish::Stop))));
    assert_eq!(stream.next().await, None);
}
