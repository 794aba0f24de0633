//! Bodies that are read whole: lists and refusals, compressed or not.
//!
//! Owns: the caps on what is read and on what it decompresses to; the encodings that are accepted.
//! Refuses: answers; a stream is never compressed, because the compressor would hold its pieces back.
//! Invariant: at most `cap` bytes are read, and they are decompressed to at most `cap` bytes.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use tokio::time::{Instant, timeout_at};

/// The encoding that is requested where compression helps.
pub(super) const OFFERED: &str = "gzip";

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    /// With an encoding that was not requested.
    Foreign,
}

impl Packing {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match headers
            .get(CONTENT_ENCODING)
            .map(|value| value.as_bytes().trim_ascii().to_ascii_lowercase())
        {
            None => Self::Plain,
            Some(name) if name == b"identity" || name.is_empty() => Self::Plain,
            Some(name) if name == b"gzip" || name == b"x-gzip" => Self::Gzip,
            Some(_) => Self::Foreign,
        }
    }

    /// The first `cap` bytes of the decompressed body; a broken one ends where it breaks.
    pub(super) fn open(self, body: Vec<u8>, cap: usize) -> Vec<u8> {
        match self {
            Self::Plain => body,
            Self::Foreign => Vec::new(),
            Self::Gzip => {
                let mut opened = Vec::new();
                // What came before the error is in `opened`.
                let _ = MultiGzDecoder::new(body.as_slice())
                    .take(cap as u64)
                    .read_to_end(&mut opened);
                opened
            }
        }
    }
}

/// The first `cap` bytes of a body as received, and how it ended.
pub(super) enum ReadBody {
    Whole(Vec<u8>),
    /// There is more of it.
    More(Vec<u8>),
    /// The time was over, or the connection broke.
    Cut(Vec<u8>, Option<reqwest::Error>),
}

/// Reads a body up to `cap` bytes.
pub(super) async fn read(response: &mut Response, cap: usize, deadline: Instant) -> ReadBody {
    let mut body = Vec::new();
    loop {
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(piece))) => {
                let room = cap - body.len();
                body.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.len() > room {
                    return ReadBody::More(body);
                }
            }
            Ok(Ok(None)) => return ReadBody::Whole(body),
            Ok(Err(error)) => return ReadBody::Cut(body, Some(error)),
            Err(_) => return ReadBody::Cut(body, None),
        }
    }
}

#[cfg(test)]
mod tests;
