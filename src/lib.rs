//! chat-agent: an interactive chat agent for the terminal that knows the price before it sends.
//!
//! This is the map of the house. The binary is [`cli::main`]; everything else is one room each.
//!
//! # The life of a turn
//!
//! ```text
//! tui or ask ──Command──▶ agent ──Ask──▶ gateway::Gateway::open ──Event──▶ agent ──Event──▶ tui or ask
//!
//! gateway::exchange   plan      count the tokens, see what money is left, let the router choose      (holds nothing)
//!                     cache     the same question answered before, or being answered now? memory, disk, Redis
//! gateway::attempt    reserve   the worst case, on disk, in one commit with the prompt
//!                     send      one request; when it fails, `decide` says whether, where and when again
//! gateway::stream     stream    pieces out to the front end at once, down to the store every 250 ms
//!                     settle    the server's price, or its usage times the price, or an upper bound
//!                     record    answer, charge and exchange in one commit; keep the answer in the cache
//! ```
//!
//! Cancelling is dropping or stopping the [`gateway::Exchange`]: what was not sent is released, what was is settled.
//!
//! # Who may import whom
//!
//! Top to bottom only; `tests/architecture.rs` is the wall.
//!
//! | room | owns | foreign crates that live there |
//! |---|---|---|
//! | [`chat`] | the nouns: money, ids, messages, usage, the text gate | |
//! | [`protocol`] | `Command`, `Event`, `Handle` | |
//! | [`config`] | file, environment and flags to one checked `Config` | toml, toml_edit, directories |
//! | [`tokens`] | counting, with the tables that `build.rs` reads from tiktoken-rs | |
//! | [`catalog`] | models, prices with dates, dialects | |
//! | [`store`] | chats and the ledger, one file for many processes | rusqlite |
//! | [`redis`] | what machines share: the connection, its time limits, the seal, cool-downs | redis, ring |
//! | [`budget`] | limits, windows, admission | |
//! | [`cache`] | answers kept | moka, sled |
//! | [`router`] | which model and why (pure) | |
//! | [`provider`] | the wire: requests, streams, errors, keys, presets, the built-in guide | async-openai, reqwest, hyper |
//! | [`gateway`] | the exchange, the only retry loop | |
//! | [`agent`] | the actor that owns a chat | |
//! | [`tui`] | the screen; it sees `chat`, `protocol` and `config` only | ratatui, crossterm |
//! | [`cli`] | commands, composition, output; no other room imports it | clap |
//!
//! # Words
//!
//! - **turn**: what the user asked and all that came of it. **exchange**: one question and its answer.
//!   **attempt**: one request on the wire.
//! - **rung**: a model of the ladder, best first. **route**: the model chosen, with the reason and the ones passed over.
//! - **hold** or **reservation**: money set aside before sending. **charge**: what an attempt is booked at.
//! - **scope**: what a limit is over: request, run, session, day, month, and day and month of a model or a key.
//!   **place**: one of them, such as this day. **raise**: what the user added to a limit. **breach**: billed above the reservation.
//! - **billed, exact, estimated, unknown, free**: how sure a cost is, see [`chat::CostKind`].
//!
//! # Where do I change …
//!
//! - a price, a limit, a parameter of a model: `assets/models.toml`
//! - the order of the ladder's reasons, or what disqualifies a model: [`router`]
//! - what becomes of input that does not fit: `gateway/plan/window_fit.rs` cuts the chat, `agent/segment.rs` splits the question
//! - what is done about an HTTP status: `provider/classify.rs` names it, `gateway/attempt/decide.rs` acts
//! - when a provider is left alone: `gateway/upstream/breaker.rs`; which address and which key go first: `gateway/upstream/endpoints.rs`,
//!   `gateway/upstream/key_ring.rs`; what is mended in a request that a model refuses: `gateway/upstream/compat.rs`
//! - which answers are kept and given again: `gateway/answer_cache.rs`; who of many fetches one: `cache/flight.rs`; the process that holds them on disk: `cache/owner`; what
//!   can be had when no provider answers: `agent/degraded.rs`
//! - a group's budget: `budget/shared.rs`, and its argument
//! - what an interrupted answer is booked at: `gateway/money/settle.rs`; how that is put right later: `store/corrections.rs`; when a server is past its cap: `gateway/stream/output_cap.rs`
//! - when `auto` steps down for the day's sake: `router/pace.rs`; what kinds of questions there are: `router/kind.rs`
//! - the ways out of a limit: `gateway/plan/ways_out.rs`; when a clock is doubted: `budget/clock.rs`
//! - a quirk of some server's stream: `provider/decode.rs`
//! - a key binding: `tui/keymap/table.rs`; a slash command: `tui/slash.rs`; a word of the panel: `tui/view/panel.rs`
//! - a configuration key: `config/file.rs` and `config.example.toml` (a test holds them together)
//! - a flag: `cli/args.rs`
//! - which characters may reach the terminal: `chat/text/class.rs`
//! - what the guide knows: `assets/guide/*.md`

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
