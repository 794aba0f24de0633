//! Whatever happens on the way, the bill stays within every limit, and the ledger never says less than the bill.
//!
//! Several processes ask one server over one ledger, at once, with limits and models by chance. The server computes the
//! bill. It refuses, resets, stalls, breaks off (and may write on behind that, to its cap), forgets the usage or tells it
//! in every piece; the user stops or walks away in the middle; a process dies. `BILL_CASES` says how many cases are tried, `BILL_SEED` which one alone.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::bill;
use crate::provider;
use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bill::{Core, Dice, MODELS, model, prices, tag};
use chat_agent::budget::Limits;
use chat_agent::chat::{CostKind, Params, Selection, SessionId, Usd};
use chat_agent::gateway::{Ask, Exchange, Gateway};
use chat_agent::protocol::{Answer, Event};
use chat_agent::store::{ChargeScope, Ledger, ScopeSums, Store, check};
use provider::Pace;
use support::PATIENCE;
use support::server::{Pico, Script, Server};

const SESSIONS: u64 = 2;

/// What a case is about: everything in it follows from the seed, but the order in which things happen.
struct Case {
    seed: u64,
    server: Server,
    core: Core,
    limits: Limits,
    ledger: Store,
    pace: Pace,
    /// The server ignores its caps, and only the client stops it.
    dishonest: bool,
}

/// How a user treats an answer: after so many events.
#[derive(Clone, Copy)]
enum Manner {
    Waits,
    Stops(u64),
    WalksAway(u64),
}

/// What one process does, and after how many events it dies.
struct Life {
    run: String,
    questions: Vec<(Ask, Manner)>,
    dies_after: Option<u64>,
}

impl Case {
    fn new(seed: u64, dishonest: bool) -> Self {
        let mut dice = Dice::new(seed);
        let pace = Pace::default();
        let theirs = pace.clone();
        let script = Script::always(support::server::Answer::status(418)).choose(move |request| {
            let mut dice =
                Dice::new(seed ^ (request.index as u64 + 1).wrapping_mul(0x1000_0000_01b3));
            request
                .is_chat()
                .then(|| match (dishonest, dice.one_in(2)) {
                    (true, true) => provider::beyond_the_cap(request, &mut dice),
                    (true, false) => provider::whole(request, &theirs, &mut dice),
                    (false, _) => provider::answer(request, &theirs, &mut dice),
                })
        });
        let server = Server::start(script.keys([support::scene::KEY]));
        // An answer that is to be cut by the count must not be cut by the clock.
        let patience = if dishonest { "30s" } else { "250ms" };
        let toml = format!(
            "[limits]\nmax_output = {}\nfirst_token_timeout = \"{patience}\"\nidle_timeout = \"{patience}\"\nconcurrency = {}\n\
             [router]\nladder = [\"openai/gpt-5\", \"openai/gpt-5-mini\", \"openai/gpt-4o-mini\", \"openai/gpt-5-nano\"]\n",
            dice.from(256, if dishonest { 500 } else { 1_200 }),
            dice.from(1, 8),
        );
        let core = Core::new(&server, &toml);
        // From room for less than one answer to room for all of them.
        let mut limit = |one_in, most| {
            let set = dice.one_in(one_in);
            let usd = Usd::from_pico(i128::from(dice.from(100_000_000, most)));
            set.then_some(usd)
        };
        #[allow(
            clippy::needless_update,
            reason = "scopes to come stay without a limit"
        )]
        let limits = Limits {
            per_request: limit(3, 10_000_000_000),
            per_run: limit(3, 30_000_000_000),
            per_session: limit(2, 30_000_000_000),
            per_day: limit(2, 50_000_000_000),
            per_month: limit(3, 50_000_000_000),
            ..Limits::default()
        };
        let ledger = core.ledger();
        Self {
            seed,
            server,
            core,
            limits,
            ledger,
            pace,
            dishonest,
        }
    }

    fn lives(&self) -> Vec<Life> {
        let mut dice = Dice::new(self.seed.wrapping_add(1) << 20);
        (0..dice.from(1, 3))
            .map(|n| self.life(n, &mut dice))
            .collect()
    }

    fn life(&self, process: u64, dice: &mut Dice) -> Life {
        let questions = (0..dice.from(1, 5)).map(|n| {
            let manner = match dice.below(6) {
                _ if self.dishonest => Manner::Waits,
                0 => Manner::Stops(dice.below(30)),
                1 => Manner::WalksAway(dice.below(30)),
                _ => Manner::Waits,
            };
            (question(process, n, manner, dice), manner)
        });
        Life {
            run: format!("r{process}"),
            questions: questions.collect(),
            dies_after: (!self.dishonest && dice.one_in(4)).then(|| dice.below(60)),
        }
    }

    /// The bill of the requests whose tag has this part; all of them without one.
    fn bill(&self, part: Option<&str>) -> Pico {
        // The lines first: every request with one is in the log.
        let lines = self.server.bill(&prices()).lines;
        let requests = self.server.requests();
        let mine = |index: usize| {
            part.is_none_or(|part| tag(&requests[index]).split('.').any(|word| word == part))
        };
        Pico(
            lines
                .iter()
                .filter(|line| mine(line.request))
                .map(|line| line.cost.0)
                .sum(),
        )
    }

    fn booked(&self, of: &str) -> (Pico, Pico) {
        if of == "day" {
            // Of all chats, so that nothing is missing when midnight comes in between.
            let all = (0..SESSIONS).map(|n| self.booked(&format!("s{n}")));
            return all.fold((Pico(0), Pico(0)), |sum, one| {
                (Pico(sum.0.0 + one.0.0), Pico(sum.1.0 + one.1.0))
            });
        }
        let of = of.to_owned();
        let sum = self
            .ledger
            .run_blocking(move |db| match of.as_bytes().first() {
                Some(b's') => ScopeSums(db).sum(ChargeScope::Session(&SessionId::from_text(of))),
                _ => ScopeSums(db).sum(ChargeScope::Run(&of)),
            });
        let sum = sum.unwrap();
        (Pico(sum.total().pico()), Pico(sum.reserved.pico()))
    }

    /// What was booked above the reservations.
    fn breaches(&self) -> i128 {
        let found = self
            .ledger
            .run_blocking(|db| Ledger(db).breaches())
            .unwrap();
        found.iter().map(|(_, excess)| excess.pico()).sum()
    }

    /// Each server that wrote past a cap is named in the ledger; where that cost more than was reserved, its model is
    /// refused until the user clears it. (The reservation has room for more input than there was, so it may not.)
    fn all_named(&self) {
        let db = rusqlite::Connection::open(self.core.data_dir().join("chat.db")).unwrap();
        let named = "SELECT count(*) FROM charges WHERE model = ?1 AND settled <= reserved AND outcome LIKE '%past the cap%'";
        for request in self.server.chats() {
            if request
                .charged
                .is_some_and(|tokens| tokens.completion > request.cap().unwrap())
            {
                let id = model(request.model());
                let within: i64 = db
                    .query_row(named, [id.to_string()], |row| row.get(0))
                    .unwrap();
                let breach = self
                    .ledger
                    .run_blocking(move |db| Ledger(db).breach(&id))
                    .unwrap();
                assert!(
                    breach.is_some() || within > 0,
                    "seed {}: {} wrote past its cap, unnoticed",
                    self.seed,
                    request.model()
                );
            }
        }
    }

    /// The two promises, for one scope.
    fn judge(&self, of: &str, limit: Option<Usd>) {
        let bill = self.bill((of != "day").then_some(of));
        let (booked, _) = self.booked(of);
        assert!(
            bill <= booked,
            "seed {}: {of} is billed {bill}, and only {booked} is booked",
            self.seed
        );
        let Some(limit) = limit else { return };
        let most = Pico(limit.pico() + self.breaches());
        assert!(
            bill <= most,
            "seed {}: {of} is billed {bill} of {most}",
            self.seed
        );
        assert!(
            booked <= most,
            "seed {}: {of} has {booked} booked of {most}",
            self.seed
        );
    }

    fn judge_all(&self, lives: &[String]) {
        self.judge(
            "day",
            self.limits
                .per_day
                .into_iter()
                .chain(self.limits.per_month)
                .min(),
        );
        (0..SESSIONS).for_each(|n| self.judge(&format!("s{n}"), self.limits.per_session));
        for run in lives {
            self.judge(run, self.limits.per_run);
        }
    }
}

fn tag_of(question: &str) -> &str {
    question.split_whitespace().next().unwrap()
}

/// The tag holds the run, the question and the session, and whether the user waits for the end.
fn question(process: u64, n: u64, manner: Manner, dice: &mut Dice) -> Ask {
    let session = dice.below(SESSIONS);
    let pinned = MODELS[usize::try_from(dice.below(MODELS.len() as u64)).unwrap()];
    let selection = if dice.one_in(3) {
        Selection::Auto
    } else {
        Selection::Pinned(model(pinned))
    };
    let patient = if matches!(manner, Manner::Waits) {
        provider::PATIENT
    } else {
        ""
    };
    let text = format!(
        "r{process}.q{process}x{n}.s{session}{patient}{}",
        bill::words(dice.below(200))
    );
    Ask {
        params: Params {
            max_output: dice.one_in(4).then(|| dice.from(1, 900)),
            ..Params::default()
        },
        system: dice.one_in(3).then(|| bill::words(20)),
        cached: false,
        ..Ask::new(
            SessionId::from_text(format!("s{session}")),
            selection,
            text,
            &bill::ids(),
        )
    }
}

/// One process, on a thread of its own.
fn live(case: &Case, life: Life) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let gateway = case.core.gateway(case.limits.clone(), &life.run);
    let seen = Arc::new(AtomicU64::new(0));
    let dies_after = life.dies_after.unwrap_or(u64::MAX);
    runtime.block_on(async {
        let mut all = tokio::task::JoinSet::new();
        for (ask, manner) in life.questions {
            let exchange = gateway.open(ask.clone());
            all.spawn(follow(
                exchange,
                ask,
                manner,
                case.pace.clone(),
                Arc::clone(&seen),
                dies_after,
            ));
        }
        while let Some(end) = all.join_next().await {
            match end.unwrap() {
                Some((question, answer)) => as_billed(case, &question, &answer),
                None if seen.load(SeqCst) >= dies_after => return,
                None => {}
            }
            // While a server is writing past its cap, the cost is not known yet.
            if !case.dishonest {
                case.judge_all(std::slice::from_ref(&life.run));
            }
        }
        settled(case, &life.run, &gateway).await;
    });
    // What is still under way dies here, wherever it is.
    runtime.shutdown_background();
}

/// Follows an exchange in the user's manner. `None`: there is no answer, or the process was killed before it.
async fn follow(
    mut exchange: Exchange,
    ask: Ask,
    manner: Manner,
    pace: Pace,
    seen: Arc<AtomicU64>,
    dies_after: u64,
) -> Option<(String, Answer)> {
    let (mut events, mut pieces) = (0, 0);
    while let Some(event) = exchange.next().await {
        events += 1;
        if seen.fetch_add(1, SeqCst) + 1 >= dies_after {
            // Not dropped: a process that dies stops nothing.
            std::mem::forget(exchange);
            return None;
        }
        match manner {
            Manner::Stops(after) if events > after => exchange.stop(),
            Manner::WalksAway(after) if events > after => return None,
            _ => {}
        }
        match event {
            Event::Finished(answer)
            | Event::Failed {
                answer: Some(answer),
                ..
            } => {
                return Some((ask.question, *answer));
            }
            Event::Failed { .. } => return None,
            Event::Text { .. } => {
                pieces += 1;
                pace.seen(tag_of(&ask.question), pieces);
            }
            _ => {}
        }
    }
    None
}

/// Where the server returned its usage, what is booked is its bill to the last digit.
fn as_billed(case: &Case, question: &str, answer: &Answer) {
    if answer.facts.cost.kind != CostKind::Exact {
        return;
    }
    let requests = case.server.requests();
    let last = requests
        .iter()
        .rposition(|request| request.is_chat() && tag(request) == tag_of(question))
        .unwrap();
    let line = case
        .server
        .bill(&prices())
        .lines
        .into_iter()
        .find(|line| line.request == last)
        .unwrap();
    assert_eq!(
        Pico(answer.facts.cost.usd.unwrap().pico()),
        line.cost,
        "seed {}: {question}",
        case.seed
    );
}

/// A process that does not die settles everything, also what the user walked away from.
async fn settled(case: &Case, run: &str, gateway: &Arc<Gateway>) {
    let began = Instant::now();
    while case.booked(run).1 > Pico::default() {
        assert!(
            began.elapsed() < PATIENCE,
            "seed {}: {run} leaves something open",
            case.seed
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    gateway.close().await;
}

fn try_case(seed: u64, dishonest: bool) -> usize {
    let case = Case::new(seed, dishonest);
    let lives = case.lives();
    let runs: Vec<String> = lives.iter().map(|life| life.run.clone()).collect();
    let questions: Vec<String> = lives
        .iter()
        .flat_map(|life| &life.questions)
        .map(|(ask, _)| ask.question.clone())
        .collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = lives
            .into_iter()
            .map(|life| scope.spawn(|| live(&case, life)))
            .collect();
        for thread in threads {
            thread
                .join()
                .unwrap_or_else(|cause| std::panic::resume_unwind(cause));
        }
    });
    case.server.wait_until("nothing is under way", |all| {
        all.iter().all(|request| request.outcome.is_some())
    });
    case.judge_all(&runs);
    case.all_named();
    for question in questions {
        let tag = tag_of(&question).split('.').nth(1).unwrap().to_owned();
        let (bill, limit) = (case.bill(Some(&tag)), case.limits.per_request);
        let most = limit.map(|limit| Pico(limit.pico() + case.breaches()));
        assert!(
            most.is_none_or(|most| bill <= most),
            "seed {seed}: one request is billed {bill} of {most:?}"
        );
    }
    case.ledger.run_blocking(|db| check(db)).unwrap();
    case.server.assert_clean();
    case.server.chats().len()
}

/// Tries the cases on as many threads as there are processors.
fn try_all(cases: u64, dishonest: bool) {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    if let Some(seed) = number("BILL_SEED") {
        try_case(seed, dishonest);
        return;
    }
    let cases = number("BILL_CASES").unwrap_or(cases);
    let (next, sent) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    while let Some(seed) =
                        Some(next.fetch_add(1, SeqCst)).filter(|seed| *seed < cases)
                    {
                        sent.fetch_add(try_case(seed, dishonest) as u64, SeqCst);
                    }
                })
            })
            .collect();
        for worker in workers {
            worker
                .join()
                .unwrap_or_else(|cause| std::panic::resume_unwind(cause));
        }
    });
    assert!(
        sent.load(SeqCst) > cases,
        "a proof over requests that were never made proves nothing"
    );
}

#[test]
fn the_bill_stays_within_every_limit_and_the_ledger_never_below_it() {
    try_all(150, false);
}

#[test]
fn what_a_server_writes_past_its_cap_shows_as_a_breach() {
    try_all(20, true);
}
