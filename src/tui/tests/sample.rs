//! A chat to test with.

use std::sync::Arc;
use std::time::Instant;

use crossterm::event::KeyEvent;
use ratatui::layout::Size;

use crate::chat::{
    Cost, CostKind, Effort, Failure, FailureKind, Finish, MessageId, ModelId, Overflow, Scope,
    Selection, SessionId, Timestamp, Usage, UsageSource, Usd,
};
use crate::protocol::{
    Alert, Answer, AnswerFacts, AtLimit, CacheHit, Choice, Circuit, Considered, Estimate, Event,
    Latency, Left, Meter, ModelRow, Panel, Progress, Quote, Raise, Receipt, Route, RouteMode,
    SessionView, Started,
};
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::msg::{Effect, Msg};
use crate::tui::update::update;
use crate::tui::{Options, view};

pub(crate) fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

pub(crate) fn app() -> App {
    App::new(&Options::default(), Instant::now()).unwrap()
}

/// An app whose chat is open.
pub(crate) fn open() -> App {
    let mut app = app();
    core(&mut app, session());
    app
}

pub(crate) fn core(app: &mut App, event: Event) -> Vec<Effect> {
    let now = app.now;
    update(app, Msg::Core(Box::new(event)), now)
}

/// Plays keys as a person types them: names in angle brackets, else letters.
pub(crate) fn keys(app: &mut App, script: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut rest = script;
    while let Some(c) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|r| r.split_once('>'));
        let (chord, after) = match named {
            Some((name, after)) => (name.to_owned(), after),
            None => (
                if c == ' ' {
                    "Space".to_owned()
                } else {
                    c.to_string()
                },
                &rest[c.len_utf8()..],
            ),
        };
        rest = after;
        let (code, mods) = crate::tui::keymap::Chord::parts(&chord);
        let now = app.now + std::time::Duration::from_millis(50);
        effects.extend(update(app, Msg::Key(KeyEvent::new(code, mods)), now));
    }
    effects
}

/// The screen as text, with trailing blanks cut.
pub(crate) fn screen(app: &mut App, width: u16, height: u16) -> String {
    let mut canvas = Canvas::default();
    canvas.begin(Size { width, height });
    view::draw(&mut canvas, app, view::Extent::Whole);
    canvas.finish();
    let mut out = String::new();
    for cells in canvas.rows() {
        let mut row = String::new();
        let mut skip = 0;
        for cell in cells {
            if skip == 0 {
                row.push_str(cell.symbol());
            }
            skip = crate::tui::wrap::width(cell.symbol())
                .max(skip)
                .saturating_sub(1);
        }
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

pub(crate) fn mini() -> ModelId {
    ModelId::new("openai", "gpt-5-mini")
}

pub(crate) fn id(bits: u64) -> MessageId {
    MessageId::from_bits(bits)
}

pub(crate) fn choice() -> Choice {
    let favourites = vec![Selection::Auto, Selection::Pinned(mini())];
    Choice {
        selection: Selection::Auto,
        effort: None,
        system: None,
        favourites,
        overflow: Overflow::Refuse,
        cached: true,
    }
}

pub(crate) fn session() -> Event {
    Event::Session(Box::new(SessionView {
        id: SessionId::from_bits(7),
        title: "Borrow checker, again".to_owned(),
        entries: Vec::new(),
        choice: choice(),
        history: vec!["what is a lifetime?".to_owned(), "and a borrow?".to_owned()],
    }))
}

pub(crate) fn route() -> Route {
    let considered = |model: &str, worst, skipped: Option<&str>| Considered {
        model: ModelId::new("openai", model),
        effort: None,
        worst_usd: Some(usd(worst)),
        skipped: skipped.map(str::to_owned),
    };
    Route {
        mode: RouteMode::Auto,
        reason: "fits the day's pace".to_owned(),
        considered: vec![
            considered("gpt-5", "0.0904", Some("over the day's pace")),
            considered("gpt-5-mini", "0.0121", None),
        ],
    }
}

pub(crate) fn estimate() -> Estimate {
    Estimate {
        input_tokens: 2_310,
        output_tokens: 600,
        output_cap: 5_760,
        expected_usd: Some(usd("0.0018")),
        worst_usd: Some(usd("0.0121")),
        exact_count: true,
        band_permille: None,
    }
}

pub(crate) fn quote() -> Quote {
    Quote {
        model: mini(),
        route: route(),
        estimate: estimate(),
        free: false,
        left: Some(Left {
            scope: Scope::Day,
            usd: usd("4.83"),
        }),
        context: Some(400_000),
        usual: None,
        others: Vec::new(),
        fitted: None,
        warm: None,
        kept: None,
        efforts: vec![Effort::Low, Effort::Medium, Effort::High],
    }
}

pub(crate) fn receipt(rev: u64) -> Event {
    Event::Receipt(Box::new(Receipt {
        rev,
        outcome: Ok(quote()),
    }))
}

pub(crate) fn prompted(n: u64, text: &str) -> Event {
    Event::Prompted {
        id: id(n),
        text: Arc::from(text),
        at: Timestamp(0),
    }
}

pub(crate) fn started(n: u64) -> Event {
    Event::Started(Box::new(Started {
        id: id(n),
        at: Timestamp(0),
        model: mini(),
        route: route(),
        estimate: estimate(),
        fitted: None,
        free: false,
        effort: None,
        context: Some(400_000),
        key: "…f3a1".to_owned(),
    }))
}

pub(crate) fn latency() -> Latency {
    Latency {
        ttft_ms: Some(412),
        total_ms: 2_140,
        tokens_per_second: Some(148.2),
    }
}

pub(crate) fn usage() -> Usage {
    Usage {
        uncached_input: 390,
        cached_input: 1_920,
        cache_write: 0,
        output: 318,
        reasoning: 64,
        source: UsageSource::Provider,
    }
}

pub(crate) fn progress(n: u64) -> Event {
    let cost = Cost::new(usd("0.0012"), CostKind::Estimated);
    Event::Progress(Progress {
        id: id(n),
        latency: latency(),
        usage: usage(),
        cost,
    })
}

pub(crate) fn answer(n: u64, text: &str, finish: Finish) -> Answer {
    Answer {
        session: SessionId::from_bits(7),
        id: id(n),
        text: text.to_owned(),
        reasoning: String::new(),
        facts: AnswerFacts {
            model: mini(),
            route: route(),
            finish: Some(finish),
            usage: usage(),
            estimate: estimate(),
            cost: Cost::new(usd("0.001834"), CostKind::Exact),
            saved: Some(Usd::ZERO),
            cache: CacheHit::None,
            cache_age_s: 0,
            stale: false,
            reasoning_usd: None,
            latency: latency(),
            attempts: Vec::new(),
            service_tier: None,
            others: Vec::new(),
        },
    }
}

pub(crate) fn finished(n: u64, text: &str, finish: Finish) -> Event {
    Event::Finished(Box::new(answer(n, text, finish)))
}

pub(crate) fn failed() -> Event {
    let failure = Failure::new(FailureKind::Budget, "the day's budget of $5.00 is used up")
        .hint("raise budget.per_day or wait until midnight");
    Event::Failed {
        failure,
        route: None,
        answer: None,
    }
}

pub(crate) fn raise() -> Raise {
    Raise {
        scope: Scope::Day,
        by: usd("0.031"),
    }
}

/// At the day's limit, with these ways out.
pub(crate) fn at_limit(text: &str, cheaper: bool, raised: bool) -> Event {
    let failure = Failure::new(
        FailureKind::Budget,
        "openai/gpt-5 could cost $0.09, $0.06 left today",
    );
    let (cheaper, raise) = (cheaper.then(quote), raised.then(raise));
    Event::AtLimit(Box::new(AtLimit {
        text: Arc::from(text),
        failure,
        route: Some(route()),
        cheaper,
        raise,
    }))
}

pub(crate) fn alert() -> Alert {
    Alert {
        scope: Scope::Day,
        share: 0.8,
        spent: usd("4.02"),
        limit: usd("5"),
    }
}

pub(crate) fn panel() -> Event {
    let meter = |settled, limit| Meter {
        settled: usd(settled),
        limit: Some(usd(limit)),
        ..Meter::default()
    };
    Event::Panel(Box::new(Panel {
        session: Meter {
            estimated: true,
            ..meter("0.04", "1")
        },
        today: meter("0.83", "5"),
        month: meter("9.17", "50"),
        group_today: Meter::default(),
        group_month: Meter::default(),
        cache_hit: Some(0.12),
        saved: usd("0.31"),
        saved_unknown: false,
        p50_ms: Some(640),
        p95_ms: Some(1_900),
        errors: 0,
        recent_ttft_ms: vec![400, 640, 900, 412, 380, 1900, 412],
        alerts: Vec::new(),
        warm: None,
        recent_tps: vec![90.0, 120.0, 150.0, 148.2],
    }))
}

pub(crate) fn models() -> Vec<ModelRow> {
    let row =
        |id: &str, rung, prices: Option<(&str, &str, &str)>, unusable: Option<&str>| ModelRow {
            id: id.parse().map_or(Selection::Auto, Selection::Pinned),
            favourite: id.contains("mini"),
            rung,
            input: prices.map(|p| usd(p.0)),
            output: prices.map(|p| usd(p.1)),
            free: id.starts_with("ollama"),
            context: Some(400_000),
            expected_usd: prices.map(|p| usd(p.2)),
            last_usd: None,
            p50_ms: prices.map(|_| 640),
            tps: prices.map(|_| 148.0),
            circuit: Circuit::default(),
            unusable: unusable.map(str::to_owned),
        };
    vec![
        row("auto", None, None, None),
        row(
            "openai/gpt-5",
            Some(0),
            Some(("1.25", "10", "0.0091")),
            None,
        ),
        row(
            "openai/gpt-5-mini",
            Some(1),
            Some(("0.25", "2", "0.0018")),
            None,
        ),
        row("ollama/llama3", None, None, None),
        row(
            "anthropic/claude-sonnet",
            None,
            Some(("3", "15", "0.0164")),
            Some("no key: set ANTHROPIC_API_KEY"),
        ),
    ]
}
