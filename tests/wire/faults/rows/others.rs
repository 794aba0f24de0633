//! Another model, another provider: when `auto` goes there, and when it does not.

use crate::faults::play::Seen;
use crate::faults::row::{Books, HALF, Row, WHOLE, answer, cut, refused, unavailable, whole};
use crate::support::server::{Answer, Request, Script, Step};

const MODELS: [&str; 2] = ["openai/gpt-5", "openai/gpt-5-mini"];
const PROVIDERS: [&str; 2] = ["openai/gpt-5", "other/backup"];
/// Short enough to be seen, long enough for the second answer on a busy machine.
const PATIENCE: &str = "[limits]\nfirst_token_timeout = \"6s\"\nidle_timeout = \"6s\"\n";

/// Trouble for the better model, an answer from any other.
fn ill(trouble: Answer) -> Script {
    Script::always(whole())
        .choose(move |request: &Request| (request.model() == "gpt-5").then(|| trouble.clone()))
}

fn error(status: u16, code: &str) -> Answer {
    Answer::error(status, code, code).header("retry-after-ms", "1")
}

/// The report names the model that answered, and that another one failed.
fn says(model: &'static str) -> impl Fn(&Seen) -> Result<(), String> + Send {
    move |seen| {
        let (named, reason) = (
            &seen.report["model"],
            seen.report["route"]["reason"].as_str().unwrap_or_default(),
        );
        let told = named == model && reason.contains("gpt-5");
        if told {
            Ok(())
        } else {
            Err(format!("it names {named} because {reason:?}"))
        }
    }
}

pub fn rows() -> Vec<Row> {
    [models(), providers(), stays()]
        .into_iter()
        .flatten()
        .collect()
}

/// Two models of one provider.
fn models() -> Vec<Row> {
    let to_mini = |fault, trouble| {
        Row::of(fault, ill(trouble))
            .ladder(&MODELS)
            .config(PATIENCE)
            .also(says("openai/gpt-5-mini"))
    };
    let full = Books::FullAndBill(1, "gpt-5");
    vec![
        to_mini("auto: 500", error(500, "server_error")).sees(["gpt-5", "gpt-5", "gpt-5-mini"]),
        to_mini("auto: 404 model not found", error(404, "model_not_found"))
            .sees(["gpt-5", "gpt-5-mini"]),
        to_mini(
            "auto: 429, retry-after: 86400",
            Answer::error(429, "rate_limit_exceeded", "slow").header("retry-after", "86400"),
        )
        .sees(["gpt-5", "gpt-5-mini"]),
        to_mini("auto: no response at all (S06)", Answer::raw([Step::Hang]))
            .sees(["gpt-5", "gpt-5-mini"])
            .books(full),
        to_mini(
            "auto: headers, and no token (S07)",
            Answer::events([Step::Hang]),
        )
        .sees(["gpt-5", "gpt-5-mini"])
        .books(full),
        Row::of(
            "auto: every model answers 500",
            Script::always(error(500, "server_error")),
        )
        .ladder(&MODELS)
        .sees(["gpt-5", "gpt-5", "gpt-5-mini", "gpt-5-mini"])
        .gets(unavailable("500"))
        .books_nothing(),
        Row::of(
            "auto: the first answers 500, the second is cut",
            ill(error(500, "server_error"))
                .otherwise(Answer::text(WHOLE).usage(20, 4).close_after(2)),
        )
        .ladder(&MODELS)
        .sees(["gpt-5", "gpt-5", "gpt-5-mini"])
        .gets(cut(HALF, ""))
        .books_all(),
        // As soon as half of its last requests have failed, and these are enough to tell, it is passed over.
        Row::of(
            "auto: the first is dead for 15 questions (S15)",
            ill(error(500, "server_error")),
        )
        .ladder(&MODELS)
        .times(15)
        .sees(
            [
                &["gpt-5", "gpt-5", "gpt-5-mini"].repeat(2)[..],
                &["gpt-5-mini"; 13],
            ]
            .concat(),
        ),
    ]
}

/// Two providers.
fn providers() -> Vec<Row> {
    let beside = |fault, trouble: Option<Answer>| {
        Row::at(fault, trouble.map(Script::always))
            .beside(Script::always(whole()))
            .ladder(&PROVIDERS)
            .config(PATIENCE)
            .also(says("other/backup"))
    };
    vec![
        beside("auto, two providers: connection refused", None)
            .sees(["backup"])
            .unseen(2),
        beside("auto, two providers: 503", Some(error(503, "overloaded")))
            .sees(["gpt-5", "gpt-5", "backup"]),
        beside(
            "auto, two providers: 401 invalid key",
            Some(error(401, "invalid_api_key")),
        )
        .sees(["gpt-5", "backup"]),
        beside(
            "auto, two providers: 402 no credit",
            Some(error(402, "payment_required")),
        )
        .sees(["gpt-5", "backup"]),
        beside(
            "auto, two providers: 403 no access",
            Some(error(403, "permission_denied")),
        )
        .sees(["gpt-5", "backup"]),
        beside(
            "auto, two providers: 429 quota",
            Some(error(429, "insufficient_quota")),
        )
        .sees(["gpt-5", "backup"]),
        beside(
            "auto, two providers: no response at all",
            Some(Answer::raw([Step::Hang])),
        )
        .sees(["gpt-5", "backup"])
        .books(Books::FullAndBill(1, "gpt-5")),
        beside(
            "auto, two providers: reset before the headers",
            Some(Answer::raw([Step::Reset])),
        )
        .sees(["gpt-5", "gpt-5", "backup"])
        .books(Books::FullAndBill(2, "gpt-5")),
    ]
}

/// Faults after which no other model is asked.
fn stays() -> Vec<Row> {
    let at_first = |fault, trouble| {
        Row::of(fault, ill(trouble))
            .ladder(&MODELS)
            .config(PATIENCE)
            .sees(["gpt-5"])
    };
    let pinned = |fault, trouble| at_first(fault, trouble).asks(["-m", "gpt-5"]);
    vec![
        at_first(
            "auto: 400 content filter is not routed around (S13)",
            error(400, "content_filter"),
        )
        .gets(refused("reword"))
        .books_nothing(),
        at_first(
            "auto: 403 moderation is not routed around",
            error(403, "moderation_blocked"),
        )
        .gets(refused("reword"))
        .books_nothing(),
        at_first("auto: 400 invalid request", error(400, "invalid_value"))
            .gets(refused("400"))
            .books_nothing(),
        at_first("auto: 307", Answer::redirect(307, "/v2/chat/completions"))
            .gets(refused("base_urls"))
            .books_nothing(),
        at_first(
            "auto: cut after the first token",
            Answer::text(WHOLE).usage(20, 4).close_after(2),
        )
        .gets(cut(HALF, ""))
        .books(Books::Full(1, "gpt-5")),
        at_first(
            "auto: silent after the first token",
            Answer::text(WHOLE).usage(20, 4).hang_after(2),
        )
        .gets(cut(HALF, "idle_timeout"))
        .books(Books::Full(1, "gpt-5")),
        pinned("pinned: 500 for ever", error(500, "server_error"))
            .sees(["gpt-5"; 4])
            .gets(unavailable("500"))
            .books_nothing(),
        pinned("pinned: no response at all", Answer::raw([Step::Hang]))
            .gets(unavailable("first_token_timeout"))
            .books(Books::Full(1, "gpt-5")),
        pinned("pinned: 404 model not found", error(404, "model_not_found"))
            .gets(refused("404"))
            .books_nothing(),
        pinned(
            "pinned to the second: answered, whatever the first does",
            error(500, "server_error"),
        )
        .asks(["-m", "gpt-5-mini"])
        .sees(["gpt-5-mini"])
        .gets(answer(WHOLE)),
    ]
}
