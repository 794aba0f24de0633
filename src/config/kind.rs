//! The kinds of plain value a setting can have: how each is read from the file and written back.
//!
//! Owns: [`ValueKind`] and one type for each kind; money is taken from the literal's own digits, never through a float.
//! Refuses: names of settings (the key table has them) and checks that look at several settings (`agreement` has them).
//! Invariant: reading what [`ValueKind::show`] wrote gives the same value; a fault never quotes the value.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::error::{ConfigFault, SpannedValue};
use super::{LadderRung, OnLimit, Theme, rules, value};
use crate::chat::{Effort, ModelId, ServiceTier, Usd};

/// One kind of value.
pub(super) trait ValueKind {
    type Of;
    fn read(item: &SpannedValue) -> Result<Self::Of, ConfigFault>;
    /// TOML on one line; `None`: not set, so there is nothing to write.
    fn show(value: &Self::Of) -> Option<String>;
}

/// The fault "expected `what`" at the item.
pub(super) fn expected<T>(item: &SpannedValue, what: &str) -> Result<T, ConfigFault> {
    Err(ConfigFault::new(
        item.span().start,
        format!("expected {what}"),
    ))
}

/// The text of an item that must be a text.
pub(super) fn text<'a>(item: &'a SpannedValue, what: &str) -> Result<&'a str, ConfigFault> {
    item.get_ref()
        .as_str()
        .map_or_else(|| expected(item, what), Ok)
}

/// A setting that may be absent.
pub(super) struct MaybeKind<K>(PhantomData<K>);

impl<K: ValueKind> ValueKind for MaybeKind<K> {
    type Of = Option<K::Of>;

    fn read(item: &SpannedValue) -> Result<Self::Of, ConfigFault> {
        K::read(item).map(Some)
    }

    fn show(value: &Self::Of) -> Option<String> {
        value.as_ref().and_then(K::show)
    }
}

/// A list of one kind.
pub(super) struct ListKind<K>(PhantomData<K>);

impl<K: ValueKind> ValueKind for ListKind<K> {
    type Of = Vec<K::Of>;

    fn read(item: &SpannedValue) -> Result<Self::Of, ConfigFault> {
        match item.get_ref().as_array() {
            Some(items) => items.iter().map(K::read).collect(),
            None => expected(item, "a list in [ ]"),
        }
    }

    fn show(value: &Self::Of) -> Option<String> {
        Some(format!(
            "[{}]",
            value
                .iter()
                .filter_map(K::show)
                .collect::<Vec<_>>()
                .join(", ")
        ))
    }
}

/// Yes or no.
pub(super) struct FlagKind;

impl ValueKind for FlagKind {
    type Of = bool;

    fn read(item: &SpannedValue) -> Result<bool, ConfigFault> {
        item.get_ref()
            .as_bool()
            .map_or_else(|| expected(item, "true or false"), Ok)
    }

    fn show(value: &bool) -> Option<String> {
        Some(value.to_string())
    }
}

/// Kinds that are a text with a rule: name, what is expected, the rule.
macro_rules! text_kinds {
    ($($(#[$doc:meta])* $name:ident, $what:expr, $rule:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl ValueKind for $name {
            type Of = String;

            fn read(item: &SpannedValue) -> Result<String, ConfigFault> {
                let written = text(item, $what)?;
                let rule: fn(&str) -> Result<(), String> = $rule;
                rule(written).map_err(|cause| ConfigFault::new(item.span().start, cause))?;
                Ok(written.to_owned())
            }

            fn show(value: &String) -> Option<String> {
                Some(value::quote(value))
            }
        }
    )*};
}

text_kinds! {
    /// Any text.
    TextKind, "a text in quotes", |_| Ok(());
    /// A text that is not blank.
    LabelKind, "a text in quotes", rules::label;
    /// `auto`, a model's name or an alias.
    ChoiceKind, "a model's name in quotes", rules::choice;
    AliasKind, "an alias in quotes", rules::alias;
    /// What an alias stands for.
    TargetKind, rules::FULL_NAME, rules::full_name;
    ProviderNameKind, "a provider's name in quotes", rules::provider_name;
    BaseUrlKind, "an address such as \"https://api.openai.com/v1\"", rules::base_url;
    RedisUrlKind, "an address such as \"redis://127.0.0.1:6379\"", rules::redis_url;
    EncodingNameKind, "the name of an encoding in quotes", rules::encoding;
}

/// One rung of the ladder in quotes.
pub(super) struct RungKind;

impl ValueKind for RungKind {
    type Of = LadderRung;

    fn read(item: &SpannedValue) -> Result<LadderRung, ConfigFault> {
        text(item, rules::FULL_NAME)?
            .parse()
            .map_err(|cause: String| ConfigFault::new(item.span().start, cause))
    }

    fn show(value: &LadderRung) -> Option<String> {
        Some(value::quote(&value.to_string()))
    }
}

/// The name of a file.
pub(super) struct FileNameKind;

impl ValueKind for FileNameKind {
    type Of = PathBuf;

    fn read(item: &SpannedValue) -> Result<PathBuf, ConfigFault> {
        let written = text(item, "the name of a file in quotes")?;
        rules::label(written).map_err(|cause| ConfigFault::new(item.span().start, cause))?;
        Ok(PathBuf::from(written))
    }

    fn show(value: &PathBuf) -> Option<String> {
        value.to_str().map(value::quote)
    }
}

/// A model's full name.
pub(super) struct FullNameKind;

impl ValueKind for FullNameKind {
    type Of = ModelId;

    fn read(item: &SpannedValue) -> Result<ModelId, ConfigFault> {
        let written = text(item, rules::FULL_NAME)?;
        match (rules::full_name(written), written.parse()) {
            (Ok(()), Ok(id)) => Ok(id),
            _ => expected(item, rules::FULL_NAME),
        }
    }

    fn show(value: &ModelId) -> Option<String> {
        Some(value::quote(&value.to_string()))
    }
}

/// One of a few known words.
pub(super) trait Keyword: Copy + 'static {
    const ALL: &'static [Self];
    fn word(self) -> &'static str;
}

impl Keyword for OnLimit {
    const ALL: &'static [Self] = &[Self::Ask, Self::Downgrade, Self::Refuse];
    fn word(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Downgrade => "downgrade",
            Self::Refuse => "refuse",
        }
    }
}

impl Keyword for Theme {
    const ALL: &'static [Self] = &[Self::Auto, Self::Dark, Self::Light];
    fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dark => "dark",
            Self::Light => "light",
        }
    }
}

impl Keyword for Effort {
    const ALL: &'static [Self] = &Effort::ALL;
    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl Keyword for ServiceTier {
    const ALL: &'static [Self] = &ServiceTier::ALL;
    fn word(self) -> &'static str {
        self.as_str()
    }
}

pub(super) struct OneOfKind<W>(PhantomData<W>);

impl<W: Keyword> ValueKind for OneOfKind<W> {
    type Of = W;

    fn read(item: &SpannedValue) -> Result<W, ConfigFault> {
        let words = || W::ALL.iter().map(|w| w.word());
        let list = words().collect::<Vec<_>>().join(", ");
        let written = text(item, &format!("one of {list}, in quotes"))?;
        W::ALL
            .iter()
            .copied()
            .find(|w| w.word() == written)
            .ok_or_else(|| {
                ConfigFault::new(
                    item.span().start,
                    format!("expected one of {list}{}", rules::nearest(written, words())),
                )
            })
    }

    fn show(value: &W) -> Option<String> {
        Some(value::quote(value.word()))
    }
}

/// US dollars, 0 or more, exactly as the digits say.
pub(super) struct DollarsKind;

impl ValueKind for DollarsKind {
    type Of = Usd;

    fn read(item: &SpannedValue) -> Result<Usd, ConfigFault> {
        let digits = match item.get_ref() {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            _ => return expected(item, "an amount of US dollars such as 0.25, without quotes"),
        };
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        match digits.parse::<Usd>() {
            Ok(amount) if amount >= Usd::ZERO => Ok(amount),
            Ok(_) => expected(item, "an amount of 0 or more (leave the line out for none)"),
            Err(_) => expected(
                item,
                "an amount of US dollars with at most 12 decimals, such as 0.25",
            ),
        }
    }

    fn show(value: &Usd) -> Option<String> {
        Some(value.to_string())
    }
}

/// A length of time above zero.
pub(super) struct DurationKind;

impl ValueKind for DurationKind {
    type Of = Duration;

    fn read(item: &SpannedValue) -> Result<Duration, ConfigFault> {
        let what =
            "a time above zero such as \"250ms\", \"5s\", \"1h30m\" or \"7d\" (at most 3650d)";
        match value::parse_duration(text(item, what)?) {
            Some(length) if !length.is_zero() => Ok(length),
            _ => expected(item, what),
        }
    }

    fn show(value: &Duration) -> Option<String> {
        Some(value::quote(&value::duration(*value)))
    }
}

/// A number of bytes.
pub(super) struct SizeKind;

impl ValueKind for SizeKind {
    type Of = u64;

    fn read(item: &SpannedValue) -> Result<u64, ConfigFault> {
        let what = "a size with its unit such as \"64MiB\" or \"512 MB\"";
        value::parse_bytes(text(item, what)?).map_or_else(|| expected(item, what), Ok)
    }

    fn show(value: &u64) -> Option<String> {
        Some(value::quote(&value::bytes(*value)))
    }
}

/// Kinds that are a whole number: name, type, least, most.
macro_rules! whole_kinds {
    ($($(#[$doc:meta])* $name:ident, $of:ty, $least:literal, $most:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl ValueKind for $name {
            type Of = $of;

            fn read(item: &SpannedValue) -> Result<$of, ConfigFault> {
                let (least, most): (i64, i64) = ($least, $most);
                item.get_ref()
                    .as_integer()
                    .and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok())
                    .filter(|n| (least..=most).contains(n))
                    .and_then(|n| <$of>::try_from(n).ok())
                    .map_or_else(|| expected(item, &format!("a whole number from {least} to {most}")), Ok)
            }

            fn show(value: &$of) -> Option<String> {
                Some(value.to_string())
            }
        }
    )*};
}

whole_kinds! {
    /// A number of tokens.
    TokensKind, u64, 1, 1_000_000_000_000;
    /// A number of concurrent requests; no machine has ports for more.
    ParallelKind, usize, 1, 65_536;
    TriesKind, u32, 0, 1000;
}

/// Kinds that are a number: name, what is expected, the rule.
macro_rules! number_kinds {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $rule:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl ValueKind for $name {
            type Of = f64;

            fn read(item: &SpannedValue) -> Result<f64, ConfigFault> {
                let digits = match item.get_ref() {
                    DeValue::Float(float) => float.as_str(),
                    DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
                    _ => return expected(item, $what),
                };
                let rule: fn(f64) -> bool = $rule;
                match digits.parse::<f64>() {
                    Ok(number) if number.is_finite() && rule(number) => Ok(number),
                    _ => expected(item, $what),
                }
            }

            fn show(value: &f64) -> Option<String> {
                // The shortest digits that read back to the same number, always with a point or an exponent.
                Some(format!("{value:?}"))
            }
        }
    )*};
}

number_kinds! {
    /// A share of a limit.
    ShareKind, "a number above 0 and at most 1, such as 0.8", |n| n > 0.0 && n <= 1.0;
    /// A share that may be 0.
    RateKind, "a number from 0 to 1, such as 0.001", |n| (0.0..=1.0).contains(&n);
    PositiveKind, "a number above 0", |n| n > 0.0;
}
