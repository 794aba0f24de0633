//! The example file holds every key, in order, and says what is built in.

use super::super::file::{SECTIONS, TOP};
use super::super::{Config, EXAMPLE};
use super::config;

/// Whether a commented-out line is an example rather than prose.
fn example(line: &str) -> Option<&str> {
    let line = line.strip_prefix("# ")?;
    let name = line.split(" = ").next().unwrap_or_default();
    let is_key = line.contains(" = ") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    (is_key || line.starts_with('[')).then_some(line)
}

pub(super) fn everything() -> String {
    EXAMPLE
        .lines()
        .map(|line| example(line).unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_example_is_the_built_in_configuration() {
    assert_eq!(config(EXAMPLE), Config::default());
}

#[test]
fn every_example_line_loads_too() {
    let all = config(&everything());
    assert_eq!(all.budget.per_day, Some("5".parse().unwrap()));
    assert_eq!(all.redis.unwrap().budget_group.as_deref(), Some("team"));
    assert_eq!(
        (
            all.providers.len(),
            all.providers[0].keys.len(),
            all.models.len()
        ),
        (1, 4, 1)
    );
    assert!(!all.aliases.is_empty() && !all.keys.is_empty() && all.system.is_some());
    // The example of a provider is the preset; the other lines are the built-in values.
    assert_eq!((all.limits, all.slo, all.cache), {
        let built_in = Config::default();
        (built_in.limits, built_in.slo, built_in.cache)
    });
}

#[test]
fn the_example_has_every_key_in_the_order_of_the_table() {
    let mut wanted: Vec<(String, String)> = TOP
        .iter()
        .map(|key| (String::new(), key.name.to_owned()))
        .collect();
    for (section, shape) in SECTIONS {
        wanted.push(((*section).to_owned(), String::new()));
        wanted.extend(
            shape
                .names()
                .iter()
                .map(|name| ((*section).to_owned(), (*name).to_owned())),
        );
    }
    let mut section = String::new();
    let mut found = Vec::new();
    for line in everything().lines() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned();
            found.push((section.clone(), String::new()));
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            // In these two the names are the user's own.
            if section != "aliases" && section != "keys" {
                found.push((section.clone(), name.to_owned()));
            }
        }
    }
    assert_eq!(found, wanted);
}

#[test]
fn every_section_says_what_it_is_for() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        if line.starts_with('[') || example(line).is_some_and(|text| text.starts_with('[')) {
            let above = lines[index - 1];
            assert!(
                above.starts_with("# ") && example(above).is_none(),
                "nothing explains {line}"
            );
        }
    }
    assert!(
        lines.iter().all(|line| line.chars().count() <= 160),
        "a line does not fit a wide screen"
    );
}

#[test]
fn the_configuration_of_the_manual_loads() {
    let manual = config(
        r#"
model = "auto"                    # "auto", "provider/model" or an alias
[budget]
per_request = 0.10
per_session = 1.00
per_day = 5.00
per_month = 50.00
on_limit = "ask"
alerts = [0.5, 0.8, 1.0]
[router]
ladder = ["openai/gpt-5", "openai/gpt-5-mini", "openai/gpt-5-nano"]
pace = true
[cache]
enabled = true
ttl = "7d"
sampled = false
memory = "64MiB"
disk = "512MiB"
[redis]
url = "redis://…"
secret = { env = "CHAT_AGENT_REDIS_SECRET" }
budget_group = "team"
per_day = 100.0
[limits]
concurrency = 64
max_output = 8192
connect_timeout = "5s"
first_token_timeout = "60s"
idle_timeout = "30s"
retries = 3
[slo]
mean_latency = "2s"
p95_latency = "5s"
error_rate = 0.001
cpu = 0.80
memory = 0.85
requests_per_second = 100
[[providers]]
name = "openai"
base_urls = ["https://api.openai.com/v1"]
keys = [{ env = "OPENAI_API_KEY" }, { command = "op read …" }, { keyring = "chat-agent/openai" }, { file = "…" }]
headers = {}
[[models]]
id = "openai/gpt-5-mini"
input = 0.25
cached_input = 0.025
output = 2.0
context = 400000
max_output = 128000
encoding = "o200k_base"
[ui]
theme = "auto"
panel = true
mouse = false
[keys]
"#,
    );
    let cents: crate::chat::Usd = "0.1".parse().unwrap();
    assert_eq!(manual.budget.per_request, Some(cents));
    assert_eq!(
        manual.models[0].cached_input,
        Some("0.025".parse().unwrap())
    );
    // Every figure that is not an example is the built-in one.
    let built_in = Config::default();
    let budget = super::super::BudgetConfig {
        on_limit: manual.budget.on_limit,
        alerts: manual.budget.alerts,
        ..built_in.budget
    };
    let rest = Config {
        budget,
        redis: None,
        providers: Vec::new(),
        models: Vec::new(),
        ..manual
    };
    assert_eq!(rest, Config::default());
}
