//! The store from the outside: a folder, what is put into it, what comes back.

mod accuracy;
mod corrections;
mod figures;
mod ledger;
mod opening;
mod search;
mod sessions;
mod stats;
mod thread;
mod transcript;

use super::*;
use crate::chat::id::{AttemptId, ExchangeId};
use crate::chat::{
    Cost, CostKind, Effort, Finish, MessageId, ModelId, Role, Selection, SessionId, Timestamp,
    Usage, UsageSource, Usd,
};
use crate::protocol::{AnswerFacts, CacheHit, Estimate, Latency, Route, RouteMode};

/// 2026-11-22T12:00:00Z.
pub(crate) const NOON: Timestamp = Timestamp(1_795_348_800_000);

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn session(name: &str) -> SessionId {
    SessionId::from_text(name)
}

pub(crate) fn message(name: &str) -> MessageId {
    MessageId::from_text(name)
}

pub(crate) fn model() -> ModelId {
    ModelId::new("openai", "gpt-5-mini")
}

pub(crate) fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// A question in the chat `chat`: prompt `<name>-q`, answer `<name>-a`, exchange `<name>`.
pub(crate) fn begin(chat: &str, name: &str, parent: Option<&str>, text: &str) -> Begin {
    Begin {
        session: session(chat),
        setting: ChatSetting::default(),
        exchange: ExchangeId::from_text(name),
        model: model(),
        mode: RouteMode::Auto,
        parent: parent.map(message),
        prompt: Some(NewPrompt {
            id: message(&format!("{name}-q")),
            text: text.to_owned(),
        }),
        answer: message(&format!("{name}-a")),
        messages: true,
        counted_input: 12,
        estimate: estimate(),
        kind: None,
        effort: None,
        pace: None,
        at: NOON,
    }
}

/// A reservation of this attempt for the exchange of the same name.
pub(crate) fn reservation(
    chat: &str,
    exchange: &str,
    attempt: &str,
    amount: Option<Usd>,
    at: Timestamp,
) -> Reservation {
    Reservation {
        attempt: AttemptId::from_text(attempt),
        exchange: ExchangeId::from_text(exchange),
        session: session(chat),
        run: "run".to_owned(),
        model: model(),
        provider: "openai".to_owned(),
        key_last4: "f3a1".to_owned(),
        amount,
        price: serde_json::json!({"input": "0.00000025", "output": "0.000002", "as_of": "2026-11-22"}),
        raise: None,
        at,
        uptime: None,
    }
}

pub(crate) fn settlement(cost: Cost) -> Settlement {
    Settlement {
        cost,
        usage: Some(Usage::counted(12, 34)),
        last_word: false,
        tier: None,
        outcome: "ok".to_owned(),
        at: NOON,
    }
}

pub(crate) fn exact(text: &str) -> Settlement {
    settlement(Cost::new(usd(text), CostKind::Exact))
}

fn estimate() -> Estimate {
    Estimate {
        input_tokens: 12,
        output_tokens: 600,
        output_cap: 8192,
        expected_usd: Some(usd("0.0018")),
        worst_usd: Some(usd("0.0121")),
        exact_count: true,
        band_permille: None,
    }
}

fn facts() -> AnswerFacts {
    AnswerFacts {
        model: model(),
        route: Route {
            mode: RouteMode::Auto,
            reason: "fits the day's pace".to_owned(),
            considered: vec![],
        },
        finish: Some(Finish::Stop),
        usage: Usage::counted(12, 34),
        estimate: estimate(),
        cost: Cost::new(usd("0.001834"), CostKind::Exact),
        saved: Some(Usd::ZERO),
        cache: CacheHit::None,
        cache_age_s: 0,
        stale: false,
        reasoning_usd: None,
        latency: Latency {
            ttft_ms: Some(412),
            total_ms: 2100,
            tokens_per_second: Some(148.2),
        },
        attempts: vec![],
        service_tier: None,
        others: vec![],
    }
}

/// The words of a chat, `you: …` and `it: …`.
fn words(chat: &Chat) -> Vec<String> {
    let who = |role| if role == Role::User { "you" } else { "it" };
    chat.messages
        .iter()
        .map(|m| format!("{}: {}", who(m.entry.role), m.entry.text))
        .collect()
}
