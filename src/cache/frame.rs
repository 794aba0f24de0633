//! The protocol between the owner of the disk tier and its clients.
//!
//! Owns: requests, replies, and their frames: length, id, kind, content.
//! Refuses: to trust a length; nothing above [`LARGEST_FRAME`] is read, and memory grows only with what has come.
//! Invariant: the first request, [`OwnerRequest::Hello`], never changes its form, so that any two versions can tell each
//! other apart.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::tier::Bytes;
use crate::chat::request::Digest;

/// Version of the protocol. A client with a higher one ends an owner with a lower one.
pub(super) const PROTOCOL: u32 = 1;
/// Bytes of the largest frame.
pub(super) const LARGEST_FRAME: usize = 2 << 20;
/// How long the rest of a frame may take, once it has begun.
const REST: Duration = Duration::from_secs(5);
const DIGEST: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OwnerRequest {
    Hello {
        protocol: u32,
    },
    Get(Digest),
    Put(Digest, Bytes),
    Remove(Digest),
    /// Answered when everything before it is done.
    Settle,
    Join(Digest),
    Leave(Digest),
    Figures,
    Clear,
    Verify,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OwnerReply {
    Welcome {
        protocol: u32,
    },
    Found(Bytes),
    Missing,
    Done,
    /// The asker holds the lease.
    Lead,
    /// Another client holds it; [`OwnerReply::Over`] comes later under the same id.
    Follow,
    Over,
    /// JSON.
    Report(Vec<u8>),
    /// A sentence for the user, under no id.
    Trouble(String),
}

impl OwnerRequest {
    /// The whole frame.
    pub(super) fn frame(&self, id: u64) -> Vec<u8> {
        match self {
            Self::Hello { protocol } => frame(id, 0, &[&protocol.to_le_bytes()]),
            Self::Get(digest) => frame(id, 1, &[&digest.0]),
            Self::Put(digest, bytes) => frame(id, 2, &[&digest.0, bytes]),
            Self::Remove(digest) => frame(id, 3, &[&digest.0]),
            Self::Settle => frame(id, 4, &[]),
            Self::Join(digest) => frame(id, 5, &[&digest.0]),
            Self::Leave(digest) => frame(id, 6, &[&digest.0]),
            Self::Figures => frame(id, 7, &[]),
            Self::Clear => frame(id, 8, &[]),
            Self::Verify => frame(id, 9, &[]),
        }
    }

    /// `None`: no request of this protocol.
    pub(super) fn read(body: &[u8]) -> Option<(u64, Self)> {
        let (id, kind, content) = split(body)?;
        let digest = || Some(Digest(content.try_into().ok()?));
        let ask = match kind {
            0 => Self::Hello {
                protocol: u32::from_le_bytes(content.try_into().ok()?),
            },
            1 => Self::Get(digest()?),
            2 => {
                let (digest, bytes) = content.split_first_chunk::<DIGEST>()?;
                Self::Put(Digest(*digest), bytes.into())
            }
            3 => Self::Remove(digest()?),
            4 => Self::Settle,
            5 => Self::Join(digest()?),
            6 => Self::Leave(digest()?),
            7 => Self::Figures,
            8 => Self::Clear,
            9 => Self::Verify,
            _ => return None,
        };
        Some((id, ask))
    }
}

impl OwnerReply {
    /// The whole frame.
    pub(super) fn frame(&self, id: u64) -> Vec<u8> {
        match self {
            Self::Welcome { protocol } => frame(id, 0, &[&protocol.to_le_bytes()]),
            Self::Found(bytes) => frame(id, 1, &[bytes]),
            Self::Missing => frame(id, 2, &[]),
            Self::Done => frame(id, 3, &[]),
            Self::Lead => frame(id, 4, &[]),
            Self::Follow => frame(id, 5, &[]),
            Self::Over => frame(id, 6, &[]),
            Self::Report(json) => frame(id, 7, &[json]),
            Self::Trouble(text) => frame(id, 8, &[text.as_bytes()]),
        }
    }

    /// `None`: no reply of this protocol.
    pub(super) fn read(body: &[u8]) -> Option<(u64, Self)> {
        let (id, kind, content) = split(body)?;
        let answer = match kind {
            0 => Self::Welcome {
                protocol: u32::from_le_bytes(content.try_into().ok()?),
            },
            1 => Self::Found(content.into()),
            2 => Self::Missing,
            3 => Self::Done,
            4 => Self::Lead,
            5 => Self::Follow,
            6 => Self::Over,
            7 => Self::Report(content.to_vec()),
            8 => Self::Trouble(String::from_utf8_lossy(content).into_owned()),
            _ => return None,
        };
        Some((id, answer))
    }
}

fn frame(id: u64, kind: u8, content: &[&[u8]]) -> Vec<u8> {
    let length = 9 + content.iter().map(|part| part.len()).sum::<usize>();
    let mut frame = Vec::with_capacity(4 + length);
    // Longer than `u32` would be refused by the reader in any case.
    frame.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend(id.to_le_bytes());
    frame.push(kind);
    for part in content {
        frame.extend_from_slice(part);
    }
    frame
}

fn split(body: &[u8]) -> Option<(u64, u8, &[u8])> {
    let (id, rest) = body.split_first_chunk::<8>()?;
    let (kind, content) = rest.split_first()?;
    Some((u64::from_le_bytes(*id), *kind, content))
}

/// The next frame without its length; an error when the other side has gone or says what cannot be.
pub(super) async fn read_frame(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await?;
    let length = u32::from_le_bytes(length);
    if length as usize > LARGEST_FRAME {
        return Err(io::Error::other("the frame is too large"));
    }
    let mut body = Vec::new();
    let mut rest = from.take(u64::from(length));
    let got = tokio::time::timeout(REST, rest.read_to_end(&mut body)).await??;
    if got < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_frame_reads_back_and_nonsense_is_refused() {
        let digest = Digest([7; 32]);
        let asks = [
            OwnerRequest::Hello { protocol: 9 },
            OwnerRequest::Get(digest),
            OwnerRequest::Put(digest, Bytes::from(&b"bytes"[..])),
            OwnerRequest::Remove(digest),
            OwnerRequest::Settle,
            OwnerRequest::Join(digest),
            OwnerRequest::Leave(digest),
            OwnerRequest::Figures,
            OwnerRequest::Clear,
            OwnerRequest::Verify,
        ];
        for ask in asks {
            let frame = ask.frame(42);
            let body = read_frame(&mut &frame[..]).await.unwrap();
            assert_eq!(OwnerRequest::read(&body), Some((42, ask)));
            assert!(read_frame(&mut &frame[..frame.len() - 1]).await.is_err());
        }
        let answers = [
            OwnerReply::Welcome { protocol: 9 },
            OwnerReply::Found(Bytes::from(&b"bytes"[..])),
            OwnerReply::Missing,
            OwnerReply::Done,
            OwnerReply::Lead,
            OwnerReply::Follow,
            OwnerReply::Over,
            OwnerReply::Report(b"{}".to_vec()),
            OwnerReply::Trouble("no".to_owned()),
        ];
        for answer in answers {
            let body = read_frame(&mut &answer.frame(43)[..]).await.unwrap();
            assert_eq!(OwnerReply::read(&body), Some((43, answer)));
        }
        for nonsense in [&[][..], &[0; 8], &[0; 10], &[255; 60]] {
            assert_eq!(
                (OwnerRequest::read(nonsense), OwnerReply::read(nonsense)),
                (None, None),
                "{nonsense:?}"
            );
        }
        assert!(
            read_frame(&mut &[255; 64][..]).await.is_err(),
            "a length beyond all measure"
        );
    }
}
