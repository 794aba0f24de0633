//! Running a program that prints a key.
//!
//! Owns: how it is started (no shell, no input, its own process group), and the limits on its time and its output.
//! Refuses: deciding whether what it printed is a key.
//! Invariant: no process of the group outlives the call, and no more than the caps is kept of its output.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::mask::Mask;
use super::secret::KEY_CAP;

/// The output of a program that ended.
pub(super) struct Ended {
    pub(super) stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// The exit status, if it was not success.
    pub(super) failed: Option<String>,
}

impl Ended {
    /// The first line of its stderr that is not blank; empty if there is none.
    pub(super) fn complaint(&self) -> String {
        let line = self
            .stderr
            .split(|byte| *byte == b'\n')
            .find(|line| !line.trim_ascii().is_empty());
        line.map(|line| Mask::default().excerpt(&String::from_utf8_lossy(line)))
            .unwrap_or_default()
    }
}

/// Why a program did not run to its end, in words that follow its name.
pub(super) struct NotRun {
    pub(super) words: String,
    /// There is no such program.
    pub(super) not_found: bool,
}

/// Runs a program without a shell and without input, for at most `limit`. It gets its own process group, so that its
/// children end with it and it cannot read the terminal, which belongs to the chat.
pub(super) async fn run(
    program: &str,
    arguments: &[String],
    limit: Duration,
) -> Result<Ended, NotRun> {
    let because = |words: String| NotRun {
        words,
        not_found: false,
    };
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| NotRun {
        not_found: error.kind() == std::io::ErrorKind::NotFound,
        words: format!("cannot be started: {error}"),
    })?;
    let group = ProcessGroup(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let whole = async {
        let (output, complaint) =
            tokio::join!(read_capped(stdout, KEY_CAP), read_capped(stderr, 4096));
        (output, complaint, child.wait().await)
    };
    // Returning early drops the child, which kills its group.
    let (output, complaint, status) = tokio::time::timeout(limit, whole).await.map_err(|_| {
        let limit = limit.as_secs_f32();
        because(format!(
            "did not end within {limit} s: it must print the key without asking for anything"
        ))
    })?;
    let status = status.map_err(|error| because(format!("cannot be waited for: {error}")))?;
    group.ended();
    if status.success() && output.more {
        return Err(because(
            "printed more than 8 KiB: it must print the key and nothing else".to_owned(),
        ));
    }
    let failed = (!status.success()).then(|| status.to_string());
    Ok(Ended {
        stdout: output.bytes,
        stderr: complaint.bytes,
        failed,
    })
}

/// The process group of a running program. Dropping it before the program has ended kills the group.
struct ProcessGroup(Option<u32>);

impl ProcessGroup {
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(leader) = self
            .0
            .and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?))
        {
            // The leader was not waited for yet, so its id cannot have been reused.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    more: bool,
}

/// Keeps the first `cap` bytes and discards the rest, so that the child does not block on a full pipe.
async fn read_capped(pipe: Option<impl AsyncRead + Unpin>, cap: usize) -> Output {
    let mut output = Output::default();
    let Some(mut pipe) = pipe else { return output };
    // On the heap: on the stack it would enlarge every future that may read a key.
    let mut piece = vec![0; 4096];
    while let Ok(length @ 1..) = pipe.read(&mut piece).await {
        let kept = length.min(cap - output.bytes.len());
        output.bytes.extend_from_slice(&piece[..kept]);
        output.more |= kept < length;
    }
    output
}
