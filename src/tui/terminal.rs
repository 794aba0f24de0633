//! The terminal, as a guard.
//!
//! Owns: raw mode, the alternate screen and every other mode we switch on; the only writer to the terminal; what stands
//! on it.
//! Refuses: queries; a terminal that is slow to answer must not hold up the first frame.
//! Invariant: whatever way we end - return, error, panic, signal - the modes are as they were before.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange, EnableMouseCapture, KeyboardEnhancementFlags, PopKeyboardEnhancementFlags,
    PushKeyboardEnhancementFlags,
};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::layout::{Position, Size};
use rustix::{process, stdio, termios};

use super::canvas::Canvas;
use super::uneven::{DisputedRows, WholeRow};

/// Frames from this many bytes on are marked as one update, so that no half of one is seen.
const MARKED: usize = 1024;
/// No real screen has more cells.
const MOST_CELLS: u32 = 4_000_000;

/// Collects a frame and writes it in one go.
#[derive(Debug, Default)]
struct Collector {
    bytes: Vec<u8>,
}

impl Write for Collector {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        let written = if self.bytes.len() >= MARKED {
            let mut frame = Vec::with_capacity(self.bytes.len() + 16);
            frame.extend_from_slice(b"\x1b[?2026h");
            frame.append(&mut self.bytes);
            frame.extend_from_slice(b"\x1b[?2026l");
            out.write_all(&frame)
        } else {
            out.write_all(&self.bytes)
        };
        // A frame that could not be written is gone either way.
        self.bytes.clear();
        written.and_then(|()| out.flush())
    }
}

pub(crate) struct Screen {
    out: CrosstermBackend<Collector>,
    live: Arc<AtomicBool>,
    canvas: Canvas,
    uneven: DisputedRows,
    /// The size of the terminal when it was drawn on last; `None`: it is to be cleared first.
    size: Option<Size>,
    /// Where the cursor stands; `None`: it is hidden.
    cursor: Option<Position>,
    kitty: bool,
    mouse: bool,
}

impl Screen {
    /// Takes the terminal.
    pub(crate) fn open(kitty: bool, mouse: bool) -> io::Result<Self> {
        let mut screen = Self {
            out: CrosstermBackend::new(Collector::default()),
            live: Arc::new(AtomicBool::new(false)),
            canvas: Canvas::default(),
            uneven: DisputedRows::default(),
            size: None,
            cursor: None,
            kitty,
            mouse,
        };
        before_panics(Arc::clone(&screen.live), || {
            restore(&mut io::stdout().lock());
        });
        screen.enter()?;
        Ok(screen)
    }

    /// Whether the terminal is ours now.
    pub(crate) fn live(&self) -> bool {
        self.live.load(Ordering::SeqCst)
    }

    /// Takes the terminal again after `leave`; the next frame draws everything.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        if self.live() {
            return Ok(());
        }
        enable_raw_mode()?;
        self.live.store(true, Ordering::SeqCst);
        execute!(
            self.out,
            EnterAlternateScreen,
            EnableBracketedPaste,
            EnableFocusChange,
            cursor::Hide
        )?;
        self.cursor = None;
        if self.kitty {
            let flags = KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES;
            execute!(self.out, PushKeyboardEnhancementFlags(flags))?;
        }
        if self.mouse {
            execute!(self.out, EnableMouseCapture)?;
        }
        self.redraw();
        Ok(())
    }

    /// Gives the terminal back as it was.
    pub(crate) fn leave(&mut self) {
        if self.live.swap(false, Ordering::SeqCst) {
            restore(&mut io::stdout().lock());
        }
    }

    /// Draws a frame, unless the screen has no cells.
    pub(crate) fn draw(&mut self, render: impl FnOnce(&mut Canvas)) -> io::Result<()> {
        let size = size()?;
        let cells = u32::from(size.width) * u32::from(size.height);
        if cells == 0 || cells > MOST_CELLS {
            return Ok(());
        }
        if self.size.replace(size) != Some(size) {
            self.canvas.forget();
            self.uneven.forget();
            queue!(self.out, Clear(ClearType::All))?;
        }
        self.canvas.begin(size);
        render(&mut self.canvas);
        self.canvas.finish();
        let drawn = self.canvas.changes().next().is_some();
        if drawn {
            self.out.draw(self.canvas.changes())?;
        }
        for (y, cells) in self.canvas.changed_rows() {
            if let Some(row) = self.uneven.changed(y, cells) {
                draw_whole(&mut self.out, &row)?;
            }
        }
        self.place_cursor(drawn)?;
        Write::flush(&mut self.out)
    }

    /// Shows the cursor where the frame wants it. Drawing has moved it.
    fn place_cursor(&mut self, drawn: bool) -> io::Result<()> {
        let cursor = self.canvas.cursor();
        let before = std::mem::replace(&mut self.cursor, cursor);
        match cursor {
            None if before.is_some() => queue!(self.out, cursor::Hide),
            Some(at) if drawn || before != cursor => {
                if before.is_none() {
                    queue!(self.out, cursor::Show)?;
                }
                queue!(self.out, cursor::MoveTo(at.x, at.y))
            }
            _ => Ok(()),
        }
    }

    /// Forgets what stands on the screen, so that the next frame draws everything.
    pub(crate) fn redraw(&mut self) {
        self.size = None;
    }

    pub(crate) fn mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on {
            execute!(self.out, EnableMouseCapture)
        } else {
            execute!(self.out, DisableMouseCapture)
        }
    }

    pub(crate) fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(self.out, CopyToClipboard::to_clipboard_from(text))
    }

    pub(crate) fn bell(&mut self) -> io::Result<()> {
        self.out.write_all(b"\x07")?;
        Write::flush(&mut self.out)
    }

    /// A desktop notification (OSC 9), and the bell for terminals that know none. `text` is safe: it has no control
    /// character that could end the sequence.
    pub(crate) fn notify(&mut self, text: &str) -> io::Result<()> {
        write!(self.out, "\x1b]9;{text}\x1b\\\x07")?;
        Write::flush(&mut self.out)
    }

    /// Stops the process as Ctrl-Z does; returns when it runs again, or at once where no shell could wake it.
    pub(crate) fn stop() {
        // Refused only when the process may not signal itself, and then there is nothing to stop.
        let _ = process::kill_current_process_group(process::Signal::TSTP);
    }

    /// Whether we may touch the terminal: a job in the background may not.
    pub(crate) fn in_foreground() -> bool {
        termios::tcgetpgrp(stdio::stdin())
            .or_else(|_| termios::tcgetpgrp(stdio::stdout()))
            .is_ok_and(|group| group == process::getpgrp())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}

/// How large the terminal is now. Not as crossterm asks: that opens the terminal anew for every question.
fn size() -> io::Result<Size> {
    let size = termios::tcgetwinsize(stdio::stdout())?;
    Ok(Size {
        width: size.ws_col,
        height: size.ws_row,
    })
}

/// Draws a row from an empty one, each cluster at its own place, wherever the terminal thinks the last one ended.
fn draw_whole(out: &mut CrosstermBackend<Collector>, (y, cells): &WholeRow) -> io::Result<()> {
    queue!(
        out,
        cursor::SavePosition,
        cursor::MoveTo(0, *y),
        Clear(ClearType::UntilNewLine)
    )?;
    out.draw(cells.iter().map(|(x, cell)| (*x, *y, cell)))?;
    queue!(out, cursor::RestorePosition)
}

/// Every mode off. Errors are of no use: the terminal may be gone.
fn restore(out: &mut impl Write) {
    let _ = execute!(
        out,
        DisableMouseCapture,
        PopKeyboardEnhancementFlags,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    let _ = disable_raw_mode();
}

/// A panic while the terminal is ours restores first, then says what it has to say.
fn before_panics(live: Arc<AtomicBool>, restore: impl Fn() + Send + Sync + 'static) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if live.swap(false, Ordering::SeqCst) {
            restore();
        }
        before(info);
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_panic_gives_the_terminal_back_once_and_before_its_words() {
        let (live, written) = (
            Arc::new(AtomicBool::new(true)),
            Arc::new(Mutex::new(Vec::new())),
        );
        let own = std::thread::current().id();
        let here = Arc::clone(&written);
        // What was there before: the hook that prints.
        let earlier = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().id() == own {
                here.lock().unwrap().extend_from_slice(b"the words");
            } else {
                earlier(info);
            }
        }));
        let there = Arc::clone(&written);
        before_panics(Arc::clone(&live), move || {
            restore(&mut *there.lock().unwrap());
        });
        for _ in 0..2 {
            let caught = std::panic::catch_unwind(|| std::panic::panic_any("a test"));
            assert!(caught.is_err());
        }
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let (modes, words) = written.split_at(written.find("the words").unwrap());
        for mode in [
            "\x1b[?1006l",
            "\x1b[<1u",
            "\x1b[?1004l",
            "\x1b[?2004l",
            "\x1b[?1049l",
            "\x1b[?25h",
        ] {
            assert_eq!(modes.matches(mode).count(), 1, "{mode:?} in {written:?}");
        }
        assert_eq!(
            words, "the wordsthe words",
            "the second panic finds a terminal that is not ours"
        );
        assert!(!live.load(Ordering::SeqCst));
    }
}
