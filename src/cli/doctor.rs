//! `doctor`: what works and what does not, on one screen, without paying for anything.
//!
//! Owns: the lines of the report, their order, and the exit status: 0 when something usable works.
//! Refuses: to change anything, and to show a key.
//! Invariant: every provider is looked at at the same time; the report is there within seconds.

mod survey;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;

use super::args::Shared;
use super::output;
use super::setup::{self, Core};
use crate::cache::Cache;
use crate::chat::Failure;
use crate::chat::text::one_line;
use crate::gateway::Gateway;
use crate::provider::{LocalServer, client, local_servers};
use survey::{AddressSurvey, Survey};

/// How long servers on this machine are waited for.
const NEAR: Duration = Duration::from_millis(300);
/// After so long the user is told what is waited for.
const SILENCE: Duration = Duration::from_secs(1);
/// A clock that is further off than this is a fault: certificates and bills depend on it.
const CLOCK_MS: i64 = 5 * 60 * 1000;

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Line {
    name: String,
    /// `null`: neither good nor bad.
    ok: Option<bool>,
    text: String,
}

impl Line {
    fn new(name: impl Into<String>, ok: Option<bool>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ok,
            text: text.into(),
        }
    }
}

#[derive(Serialize)]
struct Report {
    usable: Vec<String>,
    lines: Vec<Line>,
}

pub(super) async fn run(shared: &Shared) -> Result<u8, Failure> {
    let core = setup::core(shared)?;
    let gateway = &core.gateway;
    let names = survey::surveyed(gateway);
    let roots = tokio::task::spawn_blocking(client::system_roots);
    let look = async {
        tokio::join!(
            surveys(gateway, &names),
            local_servers(gateway.wire(), &gateway.parts().providers, NEAR),
            roots,
            folder_lines(&core)
        )
    };
    let (surveys, near, roots, folders) = said_late(look, &names).await;
    let mut lines = folders;
    lines.extend(network_lines(&core, roots.unwrap_or_default()));
    lines.extend(surveys.iter().flat_map(provider_lines));
    lines.extend(near.iter().map(local_line));
    let remote = surveys
        .iter()
        .filter(|survey| survey.is_usable())
        .map(|survey| survey.provider.clone());
    let mut usable: Vec<String> = remote
        .chain(near.iter().map(|server| server.provider.clone()))
        .collect();
    usable.dedup();
    if usable.is_empty() {
        let mend = if names.is_empty() {
            "set OPENAI_API_KEY, or start a server such as Ollama"
        } else {
            "see above"
        };
        lines.push(Line::new(
            "usable",
            Some(false),
            format!("nothing but the built-in guide: {mend}"),
        ));
    } else {
        lines.push(Line::new("usable", Some(true), usable.join(", ")));
    }
    let report = Report { usable, lines };
    let printed = if shared.json {
        output::json(&report)
    } else {
        output::report(&page(&report.lines))
    };
    Ok(u8::from(printed.is_err() || report.usable.is_empty()))
}

/// Says what is waited for when it takes long.
async fn said_late<T>(work: impl Future<Output = T>, names: &[String]) -> T {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(SILENCE) => {}
    }
    output::remark(&format!(
        "waiting for {}",
        if names.is_empty() {
            "this machine".to_owned()
        } else {
            names.join(", ")
        }
    ));
    work.await
}

/// Looks at every provider at once; the answer is in their order.
async fn surveys(gateway: &Arc<Gateway>, names: &[String]) -> Vec<Survey> {
    let mut asked = JoinSet::new();
    for (at, name) in names.iter().cloned().enumerate() {
        let gateway = Arc::clone(gateway);
        asked.spawn(async move { (at, survey::survey(&gateway, &name).await) });
    }
    let mut found = asked.join_all().await;
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().filter_map(|(_, survey)| survey).collect()
}

/// Files and folders, and what lies in them.
async fn folder_lines(core: &Core) -> Vec<Line> {
    let at = &core.loaded.locations;
    let found = if at.config_found {
        ""
    } else {
        " (not there: the built-in values hold)"
    };
    let shown = |path: &Path| path.display().to_string();
    let store = match core.gateway.store().await {
        Ok(_) => Line::new("store", Some(true), "chat.db opens"),
        Err(failure) => Line::new("store", Some(false), failure.to_string()),
    };
    vec![
        Line::new("config", None, format!("{}{found}", shown(&at.config_file))),
        Line::new("data", None, shown(&at.data_dir)),
        store,
        cache_line(core).await,
        redis_line(core).await,
    ]
}

/// Where answers are kept, and which process holds them. None is started for it.
async fn cache_line(core: &Core) -> Line {
    let config = &core.loaded.config;
    if !config.cache.enabled {
        return Line::new("cache", None, "off");
    }
    let folder = core.loaded.locations.data_dir.join("cache");
    // Without a program to start, only an owner that is there is asked.
    let look = Cache::new(&folder, setup::cache_settings(config), None, None);
    let owner = look.figures().await.into_iter().find_map(|tier| tier.owner);
    let held = match owner {
        Some(owner) => {
            format!(
                "held by process {}, up {} s, {} connected",
                owner.pid, owner.uptime_s, owner.clients
            )
        }
        None => "no owner answers now".to_owned(),
    };
    Line::new("cache", None, format!("{} · {held}", folder.display()))
}

/// Whether the Redis that is configured answers.
async fn redis_line(core: &Core) -> Line {
    let (Some(config), Some(redis)) = (&core.loaded.config.masked().redis, core.gateway.redis())
    else {
        return Line::new(
            "redis",
            None,
            "not configured: everything stays on this machine",
        );
    };
    let began = Instant::now();
    let (ok, said) = match redis.answers().await {
        Ok(()) => (
            true,
            format!("answers in {} ms", began.elapsed().as_millis()),
        ),
        Err(away) => (false, away.to_string()),
    };
    let group = core.gateway.parts().budget.limits.group.as_ref();
    let group = group
        .map(|group| format!(" · budget of the group {}", group.name))
        .unwrap_or_default();
    Line::new("redis", Some(ok), format!("{} · {said}{group}", config.url))
}

fn network_lines(core: &Core, system_roots: usize) -> Vec<Line> {
    let network = core.gateway.wire().network();
    let own = network
        .extra_ca_file
        .as_deref()
        .map(|file| (file, client::certificates(file)));
    let system = format!("{system_roots} authorities of the system");
    let tls = match own {
        None => Line::new("tls", Some(system_roots > 0), system),
        Some((file, Ok(own))) => Line::new(
            "tls",
            Some(true),
            format!("{system}, {} of {}", own.len(), file.display()),
        ),
        Some((_, Err(cause))) => Line::new("tls", Some(false), cause),
    };
    let mut lines = vec![tls];
    let ignored = network.proxies.ignored().iter();
    lines.extend(ignored.map(|name| {
        Line::new(
            "proxy",
            Some(false),
            format!("{name} holds no address of a proxy: it is ignored"),
        )
    }));
    lines
}

/// A line for each address, the first with what belongs to all of them, and one for each key that cannot be used.
fn provider_lines(survey: &Survey) -> Vec<Line> {
    let (mut keys, mut prices) = (Vec::new(), None);
    keys.extend(survey.keys.iter().map(|key| {
        format!(
            "key {} ({})",
            key.last4,
            survey::in_words(&key.entry.source)
        )
    }));
    if survey.known > 0 {
        prices = Some(format!(
            "{} of {} prices known",
            survey.priced, survey.known
        ));
    }
    let addresses = survey.addresses.iter().map(|address| {
        let said = address_words(address, std::mem::take(&mut keys), prices.take());
        let right = address.clock_ms.unwrap_or_default().abs() <= CLOCK_MS;
        Line::new(
            &survey.provider,
            Some(address.models.is_ok() && right),
            said.join(" · "),
        )
    });
    let mut lines: Vec<Line> = addresses.collect();
    lines.extend(
        survey
            .key_errors
            .iter()
            .map(|error| Line::new(&survey.provider, Some(false), error)),
    );
    lines
}

fn address_words(
    address: &AddressSurvey,
    mut said: Vec<String>,
    prices: Option<String>,
) -> Vec<String> {
    if let Some(ms) = address.reached_ms {
        said.push(format!(
            "{} in {ms} ms, HTTP/{}",
            address.host,
            if address.http2 { "2" } else { "1.1" }
        ));
    } else {
        said.push(address.host.clone());
    }
    said.extend(
        address
            .through
            .iter()
            .map(|proxy| format!("through {proxy}")),
    );
    if address.plain {
        said.push("PLAIN HTTP: everybody on the way can read the key".to_owned());
    }
    match &address.models {
        Ok(models) => said.push(format!("{models} models")),
        Err(cause) => said.push(cause.clone()),
    }
    said.extend(prices);
    let off = address.clock_ms.unwrap_or_default();
    if off.abs() > CLOCK_MS {
        let side = if off > 0 { "behind" } else { "ahead" };
        said.push(format!(
            "this machine's clock is {} s {side}: set it",
            off.abs() / 1000
        ));
    } else if address.clock_ms.is_some() {
        said.push("clocks agree".to_owned());
    }
    said
}

fn local_line(server: &LocalServer) -> Line {
    let text = format!(
        "{} on this machine · {} models",
        server.host,
        server.models.len()
    );
    Line::new(&server.provider, Some(true), text)
}

fn page(lines: &[Line]) -> String {
    let width = lines
        .iter()
        .map(|line| line.name.chars().count())
        .max()
        .unwrap_or_default();
    let mut page = String::new();
    for line in lines {
        let mark = match line.ok {
            Some(true) => "ok",
            Some(false) => "!!",
            None => "  ",
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            page,
            "{mark}  {:width$}  {}",
            one_line(&line.name).as_str(),
            one_line(&line.text).as_str()
        );
    }
    page
}
