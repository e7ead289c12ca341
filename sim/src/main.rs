//! The simulator's command line.

#[cfg(not(madsim))]
compile_error!(
    "`sim` needs `--cfg madsim`, which .cargo/config.toml sets. Either RUSTFLAGS is exported in this shell and \
     replaces it (unset it), or cargo was started outside this repository (change into it)."
);

use std::process::ExitCode;

use clap::Parser;
use sim::cli::{Cli, Command, FuzzCommand};

fn main() -> ExitCode {
    end_quietly_when_nobody_reads();
    let cli = Cli::parse();
    let ended = match &cli.command {
        Some(Command::Worker) => sim::worker::serve().map(|()| sim::report::Ending::Passed),
        Some(Command::Bugs(arguments)) => sim::bugs::run(arguments),
        Some(Command::Explore(arguments)) => sim::explore::run(arguments),
        Some(Command::Fuzz(FuzzCommand::Raft(arguments))) => sim::fuzz::raft::command::run(arguments),
        Some(Command::Fuzz(FuzzCommand::Replication(arguments))) => {
            sim::fuzz::replication::command::run(arguments)
        }
        None => sim::command::run(&cli.run),
    };
    match ended {
        Ok(ending) => ExitCode::from(ending.exit_code()),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// `print!` panics when the reader of a pipe is gone (`sim bugs --list | head`). That is no fault of this program: it ends
/// as one that SIGPIPE ends.
fn end_quietly_when_nobody_reads() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        if text.starts_with("failed printing to stdout") && text.contains("Broken pipe") {
            std::process::exit(141);
        }
        hook(panic);
    }));
}
