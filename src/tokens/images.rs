//! What an image costs in tokens, from its size.
//!
//! Owns: the two published rules, tiles and patches, in whole numbers.
//! Refuses: reading images (the caller passes the size), and the constants of a model (the catalogue has them).
//! Invariant: every size has a count, and the count has a bound.

use serde::Deserialize;

/// How a model counts images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ImageRule {
    /// `base` once and `tile` for each square of 512 pixels, after the image is shrunk.
    Tiles { base: u64, tile: u64 },
    /// One for each square of 32 pixels, at most 1536 of them, times `percent` / 100.
    Patches { percent: u64 },
}

/// How closely the model is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Detail {
    Low,
    #[default]
    High,
}

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ImageSize {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

const TILE: u128 = 512;
/// The square that an image is first made to fit.
const LARGEST: u128 = 2048;
/// The short side is then made to fit this.
const SHORT: u128 = 768;
const PATCH: u128 = 32;
const MOST_PATCHES: u128 = 1536;

impl ImageRule {
    /// Tokens of one image (OpenAI's vision guide). `None` for the size: it is not known here.
    pub(crate) fn tokens(self, size: Option<ImageSize>, detail: Detail) -> Option<u64> {
        match (self, detail) {
            (Self::Tiles { base, .. }, Detail::Low) => Some(base),
            (Self::Tiles { base, tile }, Detail::High) => {
                Some(base.saturating_add(tile.saturating_mul(tiles(size?))))
            }
            // What a low detail saves on these models is not published.
            (Self::Patches { percent }, _) => {
                Some(patches(size?).saturating_mul(percent).div_ceil(100))
            }
        }
    }

    /// Whether the count is what the server will say: how the patches' product is rounded is not published.
    pub(crate) fn is_exact(self) -> bool {
        matches!(self, Self::Tiles { .. })
    }
}

/// Squares of 512 pixels that cover the image once it fits 2048 by 2048 and its short side 768. Nothing is enlarged.
fn tiles(ImageSize { width, height }: ImageSize) -> u64 {
    let (long, short) = (
        u128::from(width.max(height)).max(1),
        u128::from(width.min(height)).max(1),
    );
    // The scale as a fraction: the smaller of 1, 2048 / long and 768 / short.
    let (mut up, mut down) = (1, 1);
    if long > LARGEST {
        (up, down) = (LARGEST, long);
    }
    if short * up > SHORT * down {
        (up, down) = (SHORT, short);
    }
    let across = |side: u128| (side * up).div_ceil(down * TILE);
    whole(across(long) * across(short))
}

/// Squares of 32 pixels that cover the image, shrunk to whole squares when there are more than 1536.
fn patches(ImageSize { width, height }: ImageSize) -> u64 {
    let (width, height) = (u128::from(width).max(1), u128::from(height).max(1));
    let as_it_is = width.div_ceil(PATCH) * height.div_ceil(PATCH);
    if as_it_is <= MOST_PATCHES {
        return whole(as_it_is);
    }
    // An image of 1536 patches of the same shape has sqrt(1536 w / h) of them in a row. Both sides are rounded down; the
    // one that loses more sets the scale, and the other follows.
    let columns = (MOST_PATCHES * width / height).isqrt();
    let rows = (MOST_PATCHES * height / width).isqrt();
    if columns == 0 || rows == 0 {
        return whole(MOST_PATCHES);
    }
    whole(if columns * height < rows * width {
        columns * (columns * height).div_ceil(width)
    } else {
        rows * (rows * width).div_ceil(height)
    })
}

fn whole(n: u128) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GPT_4O: ImageRule = ImageRule::Tiles {
        base: 85,
        tile: 170,
    };
    const PLAIN: ImageRule = ImageRule::Patches { percent: 100 };

    fn size(width: u32, height: u32) -> ImageSize {
        ImageSize { width, height }
    }

    #[test]
    fn the_published_examples() {
        use Detail::{High, Low};
        for (rule, image, detail, tokens) in [
            (GPT_4O, size(1024, 1024), High, 765),
            (GPT_4O, size(2048, 4096), High, 1105),
            (GPT_4O, size(4096, 8192), Low, 85),
            (PLAIN, size(1024, 1024), High, 1024),
            (PLAIN, size(1800, 2400), High, 1452),
            (PLAIN, size(2400, 1800), High, 1452),
            // The rules at their edges.
            (GPT_4O, size(512, 512), High, 85 + 170),
            (GPT_4O, size(513, 512), High, 85 + 2 * 170),
            (GPT_4O, size(1, 1), High, 85 + 170),
            (PLAIN, size(1, 1), High, 1),
            (PLAIN, size(1536, 1024), High, 1536),
            (
                ImageRule::Patches { percent: 162 },
                size(1024, 1024),
                High,
                1659,
            ),
            (
                ImageRule::Tiles {
                    base: 2833,
                    tile: 5667,
                },
                size(1024, 1024),
                High,
                2833 + 4 * 5667,
            ),
        ] {
            assert_eq!(
                rule.tokens(Some(image), detail),
                Some(tokens),
                "{rule:?} {image:?} {detail:?}"
            );
        }
    }

    #[test]
    fn an_unknown_size_has_no_count() {
        assert_eq!(GPT_4O.tokens(None, Detail::High), None);
        assert_eq!(GPT_4O.tokens(None, Detail::Low), Some(85));
        assert_eq!(PLAIN.tokens(None, Detail::Low), None);
    }

    proptest! {
        #[test]
        fn every_size_has_a_bounded_count(width: u32, height: u32) {
            let image = Some(size(width, height));
            let tiled = GPT_4O.tokens(image, Detail::High).unwrap();
            prop_assert!((85 + 170..=85 + 8 * 170).contains(&tiled), "{tiled}");
            let patched = PLAIN.tokens(image, Detail::High).unwrap();
            prop_assert!((1..=1536).contains(&patched), "{patched}");
            prop_assert_eq!(GPT_4O.tokens(Some(size(height, width)), Detail::High), Some(tiled), "turned");
        }
    }
}
