//! The channels between a front end and the core.

use tokio::sync::mpsc;

use super::{Command, Event};

/// Commands that may wait in the channel; a front end that fills it has to wait.
pub(crate) const COMMANDS: usize = 64;
/// Events that may wait; the core stops reading the network when the front end is this far behind.
pub(crate) const EVENTS: usize = 1024;

/// The front end's end of the two channels.
#[derive(Debug)]
pub struct Handle {
    /// To the core.
    pub commands: mpsc::Sender<Command>,
    /// From the core.
    pub events: mpsc::Receiver<Event>,
}
