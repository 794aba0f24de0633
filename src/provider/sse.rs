//! Server-sent events, from bytes split anywhere to whole events.
//!
//! Owns: line ends, fields, the byte order mark, comments, the size of an event.
//! Refuses: JSON, timers, sockets.
//! Invariant: the events do not depend on how the bytes were split; every byte is looked at once; memory stays below
//! twice [`EVENT_CAP`].

use std::borrow::Cow;

/// The most bytes that one event may have.
pub(crate) const EVENT_CAP: usize = 4 * 1024 * 1024;

/// The longest event name that is kept; all known names are shorter.
const NAME_CAP: usize = 64;
/// The most bytes of buffer capacity kept when an event is over.
const KEPT_CAPACITY: usize = 64 * 1024;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// One event: its name (empty for most servers) and its data, lines joined by `\n`. Bytes that are not UTF-8 become U+FFFD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SseEvent<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) data: Cow<'a, str>,
}

/// An event is larger than [`EVENT_CAP`]. The rest of the stream cannot be read, so the connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event too large (more than 4 MiB)")]
pub(crate) struct EventTooLarge;

/// The parser: push bytes, take events.
#[derive(Debug, Default)]
pub(crate) struct SseParser {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The data of the event that has not ended yet, except what is still [`Lent`].
    data: Vec<u8>,
    has_data: bool,
    name: Vec<u8>,
    /// The last byte was a CR: an LF right after it belongs to the same line end.
    after_cr: bool,
    past_first_line: bool,
    comments: u64,
    #[cfg(test)]
    pub(super) scanned: usize,
}

/// The only line of data of an event so far, still in the received bytes: most events need no copy.
type Lent<'a> = Option<&'a [u8]>;

impl SseParser {
    #[cfg(test)]
    /// Comment lines so far: they show that the server is alive, but are no answer.
    pub(crate) fn comments(&self) -> u64 {
        self.comments
    }

    /// Takes bytes and hands over every event that they complete. An error of `take` ends it, and so does an event that
    /// is too large: what follows either is lost.
    pub(crate) fn push<E: From<EventTooLarge>>(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut lent: Lent<'_> = None;
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let found = memchr::memchr2(b'\r', b'\n', bytes);
            let length = found.unwrap_or(bytes.len());
            #[cfg(test)]
            {
                self.scanned += length;
            }
            if self.line.len() + self.data.len() + lent.map_or(0, <[u8]>::len) + length > EVENT_CAP
            {
                return Err(EventTooLarge.into());
            }
            let Some(end) = found else {
                self.line.extend_from_slice(bytes);
                break;
            };
            self.after_cr = bytes[end] == b'\r';
            if self.line.is_empty() {
                self.take_line(&bytes[..end], &mut lent, &mut take)?;
            } else {
                self.keep(lent.take());
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&bytes[..end]);
                let mut joined = None;
                self.take_line(&line, &mut joined, &mut take)?;
                self.keep(joined);
                line.clear();
                line.shrink_to(KEPT_CAPACITY);
                self.line = line;
            }
            bytes = &bytes[end + 1..];
        }
        self.keep(lent);
        Ok(())
    }

    /// The bytes have ended: the last event counts even without its blank line.
    pub(crate) fn finish<E>(
        &mut self,
        mut take: impl FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let line = std::mem::take(&mut self.line);
        let mut lent = None;
        if !line.is_empty() {
            self.take_line(&line, &mut lent, &mut take)?;
        }
        self.dispatch(lent, &mut take)
    }

    fn take_line<'a, E>(
        &mut self,
        line: &'a [u8],
        lent: &mut Lent<'a>,
        take: &mut impl FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let first = !std::mem::replace(&mut self.past_first_line, true);
        let line = if first {
            line.strip_prefix(BOM).unwrap_or(line)
        } else {
            line
        };
        if line.is_empty() {
            return self.dispatch(lent.take(), take);
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(0) => {
                self.comments += 1;
                return Ok(());
            }
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        match field {
            b"data" if self.has_data => {
                self.keep(lent.take());
                self.data.push(b'\n');
                self.data.extend_from_slice(value);
            }
            b"data" => {
                self.has_data = true;
                *lent = Some(value);
            }
            b"event" => self.rename(&value[..value.len().min(NAME_CAP)]),
            // llama.cpp writes the event's name in place of the word `data`.
            b"error" if !value.is_empty() && !self.has_data => {
                self.rename(b"error");
                self.has_data = true;
                *lent = Some(value);
            }
            _ => {}
        }
        Ok(())
    }

    fn rename(&mut self, name: &[u8]) {
        self.name.clear();
        self.name.extend_from_slice(name);
    }

    /// Copies what is lent, because the received bytes are about to be dropped.
    fn keep(&mut self, lent: Lent<'_>) {
        self.data.extend_from_slice(lent.unwrap_or_default());
    }

    fn dispatch<E>(
        &mut self,
        lent: Lent<'_>,
        take: &mut impl FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.has_data = false;
        // Nothing is lent once anything was copied.
        let data = lent.unwrap_or(&self.data);
        let taken = if data.is_empty() {
            Ok(())
        } else {
            take(SseEvent {
                name: text(&self.name),
                data: text(data),
            })
        };
        // Free the memory of a huge event before the end of the stream.
        self.data.clear();
        self.data.shrink_to(KEPT_CAPACITY);
        self.name.clear();
        taken
    }
}

/// Nearly every text is valid UTF-8, which this checks much faster than the lossy conversion.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

#[cfg(test)]
mod tests;
