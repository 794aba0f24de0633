//! Server-sent events, from bytes split anywhere to whole events.
//!
//! Owns: line ends, fields, the byte order mark, comments, the size of an event.
//! Refuses: JSON, timers, sockets.
//! Invariant: the events do not depend on how the bytes were split; every byte is looked at once; memory stays below
//! twice [`EVENT_CAP`].

/// The most bytes that one event may have.
pub const EVENT_CAP: usize = 4 * 1024 * 1024;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// One event: its name (empty for most servers) and its data, lines joined by `\n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub data: String,
}

/// An event passed [`EVENT_CAP`]; nothing after it can be trusted, so the connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event too large (more than 4 MiB)")]
pub struct EventTooLarge;

/// The decoder: push bytes, take events.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The line that has not ended yet.
    line: Vec<u8>,
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

impl Decoder {
    /// Comment lines so far: a sign of life, not an answer.
    pub fn comments(&self) -> u64 {
        self.comments
    }

    /// Takes bytes and appends every event that they complete.
    pub fn push(&mut self, mut bytes: &[u8], events: &mut Vec<Event>) -> Result<(), EventTooLarge> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let found = memchr::memchr2(b'\r', b'\n', bytes);
            let length = found.unwrap_or(bytes.len());
            #[cfg(test)]
            {
                self.scanned += length;
            }
            if self.line.len() + self.data.len() + length > EVENT_CAP {
                return Err(EventTooLarge);
            }
            let Some(end) = found else {
                self.line.extend_from_slice(bytes);
                return Ok(());
            };
            self.after_cr = bytes[end] == b'\r';
            if self.line.is_empty() {
                self.take_line(&bytes[..end], events);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&bytes[..end]);
                self.take_line(&line, events);
                line.clear();
                self.line = line;
            }
            bytes = &bytes[end + 1..];
        }
        Ok(())
    }

    /// The bytes have ended: the last event counts even without its blank line.
    pub fn finish(&mut self, events: &mut Vec<Event>) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.take_line(&line, events);
        }
        self.dispatch(events);
    }

    fn take_line(&mut self, line: &[u8], events: &mut Vec<Event>) {
        let first = !std::mem::replace(&mut self.past_first_line, true);
        let line = if first { line.strip_prefix(BOM).unwrap_or(line) } else { line };
        if line.is_empty() {
            self.dispatch(events);
            return;
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(0) => {
                self.comments += 1;
                return;
            }
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        match field {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            _ => {}
        }
    }

    fn dispatch(&mut self, events: &mut Vec<Event>) {
        let name = String::from_utf8_lossy(&self.name).into_owned();
        self.name.clear();
        if std::mem::take(&mut self.has_data) && !self.data.is_empty() {
            events.push(Event { name, data: String::from_utf8_lossy(&self.data).into_owned() });
        }
        // One huge event must not hold its memory for the rest of the stream.
        self.data.clear();
        self.data.shrink_to(64 * 1024);
    }
}

#[cfg(test)]
mod tests;
