//! What a model's own usage teaches about our count of its input.
//!
//! Owns: [`Calibration`]: the factor between our count and the server's, and how far a single answer strays from it.
//! Refuses: upper bounds. They stay byte counts, because a budget must hold in unusual cases too.
//! Invariant: fewer than [`Calibration::LEAST`] answers teach nothing; outliers have little effect while they are fewer
//! than half.

/// The factor is kept in millionths.
const ONE: u128 = 1_000_000;
/// In thousandths: no band is narrower, because the next text differs from the last ones.
const NARROWEST: u32 = 10;

/// How the server's count of a model's input relates to ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Calibration {
    /// The server's tokens for a million of ours.
    factor: u64,
    /// In thousandths of the corrected count.
    band: u32,
}

impl Calibration {
    /// Answers without which nothing is learned.
    pub(crate) const LEAST: usize = 5;

    /// Learns from pairs of our raw count and what the server counted, at least [`Self::LEAST`] of them. The factor is
    /// the middle one of their ratios; the band holds nine answers in ten. Pairs with a 0 say nothing and are left out.
    pub(crate) fn learn(samples: &[(u64, u64)]) -> Option<Self> {
        let usable: Vec<_> = samples
            .iter()
            .filter(|(counted, actual)| *counted > 0 && *actual > 0)
            .collect();
        if usable.len() < Self::LEAST {
            return None;
        }
        let ratio = |(counted, actual): &(u64, u64)| {
            clamped(u128::from(*actual) * ONE / u128::from(*counted)).max(1)
        };
        let mut ratios: Vec<u64> = usable.iter().map(|pair| ratio(pair)).collect();
        ratios.sort_unstable();
        let factor = ratios[(ratios.len() - 1) / 2];
        let mut residuals: Vec<u64> = usable
            .iter()
            .map(|(counted, actual)| residual(*counted, *actual, factor))
            .collect();
        residuals.sort_unstable();
        let widest = residuals[(residuals.len() * 9).div_ceil(10) - 1];
        Some(Self {
            factor,
            band: u32::try_from(widest).unwrap_or(u32::MAX).max(NARROWEST),
        })
    }

    /// What the server is expected to count where we counted `count`, and how far off that may be, in thousandths.
    pub(crate) fn apply(self, count: u64) -> (u64, u32) {
        (corrected(count, self.factor), self.band)
    }
}

/// Rounded to the nearest token.
fn corrected(count: u64, factor: u64) -> u64 {
    clamped((u128::from(count) * u128::from(factor) + ONE / 2) / ONE)
}

/// How far the server's count lies from the corrected one, in thousandths of the latter, rounded up.
fn residual(counted: u64, actual: u64, factor: u64) -> u64 {
    let expected = corrected(counted, factor);
    clamped((u128::from(expected.abs_diff(actual)) * 1000).div_ceil(u128::from(expected.max(1))))
}

fn clamped(n: u128) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_factor_and_band_are_learned_from_usage() {
        for (name, samples, learned) in [
            ("nothing", vec![], None),
            ("too few", vec![(100, 110); 4], None),
            (
                "zeros say nothing",
                vec![
                    (100, 110),
                    (100, 110),
                    (100, 110),
                    (100, 110),
                    (0, 5),
                    (5, 0),
                ],
                None,
            ),
            (
                "a steady factor has the narrowest band",
                vec![(100, 110); 5],
                Some((110, 10)),
            ),
            ("fewer than ours", vec![(1000, 900); 9], Some((90, 10))),
            (
                "two odd ones of five",
                vec![(100, 120), (100, 120), (100, 120), (1, 241), (100, 1)],
                Some((120, 240_000)),
            ),
            (
                "the odd one of ten is outside the band",
                [vec![(100, 120); 9], vec![(100, 9000)]].concat(),
                Some((120, 10)),
            ),
            (
                "half of them stray by a tenth",
                [vec![(100, 100); 5], vec![(100, 110); 4]].concat(),
                Some((100, 100)),
            ),
        ] {
            let found = Calibration::learn(&samples).map(|c| c.apply(100));
            assert_eq!(found, learned, "{name}");
        }
    }

    #[test]
    fn extreme_counts_do_not_overflow() {
        for pair in [(1, u64::MAX), (u64::MAX, 1), (u64::MAX, u64::MAX)] {
            let learned = Calibration::learn(&[pair; 5]).unwrap();
            for count in [0, 1, u64::MAX] {
                let (tokens, band) = learned.apply(count);
                assert!(
                    band >= NARROWEST && (count > 0 || tokens == 0),
                    "{pair:?} {count}"
                );
            }
        }
    }

    proptest! {
        /// Our counts, a true factor (permille), the noise of each answer (permille of itself, up to `noise`), and fewer
        /// than one odd answer in ten.
        #[test]
        fn the_factor_is_found_and_the_band_covers(
            factor in 300u64..4000,
            noise in 0i64..150,
            usable in prop::collection::vec((200u64..200_000, -1000i64..=1000), 5..50),
            odd in prop::collection::vec((1u64..1_000_000, 1u64..1_000_000), 0..5),
        ) {
            let mut samples: Vec<(u64, u64)> = usable
                .iter()
                .map(|(counted, strays)| {
                    let actual = i128::from(*counted) * i128::from(factor) * i128::from(1_000_000 + noise * strays) / 1_000_000_000;
                    (*counted, u64::try_from(actual).unwrap())
                })
                .collect();
            let clean = samples.clone();
            samples.extend(odd.iter().take(clean.len() / 10));
            let (tokens, band) = Calibration::learn(&samples).unwrap().apply(1_000_000);
            let off = tokens.abs_diff(factor * 1000);
            let most = factor * u64::try_from(noise).unwrap() + factor * 1000 / 50;
            prop_assert!(off <= most, "{tokens} for a factor of {factor} permille, noise {noise}");
            let covered = |(counted, actual): &&(u64, u64)| {
                let (expected, band) = Calibration::learn(&samples).unwrap().apply(*counted);
                expected.abs_diff(*actual) * 1000 <= expected * u64::from(band)
            };
            let inside = samples.iter().filter(covered).count();
            prop_assert!(inside * 10 >= samples.len() * 9, "{inside} of {} within {band}", samples.len());
            // Without odd ones the band is not wider than the noise makes it (twice: below and above the middle).
            if samples.len() == clean.len() {
                prop_assert!(u64::from(band) <= (2 * u64::try_from(noise).unwrap()).max(10) * 13 / 10 + 20, "{band} {noise}");
            }
        }
    }
}
