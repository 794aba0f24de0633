//! The command line: one table of what may be typed; parser, help, completions and man page come from it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::chat::{Effort, Overflow, Usd};
use crate::config::parse_duration;
use crate::store::By;
use crate::tokens::Detail;

/// Chat with language models in the terminal, and know the price before you send.
///
/// With no command: the chat screen. When standard output is not a terminal, or standard input is a pipe: `ask`.
#[derive(Debug, Parser)]
#[command(name = "chat-agent", version, max_term_width = 100, after_help = environment())]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<CliCommand>,
    #[command(flatten)]
    pub(super) prompt: AskArgs,
    #[command(flatten)]
    pub(super) shared: Shared,
}

#[derive(Debug, Subcommand)]
pub(super) enum CliCommand {
    /// One answer: standard output carries the answer and nothing else
    Ask(AskArgs),
    /// Tokens and price for each model, with no network
    Count(CountArgs),
    /// The models known: prices, limits, abilities
    Models {
        #[command(subcommand)]
        action: Option<ModelsAction>,
    },
    /// Requests, tokens, cost and latency over a time, and how good the estimates were
    Stats(StatsArgs),
    /// Past chats
    Sessions {
        #[command(subcommand)]
        action: Option<SessionsAction>,
    },
    /// The configuration file
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Spend against the limits
    Budget {
        #[command(subcommand)]
        action: BudgetAction,
    },
    /// What works and what does not: keys, servers, clocks, certificates, folders; asks no model
    Doctor,
    /// Answers kept, so that the same question is not paid twice
    Cache {
        #[command(subcommand)]
        action: CacheAction,
    },
    /// Holds the answers on disk for every chat-agent of this user; started by them
    #[command(hide = true)]
    CacheOwner(CacheOwnerArgs),
    /// Completions for a shell, or the man page, to standard output
    Completions {
        #[arg(value_name = "SHELL")]
        target: CompletionTarget,
    },
}

/// Variables that the program reads, beside those of keys and proxies.
pub(super) const ENVIRONMENT: [(&str, &str); 4] = [
    (
        "CHAT_AGENT_CONFIG",
        "the configuration file; --config beats it",
    ),
    (
        "CHAT_AGENT_DATA_DIR",
        "the data folder; --data-dir beats it",
    ),
    (
        "CHAT_AGENT_MODEL",
        "the model of new chats; --model beats it",
    ),
    (
        LOG_VARIABLE,
        "filters the log, such as `debug` or `chat_agent::gateway=debug`; beats -v",
    ),
];
/// The variable that filters the log.
pub(super) const LOG_VARIABLE: &str = "CHAT_AGENT_LOG";

/// [`ENVIRONMENT`] for `--help`.
fn environment() -> String {
    let lines = ENVIRONMENT.map(|(name, text)| format!("  {name:<19}  {text}"));
    format!("Environment:\n{}", lines.join("\n"))
}

/// Options that every command takes.
#[derive(Debug, Default, Args)]
pub(super) struct Shared {
    /// Model: `auto`, `provider/model`, a bare name or an alias
    #[arg(short, long, global = true, value_name = "MODEL")]
    pub(super) model: Option<String>,
    /// Read this configuration file
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Keep chats, ledger, cache and log in this folder
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Neither read nor write the answer cache
    #[arg(long, global = true)]
    pub(super) no_cache: bool,
    /// Ask anew even when the answer is cached, and store the new one
    #[arg(long, global = true)]
    pub(super) refresh: bool,
    /// When no provider can be reached, take an answer from the cache however old it is, and say so
    #[arg(long, global = true, conflicts_with = "no_cache")]
    pub(super) stale: bool,
    /// Spend at most this many US dollars in this run
    #[arg(long, global = true, value_name = "USD", value_parser = amount)]
    pub(super) max_usd: Option<Usd>,
    /// Cap the answer at this many tokens; sent as given or refused
    #[arg(long, global = true, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max_output: Option<u64>,
    /// How hard a reasoning model thinks: none, minimal, low, medium, high, xhigh, max
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(super) effort: Option<Effort>,
    /// When the input does not fit the model's window: refuse, truncate (leave out the oldest turns) or segment
    #[arg(long, global = true, value_name = "WAY", default_value = "refuse")]
    pub(super) on_overflow: Overflow,
    /// Sampling temperature
    #[arg(long, global = true, value_name = "T", value_parser = temperature)]
    pub(super) temperature: Option<f64>,
    /// System message
    #[arg(long, global = true, value_name = "TEXT")]
    pub(super) system: Option<String>,
    /// Go on with this chat (an id, or the start of one)
    #[arg(
        long,
        global = true,
        value_name = "ID",
        conflicts_with = "continue_last"
    )]
    pub(super) session: Option<String>,
    /// Go on with the newest chat
    #[arg(short, long = "continue", global = true)]
    pub(super) continue_last: bool,
    /// Report as JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Count, price and choose the model, print that, send nothing
    #[arg(long, global = true)]
    pub(super) estimate: bool,
    /// Print the answer when it is whole
    #[arg(long, global = true)]
    pub(super) no_stream: bool,
    /// Write the cost of this run to a file, as JSON
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) cost_file: Option<PathBuf>,
    /// Say more in the log, and show retries; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

fn amount(text: &str) -> Result<Usd, String> {
    let usd: Usd = text
        .parse()
        .map_err(|_| "an amount of US dollars, such as 0.05")?;
    if usd < Usd::ZERO {
        Err("an amount cannot be negative".to_owned())
    } else {
        Ok(usd)
    }
}

fn temperature(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|t| (0.0..=2.0).contains(t))
        .ok_or_else(|| "a number from 0 to 2".to_owned())
}

#[derive(Debug, Default, Args)]
pub(super) struct AskArgs {
    /// The prompt; standard input and files are added to it
    #[arg(value_name = "PROMPT")]
    pub(super) words: Vec<String>,
    /// Add a file to the prompt
    #[arg(short, long = "file", value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

impl AskArgs {
    /// These, after the files that were named before the word `ask`.
    pub(super) fn after(mut self, before: Self) -> Self {
        self.files.splice(0..0, before.files);
        self
    }
}

#[derive(Debug, Args)]
pub(super) struct CountArgs {
    /// Texts and images (PNG, JPEG, GIF, WebP) to count together; `-` or none: standard input
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// How closely the model is to look at the images
    #[arg(long, value_name = "DETAIL", default_value = "high")]
    pub(super) detail: ImageDetail,
    /// Count these tools too: a JSON array of function tools, as the API takes them
    #[arg(long, value_name = "FILE")]
    pub(super) tools: Option<PathBuf>,
    /// Count a whole request instead: the JSON body of a chat completion
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "detail", "tools"])]
    pub(super) request: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ImageDetail {
    Low,
    High,
}

impl From<ImageDetail> for Detail {
    fn from(look: ImageDetail) -> Self {
        match look {
            ImageDetail::Low => Self::Low,
            ImageDetail::High => Self::High,
        }
    }
}

/// What `completions` prints.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum CompletionTarget {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
    /// The man page: `chat-agent completions man > chat-agent.1`
    Man,
}

#[derive(Debug, Args)]
pub(super) struct StatsArgs {
    /// One line for each
    #[arg(long, value_name = "WHAT", default_value = "model")]
    pub(super) by: Grouping,
    /// How far back: 12h, 7d, 4w
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = duration)]
    pub(super) since: Duration,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Grouping {
    Day,
    Model,
    Provider,
    Session,
    Key,
}

impl From<Grouping> for By {
    fn from(by: Grouping) -> Self {
        match by {
            Grouping::Day => Self::Day,
            Grouping::Model => Self::Model,
            Grouping::Provider => Self::Provider,
            Grouping::Session => Self::Session,
            Grouping::Key => Self::Key,
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "a time such as 12h, 7d or 4w".to_owned())
}

#[derive(Debug, Subcommand)]
pub(super) enum ModelsAction {
    /// Every model, with its price and limits
    List,
    /// Everything known of one model
    Show { name: String },
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionsAction {
    /// The newest chats
    List {
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// One chat, whole
    Show { id: String },
    /// Full-text search over all chats
    Search {
        query: Vec<String>,
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Give a chat another title
    Rename { id: String, title: Vec<String> },
    /// Delete a chat for good
    Delete { id: String },
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigAction {
    /// Where the configuration file is
    Path,
    /// Write a configuration file with every key explained
    Init,
    /// Read the configuration and say what is wrong with it
    Check,
    /// The configuration in force and where each value comes from; never a key
    Show,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum CacheAction {
    /// How many answers are kept where, and how often one was found
    Stats,
    /// Forget every answer on this machine
    Clear {
        /// Also those in Redis that were sealed with this secret, for all who share them
        #[arg(long)]
        shared: bool,
    },
    /// Read every answer on disk and remove the damaged ones
    Verify,
}

#[derive(Debug, Args)]
pub(super) struct CacheOwnerArgs {
    /// The folder of the answers
    pub(super) folder: PathBuf,
    /// Bytes that it may take up
    pub(super) limit: u64,
    /// Seconds to stay when no client is connected
    #[arg(long, default_value_t = 30)]
    pub(super) linger: u64,
}

#[derive(Debug, Subcommand)]
pub(super) enum BudgetAction {
    /// Limits, spent, reserved, and requests whose price is still open
    Show,
    /// Close a request whose end was not seen, correct what an uncertain one is booked at, clear a model that billed more
    /// than it was allowed, or accept the clock
    Settle {
        /// The id of an open or uncertain request, or a model, as `budget show` names them; or `clock`, or `group`
        what: String,
        /// What the provider really billed for the request; without it the whole reservation is booked, or stays booked
        #[arg(long, value_name = "USD", value_parser = amount)]
        usd: Option<Usd>,
    },
}
