//! A frame of a streaming answer: what came is laid out, and the rows that changed are made into cells.

use std::time::Duration;

use chat_agent::chat::{MessageId, ModelId, Timestamp};
use chat_agent::protocol::{Estimate, Route, RouteMode, Started};
use chat_agent::tui::canvas::Canvas;
use chat_agent::tui::theme::Palette;
use chat_agent::tui::transcript::{Head, Transcript};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// The room that the transcript has on a screen of 120 by 40.
const WIDTH: u16 = 71;
const HEIGHT: u16 = 34;
/// Bytes that come in a frame: 200 tokens a second, thirty frames.
const PIECE: usize = 36;
/// A longer answer than this is followed by another.
const LONGEST: usize = 64 * 1024;

const TEXTS: [(&str, &str); 4] = [
    (
        "prose",
        "`Vec::push` takes its argument **by value**, so the string now\nbelongs to the vector. Clone it.\n\n",
    ),
    (
        "one paragraph",
        "the string moves into a vector, so clone it, or push a reference to it and keep it\n",
    ),
    (
        "code",
        "    let s = String::from(\"a\");\n    v.push(s.clone());\n",
    ),
    (
        "list",
        "- a clone costs an allocation, a reference a lifetime\n",
    ),
];

struct Play {
    chat: Transcript,
    canvas: Canvas,
    text: String,
    at: usize,
    answers: u64,
}

impl Play {
    fn new(unit: &str, fence: bool) -> Self {
        let lead = if fence { "```rust\n" } else { "" };
        let text = format!("{lead}{}", unit.repeat(LONGEST / unit.len()));
        let chat = Transcript::new(usize::from(WIDTH), Palette::dark());
        Self {
            at: text.len(),
            chat,
            canvas: Canvas::default(),
            text,
            answers: 0,
        }
    }

    fn frame(&mut self) -> usize {
        if self.at + PIECE > self.text.len() {
            self.at = 0;
            self.answers += 1;
            let started = started(MessageId::from_bits(self.answers));
            self.chat
                .start_answer(started.id.clone(), Head::started(&started));
        }
        let piece = &self.text[self.at..self.at + PIECE];
        self.at += PIECE;
        self.chat
            .push_text(&MessageId::from_bits(self.answers), piece);
        self.draw()
    }

    fn draw(&mut self) -> usize {
        self.canvas.begin((WIDTH, HEIGHT));
        let mut place = self.canvas.area();
        for (y, line) in (0..).zip(self.chat.visible(usize::from(HEIGHT))) {
            place.y = y;
            self.canvas.line(place, line);
        }
        self.canvas.finish();
        self.canvas.changes().count()
    }
}

fn started(id: MessageId) -> Started {
    Started {
        id,
        at: Timestamp(0),
        model: ModelId::new("openai", "gpt-5-mini"),
        route: Route {
            mode: RouteMode::Pinned,
            reason: "you chose it".to_owned(),
            considered: Vec::new(),
        },
        estimate: Estimate {
            input_tokens: 2_310,
            output_tokens: 600,
            output_cap: 8_192,
            expected_usd: None,
            worst_usd: None,
            exact_count: true,
            band_permille: None,
        },
        fitted: None,
        free: true,
        effort: None,
        context: None,
        key: String::new(),
    }
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    group
        .measurement_time(Duration::from_secs(3))
        .throughput(Throughput::Elements(1));
    for (name, unit) in TEXTS {
        let mut play = Play::new(unit, name == "code");
        group.bench_function(name, |bencher| bencher.iter(|| play.frame()));
    }
    let mut still = Play::new(TEXTS[0].1, false);
    for _ in 0..1_000 {
        still.frame();
    }
    group.bench_function("nothing new", |bencher| bencher.iter(|| still.draw()));
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
