//! How large an image is, by its first bytes.
//!
//! Owns: telling images from texts, and reading their size (imagesize lives here) from files and `data:` addresses.
//! Refuses: to decode or fetch an image.
//! Invariant: at most the first 4 MiB are looked at; a size is never 0.

use std::path::Path;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use imagesize::ImageType;

use crate::tokens::ImageSize;

/// The size stands behind the colour profile and the preview, which may be long, and before the picture.
const LOOKED_AT: usize = 4 << 20;
const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "gif", "webp"];
const KINDS: &str = "PNG, JPEG, GIF or WebP image";

/// The size, when these are the bytes of an image or the file's name says so; `None`: it is something else.
pub(super) fn size_of_file(path: &Path, bytes: &[u8]) -> Option<Result<ImageSize, String>> {
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default();
    let named = ENDINGS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(ending));
    (named || is_image(bytes)).then(|| size(bytes))
}

/// The size of the image inside a `data:` address; `None`: it is at another address.
pub(super) fn size_of_address(url: &str) -> Option<Result<ImageSize, String>> {
    let data = url
        .get(..5)
        .filter(|scheme| scheme.eq_ignore_ascii_case("data:"))
        .map(|_| &url[5..])?;
    let Some((_, letters)) = data.split_once(";base64,") else {
        return Some(Err("has a data: address that is not in base64".to_owned()));
    };
    // Whole groups of four letters are three bytes.
    let letters = &letters.as_bytes()[..letters.len().min(LOOKED_AT / 3 * 4)];
    let any_padding =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    match GeneralPurpose::new(&STANDARD, any_padding).decode(letters) {
        Ok(bytes) => Some(size(&bytes)),
        Err(_) => Some(Err("has a data: address whose base64 is damaged".to_owned())),
    }
}

fn is_image(bytes: &[u8]) -> bool {
    let kind = imagesize::image_type(&bytes[..bytes.len().min(LOOKED_AT)]);
    matches!(
        kind,
        Ok(ImageType::Png | ImageType::Jpeg | ImageType::Gif | ImageType::Webp)
    )
}

fn size(bytes: &[u8]) -> Result<ImageSize, String> {
    if !is_image(bytes) {
        return Err(format!("is no {KINDS}"));
    }
    let found = imagesize::blob_size(&bytes[..bytes.len().min(LOOKED_AT)]).ok();
    let side = |n: usize| u32::try_from(n).ok().filter(|n| *n > 0);
    found
        .and_then(|size| {
            Some(ImageSize {
                width: side(size.width)?,
                height: side(size.height)?,
            })
        })
        .ok_or_else(|| "is an image without a size: it is cut off or damaged".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The head of a PNG of this size.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes
    }

    fn of(name: &str, bytes: &[u8]) -> Option<Result<(u32, u32), String>> {
        size_of_file(Path::new(name), bytes).map(|size| size.map(|s| (s.width, s.height)))
    }

    #[test]
    fn the_content_decides_and_then_the_name() {
        let jpeg = b"\xFF\xD8\xFF\xE0\0\x04ab\xFF\xC0\0\x11\x08\0\x30\0\x40rest";
        for (name, bytes, expected) in [
            ("a.png", png(7, 9), Some(Ok((7, 9)))),
            (
                "no-ending",
                png(u32::MAX, u32::MAX),
                Some(Ok((u32::MAX, u32::MAX))),
            ),
            ("a.JPG", jpeg.to_vec(), Some(Ok((64, 48)))),
            (
                "a.gif",
                b"GIF89a\x05\0\x06\0\0\0".to_vec(),
                Some(Ok((5, 6))),
            ),
            (
                "a.webp",
                b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x09\0\0\x13\0\0".to_vec(),
                Some(Ok((10, 20))),
            ),
            ("a.txt", b"just words, and more of them".to_vec(), None),
            ("a", Vec::new(), None),
            (
                "a.png",
                b"just words, and more of them".to_vec(),
                Some(Err("is no PNG, JPEG, GIF or WebP image".to_owned())),
            ),
            (
                "a.webp",
                Vec::new(),
                Some(Err("is no PNG, JPEG, GIF or WebP image".to_owned())),
            ),
            (
                "a.png",
                png(0, 9),
                Some(Err(
                    "is an image without a size: it is cut off or damaged".to_owned()
                )),
            ),
            (
                "a.jpg",
                jpeg[..14].to_vec(),
                Some(Err(
                    "is an image without a size: it is cut off or damaged".to_owned()
                )),
            ),
        ] {
            assert_eq!(of(name, &bytes), expected, "{name}");
        }
    }

    #[test]
    fn an_address_holds_its_image_or_points_elsewhere() {
        let letters = base64::engine::general_purpose::STANDARD.encode(png(640, 480));
        let found = |url: &str| size_of_address(url).map(|size| size.map(|s| (s.width, s.height)));
        assert_eq!(
            found(&format!("data:image/png;base64,{letters}")),
            Some(Ok((640, 480)))
        );
        assert_eq!(
            found(&format!("DATA:;base64,{}", letters.trim_end_matches('='))),
            Some(Ok((640, 480)))
        );
        assert_eq!(found("https://example.org/a.png"), None);
        assert_eq!(found("日本語"), None);
        assert!(found("data:image/png,%89PNG").unwrap().is_err());
        assert!(found("data:image/png;base64,é!").unwrap().is_err());
        let long = letters + &"A".repeat(8 << 20);
        assert_eq!(
            found(&format!("data:image/png;base64,{long}")),
            Some(Ok((640, 480)))
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(magic in 0usize..5, rest in prop::collection::vec(any::<u8>(), 0..200)) {
            let heads: [&[u8]; 5] = [b"", b"\x89PNG\r\n\x1a\n", b"\xFF\xD8\xFF\xE0", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8"];
            let bytes = [heads[magic], &rest].concat();
            if let Some(Ok(size)) = size_of_file(Path::new("a"), &bytes) {
                prop_assert!(size.width > 0 && size.height > 0);
            }
        }
    }
}
