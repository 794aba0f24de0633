//! A long chat: model switches, cached tokens, retries, interrupts; and the bill is the server's to the last digit.
//!
//! Wherever the server returned its usage the charge is its bill; elsewhere it is an upper bound and marked as an
//! estimate. The panel shows what the ledger holds.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

use crate::bill;
use crate::provider;
use crate::support;

use std::collections::HashMap;
use std::sync::Arc;

use bill::{Core, Dice, MODELS, model, prices, tag};
use chat_agent::agent::{Start, spawn};
use chat_agent::budget::Limits;
use chat_agent::chat::{Cost, CostKind, Selection, SessionId, Usd};
use chat_agent::protocol::{Answer, Command, Event, Handle, Meter};
use chat_agent::store::{ChargeScope, ChargeSum, ScopeSums};
use provider::Pace;
use support::scene::KEY;
use support::server::{Answer as Scripted, Pico, Request, Script, Server};

const CONFIG: &str = "[limits]\nmax_output = 160\n\
    [router]\nladder = [\"openai/gpt-5\", \"openai/gpt-5-mini\", \"openai/gpt-5-nano\"]\n";

/// Where some answers hang, and only those cost that time: who waits less on a busy machine also leaves good ones, and a
/// server of which so many fail is left alone.
const IMPATIENT: &str = "first_token_timeout = \"5s\"\nidle_timeout = \"4s\"\n";

type Answers = fn(&Request, &Pace, &mut Dice) -> Scripted;

/// A chat under way, and who bills it.
struct Chat {
    server: Server,
    core: Core,
    handle: Handle,
    pace: Pace,
    session: Option<SessionId>,
}

/// What a turn came to: its cost, when there was an answer, and the panel's sum of the chat after it.
struct Turn {
    cost: Option<Cost>,
    session: Meter,
}

impl Chat {
    fn new(seed: u64, answers: Answers, limits: &str) -> Self {
        let pace = Pace::default();
        let theirs = pace.clone();
        let script = Script::always(Scripted::status(418)).choose(move |request| {
            let mut dice =
                Dice::new(seed ^ (request.index as u64 + 1).wrapping_mul(0x1000_0000_01b3));
            request
                .is_chat()
                .then(|| answers(request, &theirs, &mut dice))
        });
        let server = Server::start(script.keys([KEY]));
        let core = Core::new(&server, &CONFIG.replacen('\n', &format!("\n{limits}"), 1));
        let limits = Limits {
            per_day: Some(Usd::from_pico(10_000_000_000_000)),
            ..Limits::default()
        };
        let start = Start {
            default_selection: Selection::Auto,
            screen: true,
            ..Start::default()
        };
        let handle = spawn(core.gateway(limits, "run"), start);
        Self {
            server,
            core,
            handle,
            pace,
            session: None,
        }
    }

    async fn say(&self, command: Command) {
        self.handle.commands.send(command).await.unwrap();
    }

    /// One turn, stopped after so many pieces if the user loses patience.
    async fn turn(&mut self, tag: &str, text: &str, stop_after: Option<usize>) -> Turn {
        self.say(Command::Send {
            text: Arc::from(format!("{tag}{text}")),
        })
        .await;
        let (mut pieces, mut over) = (0, None);
        loop {
            let event = self.handle.events.recv().await.unwrap();
            match event {
                Event::Started(_) if stop_after == Some(0) => self.say(Command::Cancel).await,
                Event::Text { .. } => {
                    pieces += 1;
                    self.pace.seen(tag, pieces);
                    if stop_after == Some(pieces) {
                        self.say(Command::Cancel).await;
                    }
                }
                Event::Finished(answer) => over = Some(Some(self.answered(&answer))),
                Event::Failed { answer, .. } => {
                    over = Some(answer.map(|answer| self.answered(&answer)));
                }
                Event::Panel(panel) => {
                    if let Some(cost) = over {
                        return Turn {
                            cost,
                            session: panel.session,
                        };
                    }
                }
                _ => {}
            }
        }
    }

    fn answered(&mut self, answer: &Answer) -> Cost {
        self.session = Some(answer.session.clone());
        answer.facts.cost
    }

    /// What the server bills for the last request of each turn, by its tag.
    fn billed(&self) -> HashMap<String, Pico> {
        let over = |all: &[Request]| all.iter().all(|request| request.outcome.is_some());
        // A stream that was left is billed until its server notices.
        let requests = self.server.wait_until("nothing is under way", over);
        let lines: HashMap<usize, Pico> = self
            .server
            .bill(&prices())
            .lines
            .into_iter()
            .map(|line| (line.request, line.cost))
            .collect();
        let cost = |request: &Request| lines.get(&request.index).copied().unwrap_or_default();
        requests
            .iter()
            .map(|request| (tag(request), cost(request)))
            .collect()
    }

    fn ledger(&self) -> ChargeSum {
        let session = self.session.clone().unwrap();
        self.core
            .ledger()
            .run_blocking(move |db| ScopeSums(db).sum(ChargeScope::Session(&session)))
            .unwrap()
    }

    async fn end(mut self) -> (Server, Core) {
        self.say(Command::Shutdown).await;
        while self.handle.events.recv().await.is_some() {}
        (self.server, self.core)
    }
}

fn pico(usd: Usd) -> Pico {
    Pico(usd.pico())
}

fn seed() -> u64 {
    std::env::var("BILL_SEED").map_or(7, |text| text.parse().unwrap())
}

/// Good as a rule: a server of which half the answers fail is left alone after a while.
fn mostly_good(request: &Request, pace: &Pace, dice: &mut Dice) -> Scripted {
    if dice.one_in(3) {
        provider::answer(request, pace, dice)
    } else {
        provider::whole(request, pace, dice)
    }
}

#[tokio::test]
async fn two_hundred_turns_are_billed_as_the_server_bills_them() {
    let (seed, mut dice) = (seed(), Dice::new(seed()));
    let mut chat = Chat::new(seed, mostly_good, IMPATIENT);
    let mut turns = Vec::new();
    for n in 0..200 {
        if dice.one_in(4) {
            let pinned = MODELS.map(|name| Selection::Pinned(model(name)));
            let all: Vec<Selection> = pinned.into_iter().chain([Selection::Auto]).collect();
            chat.say(Command::Select(
                all[usize::try_from(dice.below(6)).unwrap()].clone(),
            ))
            .await;
        }
        let stop_after = dice
            .one_in(6)
            .then(|| usize::try_from(dice.below(6)).unwrap());
        turns.push(
            chat.turn(&format!("t{n}"), &bill::words(dice.below(40)), stop_after)
                .await,
        );
    }
    let (billed, last) = (chat.billed(), turns[199].session);
    let (mut exact, mut estimated, mut answers) = (0, 0, 0);
    for (n, cost) in turns
        .iter()
        .enumerate()
        .filter_map(|(n, turn)| Some((n, turn.cost?)))
    {
        let (usd, billed) = (pico(cost.usd.unwrap()), billed[&format!("t{n}")]);
        answers += usd.0;
        if cost.kind == CostKind::Exact {
            assert_eq!(usd, billed, "seed {seed}, turn {n}");
            exact += 1;
        } else {
            assert_eq!(cost.kind, CostKind::Estimated, "seed {seed}, turn {n}");
            assert!(
                usd >= billed,
                "seed {seed}, turn {n}: {usd} is booked, {billed} is billed"
            );
            estimated += 1;
        }
    }
    assert!(
        exact >= 50 && estimated >= 5,
        "{exact} exact, {estimated} estimated"
    );
    let ledger = chat.ledger();
    // The panel, the ledger and the answers agree; a request that brought no answer is in the ledger only.
    assert_eq!(
        (last.settled, last.reserved, last.estimated),
        (ledger.settled, Usd::ZERO, true)
    );
    assert!(pico(ledger.settled).0 >= answers);
    let bill = chat.server.bill(&prices()).total();
    assert!(
        pico(ledger.settled) >= bill,
        "seed {seed}: billed {bill}, booked {}",
        ledger.settled
    );
    let (server, _core) = chat.end().await;
    server.assert_clean();
}

#[tokio::test]
async fn where_all_usage_was_told_the_whole_chat_is_the_bill_to_the_last_digit() {
    let (seed, mut dice) = (seed(), Dice::new(seed() + 1));
    let mut chat = Chat::new(seed, provider::told, "");
    let mut last = Meter::default();
    for n in 0..60 {
        let name = MODELS[usize::try_from(dice.below(5)).unwrap()];
        chat.say(Command::Select(Selection::Pinned(model(name))))
            .await;
        last = chat
            .turn(&format!("t{n}"), &bill::words(dice.below(40)), None)
            .await
            .session;
    }
    let (bill, ledger) = (chat.server.bill(&prices()).total(), chat.ledger());
    assert_eq!(
        (pico(last.settled), pico(ledger.settled)),
        (bill, bill),
        "seed {seed}"
    );
    assert_eq!(
        (last.reserved, last.estimated, ledger.estimated),
        (Usd::ZERO, false, false)
    );
    // Four tries of a turn may all be refused; most are not.
    assert!(chat.server.bill(&prices()).lines.len() >= 50 && chat.server.chats().len() > 60);
    chat.end().await;
}
