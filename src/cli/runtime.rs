//! The async runtimes that commands run in.

use crate::chat::{Failure, FailureKind};

/// Runs a command that ends by itself, on this thread: a second worker would have nothing to do.
pub(super) fn one_shot(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| no_runtime(&error))?;
    let status = runtime.block_on(work);
    // A blocking read of a pipe, or of a name server that never answers, must not delay the exit.
    runtime.shutdown_background();
    status
}

/// Runs the chat screen. It has the main thread, and one worker reads: a second worker would be woken for every piece of
/// an answer and find nothing to do.
pub(super) fn with_one_worker<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| no_runtime(&error))?;
    let output = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(output)
}

fn no_runtime(error: &std::io::Error) -> Failure {
    Failure::new(FailureKind::Request, format!("cannot start: {error}"))
}
