//! The program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_agent::cli::main()
}
