//! What `config show` writes is a configuration that says the same.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::show::render;
use super::super::{
    BudgetConfig, CacheConfig, Config, ENCODINGS, KeyEntry, KeySource, LadderRung, LimitsConfig,
    Loaded, ModelEntry, NetworkConfig, OnLimit, Provenance, ProviderConfig, RedisConfig,
    RouterConfig, SloConfig, Theme, UiConfig, file, show,
};
use super::Home;
use crate::chat::{Effort, ModelId, ServiceTier, Usd};

fn usd() -> impl Strategy<Value = Usd> {
    (0..=9_000_000_000_000_000_000i128).prop_map(Usd::from_pico)
}

fn span() -> impl Strategy<Value = Duration> {
    (1..=3650 * 86_400_000u64).prop_map(Duration::from_millis)
}

fn share() -> impl Strategy<Value = f64> {
    (1..=1_000_000u32).prop_map(|n| f64::from(n) / 1_000_000.0)
}

fn name() -> impl Strategy<Value = String> {
    // A word of its own first, so that it is never `auto`.
    "[a-z][a-zA-Z0-9._:é-]{0,12}".prop_map(|rest| format!("x{rest}"))
}

fn full() -> impl Strategy<Value = ModelId> {
    (name(), "[!-~é]{1,20}").prop_map(|(provider, model)| ModelId::new(provider, model))
}

fn text() -> impl Strategy<Value = String> {
    "[^\u{0}]{0,20}".prop_map(|rest| format!("t{rest}"))
}

fn source() -> impl Strategy<Value = KeySource> {
    prop_oneof![
        "[A-Z_][A-Z0-9_]{0,20}".prop_map(KeySource::Env),
        text().prop_map(KeySource::Command),
        text().prop_map(KeySource::Keyring),
        text().prop_map(|path| KeySource::File(path.into())),
    ]
}

fn key() -> impl Strategy<Value = KeyEntry> {
    (source(), option::of(usd()), option::of(usd())).prop_map(|(source, per_day, per_month)| {
        KeyEntry {
            source,
            per_day,
            per_month,
        }
    })
}

fn budget() -> impl Strategy<Value = BudgetConfig> {
    let limit = || option::of(usd());
    let on_limit = select(vec![OnLimit::Ask, OnLimit::Downgrade, OnLimit::Refuse]);
    (
        limit(),
        limit(),
        limit(),
        limit(),
        on_limit,
        vec(share(), 0..4),
    )
        .prop_map(
            |(per_request, per_session, per_day, per_month, on_limit, alerts)| BudgetConfig {
                per_request,
                per_session,
                per_day,
                per_month,
                on_limit,
                alerts,
            },
        )
}

fn redis() -> impl Strategy<Value = RedisConfig> {
    let url = select(vec![
        "redis://h:6379/1",
        "rediss://u:p%40@h",
        "unix:///run/r.sock?pass=x",
        "redis://[::1]",
    ]);
    let limits = (option::of(usd()), option::of(usd()));
    (
        url,
        option::of(source()),
        option::of(text()),
        limits,
        any::<bool>(),
        (text(), span()),
    )
        .prop_map(
            |(url, secret, budget_group, (per_day, per_month), cluster, (prefix, patience))| {
                RedisConfig {
                    url: url.to_owned(),
                    secret,
                    budget_group,
                    per_day,
                    per_month,
                    cluster,
                    prefix,
                    patience,
                }
            },
        )
}

fn provider() -> impl Strategy<Value = ProviderConfig> {
    let url = select(vec![
        "https://api.openai.com/v1",
        "http://127.0.0.1:8080",
        "http://[::1]:1/v1",
        "https://é.example/",
    ]);
    let headers = btree_map("[a-z][a-z0-9-]{0,8}", "[ -~\t]{0,12}", 0..3);
    (vec(url, 0..3), vec(key(), 0..4), headers, any::<bool>()).prop_map(
        |(urls, keys, headers, allow_http)| ProviderConfig {
            name: String::new(),
            base_urls: urls.into_iter().map(str::to_owned).collect(),
            keys,
            headers,
            allow_http,
        },
    )
}

fn model() -> impl Strategy<Value = ModelEntry> {
    let prices = (
        option::of(usd()),
        option::of(usd()),
        option::of(usd()),
        option::of(usd()),
    );
    let limits = (option::of(usd()), option::of(usd()));
    let tokens = || option::of(1..=1_000_000_000_000u64);
    let flag = || option::of(any::<bool>());
    let efforts = option::of(vec(select(Effort::ALL.to_vec()), 0..4));
    let encoding = option::of(select(ENCODINGS.to_vec()));
    let vouched = (
        any::<bool>(),
        option::of(select(ServiceTier::ALL.to_vec())),
        limits,
    );
    (
        full(),
        prices,
        vouched,
        (tokens(), tokens()),
        encoding,
        (flag(), flag(), flag()),
        efforts,
    )
        .prop_map(
            |(
                id,
                (input, cached_input, cache_write, output),
                vouched,
                (context, max_output),
                encoding,
                can,
                efforts,
            )| {
                let (confirmed, service_tier, (per_day, per_month)) = vouched;
                ModelEntry {
                    input,
                    cached_input,
                    cache_write,
                    output,
                    free: [input, cached_input, cache_write, output]
                        .iter()
                        .flatten()
                        .all(|price| *price == Usd::ZERO),
                    confirmed,
                    service_tier,
                    context,
                    max_output,
                    encoding: encoding.map(str::to_owned),
                    tools: can.0,
                    vision: can.1,
                    reasoning: can.2,
                    efforts,
                    per_day,
                    per_month,
                    ..ModelEntry::new(id)
                }
            },
        )
}

fn machine() -> impl Strategy<
    Value = (
        CacheConfig,
        LimitsConfig,
        NetworkConfig,
        SloConfig,
        UiConfig,
    ),
> {
    let bytes = || 0..=u64::try_from(i64::MAX).unwrap();
    let cache = (
        any::<bool>(),
        span(),
        any::<bool>(),
        bytes(),
        bytes(),
        span(),
    )
        .prop_map(
            |(enabled, ttl, sampled, memory, disk, patience)| CacheConfig {
                enabled,
                ttl,
                sampled,
                memory,
                disk,
                patience,
            },
        );
    let limits = (
        1..=65_536usize,
        1..=1_000_000u64,
        span(),
        span(),
        span(),
        0..=1000u32,
    )
        .prop_map(
            |(
                concurrency,
                max_output,
                connect_timeout,
                first_token_timeout,
                idle_timeout,
                retries,
            )| LimitsConfig {
                concurrency,
                max_output,
                connect_timeout,
                first_token_timeout,
                idle_timeout,
                retries,
            },
        );
    let slo = (
        span(),
        span(),
        0.0..=1.0f64,
        share(),
        share(),
        1e-9..1e12f64,
    )
        .prop_map(
            |(mean_latency, p95_latency, error_rate, cpu, memory, requests_per_second)| SloConfig {
                mean_latency,
                p95_latency,
                error_rate,
                cpu,
                memory,
                requests_per_second,
            },
        );
    let ui = (
        select(vec![Theme::Auto, Theme::Dark, Theme::Light]),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(theme, panel, mouse, notify)| UiConfig {
            theme,
            panel,
            mouse,
            notify,
        });
    let network = option::of(text()).prop_map(|file| NetworkConfig {
        extra_ca_file: file.map(Into::into),
    });
    (cache, limits, network, slo, ui)
}

fn any_config() -> impl Strategy<Value = Config> {
    let top = (
        name(),
        vec(name(), 0..3),
        option::of(any::<String>()),
        btree_map(name(), full(), 0..3),
    );
    let rung = (full(), option::of(select(Effort::ALL.to_vec())));
    let rung = rung.prop_map(|(model, effort)| LadderRung { model, effort });
    let router =
        (vec(rung, 0..4), any::<bool>()).prop_map(|(ladder, pace)| RouterConfig { ladder, pace });
    let keys = btree_map(text(), vec(text(), 0..3), 0..3);
    (
        top,
        budget(),
        router,
        option::of(redis()),
        vec(provider(), 0..3),
        vec(model(), 0..3),
        keys,
        machine(),
    )
        .prop_map(
            |(
                top,
                budget,
                router,
                redis,
                mut providers,
                mut models,
                keys,
                (cache, limits, network, slo, ui),
            )| {
                let (model, favourites, system, aliases) = top;
                let aliases: BTreeMap<_, _> = aliases
                    .into_iter()
                    .map(|(name, id)| (name, id.to_string()))
                    .collect();
                // What must differ from entry to entry is numbered.
                for (index, provider) in providers.iter_mut().enumerate() {
                    provider.name = format!("provider-{index}");
                }
                for (index, entry) in models.iter_mut().enumerate() {
                    entry.id =
                        ModelId::new(format!("{}{index}", entry.id.provider()), entry.id.model());
                    entry.alias = (index > 0).then(|| format!("alias-{index}"));
                }
                Config {
                    model,
                    favourites,
                    system,
                    aliases,
                    budget,
                    router,
                    cache,
                    redis,
                    limits,
                    network,
                    slo,
                    providers,
                    models,
                    ui,
                    keys,
                }
            },
        )
}

proptest! {
    #[test]
    fn what_is_rendered_reads_back_to_the_same(config in any_config()) {
        let text = render(&config, &Provenance::default());
        let (read, _) = file::read(&text).map_err(|fault| TestCaseError::fail(format!("{fault:?}\n{text}")))?;
        prop_assert_eq!(read, config);
    }

    #[test]
    fn what_is_shown_reads_back_to_the_same_without_its_secrets(config in any_config()) {
        let locations = Home::new().load().map_err(|error| TestCaseError::fail(error.to_string()))?.locations;
        let loaded = Loaded { config: config.clone(), locations, provenance: Provenance::default() };
        let text = show(&loaded);
        let (read, _) = file::read(&text).map_err(|fault| TestCaseError::fail(format!("{fault:?}\n{text}")))?;
        prop_assert_eq!(&read, &config.masked());
        prop_assert_eq!(read.masked(), read);
        // Safe for a terminal, and one setting a line.
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        prop_assert!(text.lines().all(|line| line.is_empty() || line.starts_with('[') || line.ends_with("# default")));
    }
}
