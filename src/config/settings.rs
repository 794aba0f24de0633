//! Every setting, and its built-in value.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{LadderRung, rules};
use crate::chat::{Effort, ModelId, ServiceTier, Usd};

/// Every setting. [`Config::default`] is what the program does with no file at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `auto`, a full name, a bare name or an alias; resolved against the catalogue elsewhere.
    pub model: String,
    /// In the form of `model`, in the order in which F2 walks them.
    pub favourites: Vec<String>,
    /// The system prompt of new chats.
    pub system: Option<String>,
    /// Short name to full name.
    pub aliases: BTreeMap<String, String>,
    /// `[budget]`
    pub budget: BudgetConfig,
    /// `[router]`
    pub router: RouterConfig,
    /// `[cache]`
    pub cache: CacheConfig,
    /// `[redis]`; `None`: everything is on this machine.
    pub redis: Option<RedisConfig>,
    /// `[limits]`
    pub limits: LimitsConfig,
    /// `[network]`
    pub network: NetworkConfig,
    /// `[slo]`
    pub slo: SloConfig,
    /// `[[providers]]`, in the order of the file.
    pub providers: Vec<ProviderConfig>,
    /// `[[models]]`, in the order of the file.
    pub models: Vec<ModelEntry>,
    /// `[ui]`
    pub ui: UiConfig,
    /// Action to key names, as written; the screen knows which are legal.
    pub keys: BTreeMap<String, Vec<String>>,
}

/// `None` is no limit; zero is a limit under which nothing may be spent.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetConfig {
    pub(crate) per_request: Option<Usd>,
    pub(crate) per_session: Option<Usd>,
    pub(crate) per_day: Option<Usd>,
    pub(crate) per_month: Option<Usd>,
    pub on_limit: OnLimit,
    /// Shares of a limit at which to warn, each above 0 and at most 1.
    pub(crate) alerts: Vec<f64>,
}

/// What happens when a request does not fit the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLimit {
    /// A dialog lets the user choose; without a screen as [`Self::Downgrade`].
    Ask,
    /// `auto` takes the best rung that fits.
    Downgrade,
    /// Nothing is sent.
    Refuse,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterConfig {
    /// Best first.
    pub ladder: Vec<LadderRung>,
    pub pace: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    pub(crate) enabled: bool,
    pub(crate) ttl: Duration,
    /// Also keep answers to requests that set a temperature above 0.
    pub(crate) sampled: bool,
    /// Bytes.
    pub(crate) memory: u64,
    /// Bytes.
    pub(crate) disk: u64,
    /// The longest time that a question waits for the disk cache.
    pub(crate) patience: Duration,
}

/// `[redis]`: what machines share.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisConfig {
    /// May hold credentials: shown masked only.
    pub url: String,
    /// Encrypts shared answers; `None`: answers are not shared.
    pub secret: Option<KeySource>,
    /// The machines that share a budget; `None`: all that use this Redis.
    pub budget_group: Option<String>,
    /// Of the group, in days and months of UTC.
    pub per_day: Option<Usd>,
    /// The limit for a calendar month.
    pub per_month: Option<Usd>,
    /// The address is one of several that share the keys.
    pub cluster: bool,
    /// The prefix of every key in Redis.
    pub prefix: String,
    /// The longest time that a request waits for Redis.
    pub patience: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Requests at a time, for each provider.
    pub concurrency: usize,
    /// Tokens.
    pub(crate) max_output: u64,
    pub(crate) connect_timeout: Duration,
    pub first_token_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub retries: u32,
}

/// How servers are reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkConfig {
    /// Certificates (PEM) that are trusted in addition to the system's. After [`load`](super::load) the path is absolute and the file exists.
    pub(crate) extra_ca_file: Option<PathBuf>,
}

/// Goals; an alert is raised when one is missed. Latency is to the first token; the others are shares of one.
#[derive(Debug, Clone, PartialEq)]
pub struct SloConfig {
    pub(crate) mean_latency: Duration,
    pub(crate) p95_latency: Duration,
    pub(crate) error_rate: f64,
    pub(crate) cpu: f64,
    pub(crate) memory: f64,
    /// Of a batch only.
    pub(crate) requests_per_second: f64,
}

/// `[[providers]]`: a provider of the user's, or a change to a known one.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ProviderConfig {
    /// The part of a model's name before the slash.
    pub name: String,
    /// Empty: the preset's own.
    pub base_urls: Vec<String>,
    /// Empty: the preset's usual variable.
    pub keys: Vec<KeyEntry>,
    /// May hold secrets: values are shown masked only.
    pub headers: BTreeMap<String, String>,
    /// Plain http to a host that is not this machine.
    pub allow_http: bool,
}

/// Where a key is found, as written; nothing in this room reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The name of an environment variable.
    Env(String),
    /// A command line whose output is the key.
    Command(String),
    /// `service/account`.
    Keyring(String),
    /// The content of a file that only the user can read.
    File(PathBuf),
}

/// A key of a provider: where it is found, and what may be spent with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Where the key is found.
    pub source: KeySource,
    /// The limit for a calendar day.
    pub per_day: Option<Usd>,
    /// The limit for a calendar month.
    pub per_month: Option<Usd>,
}

/// A key without limits.
impl From<KeySource> for KeyEntry {
    fn from(source: KeySource) -> Self {
        Self {
            source,
            per_day: None,
            per_month: None,
        }
    }
}

/// What the user says about a model: adds to the catalogue, or overrides it line by line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    /// The full name.
    pub id: ModelId,
    /// US dollars per million tokens, like the next three; 0 is free of charge for that part.
    pub input: Option<Usd>,
    /// US dollars per million input tokens that the provider has in its cache.
    pub cached_input: Option<Usd>,
    /// US dollars per million input tokens that the provider puts into its cache.
    pub cache_write: Option<Usd>,
    /// US dollars per million output tokens.
    pub output: Option<Usd>,
    /// The model costs nothing.
    pub free: bool,
    /// The user confirms that the catalogue's price applies at the changed address.
    pub confirmed: bool,
    /// The service tier that requests ask for; `None`: as the catalogue has it, which is the standard one.
    pub service_tier: Option<ServiceTier>,
    /// Tokens.
    pub context: Option<u64>,
    /// Tokens.
    pub max_output: Option<u64>,
    /// One of [`ENCODINGS`](super::rules::ENCODINGS).
    pub encoding: Option<String>,
    /// Whether the model can call tools.
    pub tools: Option<bool>,
    /// Whether the model takes images.
    pub vision: Option<bool>,
    /// Whether the model reasons before it answers.
    pub reasoning: Option<bool>,
    /// The efforts that it takes.
    pub efforts: Option<Vec<Effort>>,
    /// A short name for it.
    pub alias: Option<String>,
    /// What may be spent on it.
    pub per_day: Option<Usd>,
    /// The limit for a calendar month.
    pub per_month: Option<Usd>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UiConfig {
    pub(crate) theme: Theme,
    pub(crate) panel: bool,
    pub(crate) mouse: bool,
    /// Show alerts as notifications of the terminal while its window has no focus.
    pub(crate) notify: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Follows the terminal's background.
    Auto,
    Dark,
    Light,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model: "auto".to_owned(),
            favourites: Vec::new(),
            system: None,
            aliases: BTreeMap::new(),
            budget: BudgetConfig {
                per_request: None,
                per_session: None,
                per_day: None,
                per_month: None,
                on_limit: OnLimit::Ask,
                alerts: vec![0.5, 0.8, 1.0],
            },
            router: RouterConfig {
                ladder: ["gpt-5", "gpt-5-mini", "gpt-5-nano"]
                    .map(|name| LadderRung {
                        model: ModelId::new("openai", name),
                        effort: None,
                    })
                    .into(),
                pace: true,
            },
            cache: CacheConfig {
                enabled: true,
                ttl: Duration::from_hours(7 * 24),
                sampled: false,
                memory: 64 << 20,
                disk: 512 << 20,
                patience: Duration::from_millis(20),
            },
            redis: None,
            limits: LimitsConfig {
                concurrency: 64,
                max_output: 8192,
                connect_timeout: Duration::from_secs(5),
                first_token_timeout: Duration::from_mins(1),
                idle_timeout: Duration::from_secs(30),
                retries: 3,
            },
            network: NetworkConfig::default(),
            slo: SloConfig {
                mean_latency: Duration::from_secs(2),
                p95_latency: Duration::from_secs(5),
                error_rate: 0.001,
                cpu: 0.80,
                memory: 0.85,
                requests_per_second: 100.0,
            },
            providers: Vec::new(),
            models: Vec::new(),
            ui: UiConfig {
                theme: Theme::Auto,
                panel: true,
                mouse: false,
                notify: false,
            },
            keys: BTreeMap::new(),
        }
    }
}

impl ModelEntry {
    /// An entry without any setting.
    pub fn new(id: ModelId) -> Self {
        Self {
            id,
            input: None,
            cached_input: None,
            cache_write: None,
            output: None,
            free: false,
            confirmed: false,
            service_tier: None,
            context: None,
            max_output: None,
            encoding: None,
            tools: None,
            vision: None,
            reasoning: None,
            efforts: None,
            alias: None,
            per_day: None,
            per_month: None,
        }
    }
}

impl RedisConfig {
    /// With the built-in value for everything else.
    pub(crate) fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            secret: None,
            budget_group: None,
            per_day: None,
            per_month: None,
            cluster: false,
            prefix: "chat-agent:".to_owned(),
            patience: Duration::from_millis(100),
        }
    }
}

impl Config {
    /// The same settings with everything that may be a secret replaced by stars; still a legal configuration.
    #[must_use]
    pub(crate) fn masked(&self) -> Self {
        let mut masked = self.clone();
        for provider in &mut masked.providers {
            provider
                .headers
                .values_mut()
                .for_each(|value| value.replace_range(.., rules::STARS));
        }
        if let Some(redis) = &mut masked.redis {
            redis.url = rules::masked_url(&redis.url);
        }
        masked
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("name", &self.name)
            .field("base_urls", &self.base_urls)
            .field("keys", &self.keys)
            .field("headers", &self.headers.keys())
            .field("allow_http", &self.allow_http)
            .finish()
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("url", &rules::masked_url(&self.url))
            .field("secret", &self.secret)
            .field("budget_group", &self.budget_group)
            .field("per_day", &self.per_day)
            .field("per_month", &self.per_month)
            .field("cluster", &self.cluster)
            .field("prefix", &self.prefix)
            .field("patience", &self.patience)
            .finish()
    }
}
