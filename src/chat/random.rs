//! A source of random bits, passed as an argument so that tests can fix it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

/// A source of random bits for ids and jitter; not for secrets.
#[derive(Clone)]
pub struct Random(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Random {
    /// Bits from the operating system's seed, by way of the standard library's hash keys.
    pub fn system() -> Self {
        Self(Arc::new(|| RandomState::new().build_hasher().finish()))
    }

    /// A source that returns what `f` returns.
    pub fn from_fn(f: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(f))
    }

    /// 64 random bits.
    pub fn bits(&self) -> u64 {
        (self.0)()
    }

    /// Uniform in 0..1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a float exactly")]
    pub(crate) fn unit(&self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random")
    }
}
