//! Money, exact.
//!
//! Owns: [`Usd`] (an integer number of pico-dollars), and how sure a figure is ([`CostKind`]).
//! Refuses: floating point on any path that decides or records; prices, which belong to the catalogue.
//! Invariant: sums and products of money are exact; nothing unknown is ever written as zero.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Pico-dollars in one dollar. One pico-dollar per token is $0.000001 per million tokens.
pub(crate) const PICO: i128 = 1_000_000_000_000;

/// US dollars as an integer number of pico-dollars (1e-12 $). May be negative (a difference, a breach).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Usd(i128);

impl Usd {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// From millionths of a millionth of a US dollar.
    pub const fn from_pico(pico: i128) -> Self {
        Self(pico)
    }

    /// In millionths of a millionth of a US dollar.
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// This price for one token times `tokens`, saturating at the ends of the range (1.7e26 dollars).
    #[must_use]
    pub fn times(self, tokens: u64) -> Self {
        Self(self.0.saturating_mul(i128::from(tokens)))
    }

    /// This amount in the proportion `part : whole`, rounded up. Where there is nothing to compare with, the amount itself.
    #[must_use]
    pub(crate) fn in_proportion(self, part: Self, whole: Self) -> Self {
        if whole.0 <= 0 {
            return self;
        }
        let product = self.0.saturating_mul(part.0);
        Self(product.div_euclid(whole.0) + i128::from(product.rem_euclid(whole.0) != 0))
    }

    /// As a float, for charts and ratios only.
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    pub(crate) fn to_f64(self) -> f64 {
        self.0 as f64 / PICO as f64
    }

    /// A sum beside which there may be something of unknown price: `$0.31`, `$0.31 + n/a`, `n/a`; never an unknown as $0.
    pub(crate) fn short_sum(self, unknown: bool) -> String {
        match (unknown, self == Self::ZERO) {
            (true, true) => "n/a".to_owned(),
            (true, false) => format!("${} + n/a", self.short()),
            (false, _) => format!("${}", self.short()),
        }
    }

    /// For people: two decimals from one dollar up, else two significant digits and at least two decimals.
    /// `$1.23`, `$0.04`, `$0.0018`, `$0.00`.
    pub(crate) fn short(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let pico = self.0.unsigned_abs();
        let unit = PICO.unsigned_abs();
        let mut decimals = 2u32;
        if pico > 0 && pico < unit {
            // The first two significant digits: 0.0018 needs four decimals, 0.04 two.
            let digits = pico.ilog10() + 1;
            decimals = (14 - digits).clamp(2, 12);
        }
        let step = 10u128.pow(12 - decimals);
        let rounded = (pico + step / 2) / step;
        let scale = 10u128.pow(decimals);
        let width = decimals as usize;
        let mut text = format!("{sign}{}.{:0width$}", rounded / scale, rounded % scale);
        while decimals > 2 && text.ends_with('0') {
            text.pop();
            decimals -= 1;
        }
        text
    }
}

/// The exact decimal, without trailing zeros: `0.001834`, `5`, `-0.5`.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let pico = self.0.unsigned_abs();
        let unit = PICO.unsigned_abs();
        let (whole, part) = (pico / unit, pico % unit);
        if part == 0 {
            return write!(f, "{sign}{whole}");
        }
        let decimals = format!("{part:012}");
        write!(f, "{sign}{whole}.{}", decimals.trim_end_matches('0'))
    }
}

/// The text is not an amount of money that can be stored exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an amount is a decimal number of US dollars with at most 12 decimals, such as 0.25")]
pub struct NotMoney;

impl FromStr for Usd {
    type Err = NotMoney;

    /// A plain decimal (`5`, `0.25`, `-1.5`, `1e-3`); anything that would lose a digit is refused.
    fn from_str(s: &str) -> Result<Self, NotMoney> {
        let (negative, body) = match s.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, s),
        };
        let (mantissa, exponent) = match body.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                (mantissa, exponent.parse::<i32>().map_err(|_| NotMoney)?)
            }
            None => (body, 0),
        };
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{part}");
        if digits.is_empty() || digits.len() > 36 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotMoney);
        }
        let value: i128 = digits.parse().map_err(|_| NotMoney)?;
        let decimals = i32::try_from(part.len()).map_err(|_| NotMoney)?;
        let shift = exponent.checked_add(12 - decimals).ok_or(NotMoney)?;
        let power = 10i128.checked_pow(shift.unsigned_abs()).ok_or(NotMoney)?;
        let pico = if shift >= 0 {
            value.checked_mul(power).ok_or(NotMoney)?
        } else if value % power == 0 {
            value / power
        } else {
            return Err(NotMoney);
        };
        Ok(Self(if negative { -pico } else { pico }))
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Usd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

/// In JSON: a decimal string.
impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// How sure a cost is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostKind {
    /// The provider returned the amount itself.
    Billed,
    /// The provider's usage times a known price.
    Exact,
    /// Our own count, or an upper bound after a cut; shown with `~`.
    Estimated,
    /// No price is known; shown as `n/a`, never as zero.
    Unknown,
    /// Free of charge by the user's word or because the model runs on this machine.
    Free,
}

/// What something cost, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// `None` exactly when `kind` is [`CostKind::Unknown`].
    pub usd: Option<Usd>,
    /// How sure the amount is.
    pub kind: CostKind,
}

impl Cost {
    pub(crate) const UNKNOWN: Self = Self {
        usd: None,
        kind: CostKind::Unknown,
    };
    pub(crate) const FREE: Self = Self {
        usd: Some(Usd::ZERO),
        kind: CostKind::Free,
    };

    pub(crate) const fn new(usd: Usd, kind: CostKind) -> Self {
        Self {
            usd: Some(usd),
            kind,
        }
    }
}

/// For people: `$0.0018`, `~$0.0018`, `n/a`, `free`.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.usd) {
            (CostKind::Unknown, _) | (_, None) => f.write_str("n/a"),
            (CostKind::Free, _) => f.write_str("free"),
            (CostKind::Estimated, Some(usd)) => write!(f, "~${}", usd.short()),
            (CostKind::Billed | CostKind::Exact, Some(usd)) => write!(f, "${}", usd.short()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_read_and_print_exactly() {
        for (text, printed) in [
            ("0", "0"),
            ("5.00", "5"),
            ("0.001834", "0.001834"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-0.50", "-0.5"),
            ("1e-3", "0.001"),
            ("2.5E2", "250"),
            ("0.000000000001", "0.000000000001"),
        ] {
            assert_eq!(usd(text).to_string(), printed, "{text}");
        }
        for bad in [
            "",
            ".",
            "-",
            "1,5",
            "NaN",
            "inf",
            "$1",
            "1e",
            "0.0000000000001",
            "1e40",
            "1e2147483647",
            "--1",
            "+1",
        ] {
            assert_eq!(bad.parse::<Usd>(), Err(NotMoney), "{bad:?}");
        }
    }

    #[test]
    fn amounts_below_a_dollar_show_two_significant_digits() {
        for (exact, short) in [
            ("1.234", "1.23"),
            ("0.04", "0.04"),
            ("0.0018341", "0.0018"),
            ("0.00002", "0.00002"),
            ("0.5", "0.50"),
            ("0.999", "1.00"),
            ("0", "0.00"),
            ("12.345", "12.35"),
            ("-0.0018", "-0.0018"),
        ] {
            assert_eq!(usd(exact).short(), short, "{exact}");
        }
    }

    #[test]
    fn a_sum_with_an_unknown_cost_is_never_shown_as_zero() {
        for (known, unknown, shown) in [
            ("0", false, "$0.00"),
            ("0.31", false, "$0.31"),
            ("0.31", true, "$0.31 + n/a"),
            ("0", true, "n/a"),
        ] {
            assert_eq!(usd(known).short_sum(unknown), shown);
        }
    }

    #[test]
    fn a_share_of_money_is_rounded_up() {
        for (amount, part, whole, share) in [
            (10, 20, 10, 20),
            (3625, 1, 2, 1813),
            (7, 0, 3, 0),
            (7, 9, 0, 7),
        ] {
            let usd = Usd::from_pico;
            assert_eq!(
                usd(amount).in_proportion(usd(part), usd(whole)),
                usd(share),
                "{amount} x {part} / {whole}"
            );
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_is_the_identity(pico in -1_000_000_000_000_000_000_000i128..1_000_000_000_000_000_000_000) {
            let amount = Usd::from_pico(pico);
            prop_assert_eq!(amount.to_string().parse::<Usd>().unwrap(), amount);
        }
    }
}
