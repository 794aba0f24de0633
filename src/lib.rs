//! chat-agent: an interactive chat agent for the terminal that knows the price before it sends.
//!
//! This is the map of the code. The binary is [`cli::main`]; everything else is one room each.
//!
//! # The life of a turn
//!
//! ```text
//! tui or ask ──Command──▶ agent ──Ask──▶ gateway::Gateway::open ──Event──▶ agent ──Event──▶ tui or ask
//!
//! gateway::exchange   the order of what follows, and the next rung when one fails
//! gateway::plan       count the tokens, read what money is left, let the router choose; holds nothing
//! gateway::answer_cache   was the same question answered before, or is it being answered now?
//! gateway::money      reserve the worst case, on disk, in one commit with the prompt
//! gateway::attempt    choose key and address, send, and decide about each failure: the only retry loop
//! gateway::upstream   what is known of each provider: keys, addresses, limits, circuits
//! gateway::stream     pieces go to the front end at once and to the store every 250 ms
//! gateway::money      settle at the server's price, its usage times the price, or an upper bound; record
//! ```
//!
//! To cancel, stop or drop the [`gateway::Exchange`]: what was not sent is released, what was sent is settled.
//!
//! # Who may import whom
//!
//! Top to bottom only; `tests/architecture.rs` enforces it. Inside a room no files form a circle, and the methods of a type
//! stand in its file.
//!
//! | room | owns | foreign crates that live there |
//! |---|---|---|
//! | [`chat`] | the nouns: money, ids, messages, usage, the gate for foreign text | |
//! | [`protocol`] | `Command`, `Event`, `Handle` | |
//! | [`config`] | file, environment and flags to one checked `Config` | toml, toml_edit, directories |
//! | [`tokens`] | counting, with the tables that `build.rs` reads from tiktoken-rs | |
//! | [`catalog`] | models, prices with dates, dialects | |
//! | [`store`] | chats and the ledger, one file for many processes | rusqlite |
//! | [`redis`] | what machines share: the connection, its time limits, the seal, cool-downs | redis, ring |
//! | [`budget`] | limits, windows, admission, a group's leases | |
//! | [`cache`] | answers that are kept: memory, disk, Redis | moka, sled |
//! | [`router`] | which model and why (pure) | |
//! | [`provider`] | the wire: requests, streams, errors, keys, presets, the built-in guide | async-openai, reqwest, hyper |
//! | [`gateway`] | the exchange, the only retry loop | |
//! | [`agent`] | the actor that owns a chat, and questions asked in parts | |
//! | [`tui`] | the screen; it sees `chat`, `protocol` and `config` only | ratatui, crossterm |
//! | [`cli`] | commands, composition, output; no room imports it | clap |
//!
//! # Words
//!
//! - **turn**: what the user asked and everything that came of it. **exchange**: one question and its answer.
//!   **attempt**: one request on the wire.
//! - **ladder**: the models that `auto` chooses from, best first. **rung**: one of them. **route**: the model chosen, with the
//!   reason and the models passed over.
//! - **reservation**: money set aside before sending; users read `hold` or `reserved`. **charge**: what an attempt is booked at.
//!   **settle**: replace a reservation by a charge.
//! - **scope**: what a limit applies to: request, run, session, day, month, and day and month of a model or a key.
//!   **raise**: what the user added to a limit once. **breach**: a bill above the reservation.
//! - **circuit**: whether requests go to an address at all. **cool-down**: how long a key rests on a model.
//! - **billed, exact, estimated, unknown, free**: how sure a cost is, see [`chat::CostKind`].
//!
//! # Where do I change …
//!
//! - a price, a limit, a parameter of a model: `assets/models.toml`
//! - what disqualifies a model, and the reasons of the ladder: `router/choice.rs`; when `auto` steps down for the day's sake:
//!   `router/pace.rs`; what kinds of questions there are: `router/kind.rs`
//! - what happens to input that does not fit: `gateway/plan/window_fit.rs` cuts the chat, `agent/segment/split.rs` splits the
//!   question
//! - the ways out of a limit: `gateway/plan/ways_out.rs`
//! - what is done about an HTTP status: `provider/classify.rs` names it, `gateway/attempt/decide.rs` acts
//! - when a provider is left alone: `gateway/upstream/breaker.rs`; which address and which key go first:
//!   `gateway/upstream/endpoints.rs`, `gateway/upstream/key_ring.rs`; how a request that a model refuses is changed:
//!   `gateway/upstream/compat.rs`
//! - a quirk of some server's stream: `provider/chunk/typed.rs`, `provider/decode/fold.rs`
//! - what an interrupted answer is booked at: `gateway/money/settle.rs`; how that is corrected later: `store/corrections.rs`;
//!   when a server is past its cap: `gateway/stream/output_cap.rs`
//! - which answers are kept and given again: `gateway/answer_cache.rs`; which of several equal questions is sent:
//!   `cache/flight.rs`; the process that holds answers on disk: `cache/owner/mod.rs`
//! - what is offered when no provider can be reached: `agent/outage.rs`
//! - a group's budget: `budget/group_budget.rs`, with its argument; when a clock is doubted: `budget/clock.rs`
//! - a key binding: `tui/keymap/table.rs`; a slash command: `tui/slash.rs`; a word of the panel: `tui/view/panel.rs`
//! - a configuration key: `config/file.rs` and `config.example.toml` (a test compares them)
//! - a flag: `cli/args.rs`
//! - which characters may reach the terminal: `chat/text/class.rs`
//! - what the guide knows: `assets/guide/*.md`

// A bare `pub` is for the binary, the tests and the benches, so that the compiler finds what is dead.
#![warn(unreachable_pub, missing_docs)]
#![cfg_attr(
    test,
    allow(clippy::too_many_lines, reason = "tables of tests may be long")
)]

pub mod agent;
pub mod budget;
pub mod cache;
pub mod catalog;
pub mod chat;
pub mod cli;
pub mod config;
pub mod gateway;
pub mod protocol;
pub mod provider;
pub mod redis;
pub mod router;
pub mod store;
pub mod tokens;
pub mod tui;
