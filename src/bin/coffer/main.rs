//! `coffer`: the operator's command.

mod pin;
mod token;

use clap::{Parser, Subcommand};
use serde_json::json;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Coffer's tokens, from the command line.
///
/// The configuration is the library's: the file that COFFER_CONF names, else ~/.config/coffer/coffer.toml,
/// else /etc/coffer/coffer.toml. Exit codes: 0 done, 1 refused or failed, 2 a wrong command line.
#[derive(Parser)]
#[command(name = "coffer", version, arg_required_else_help = true)]
struct Cli {
    /// Print JSON, as is the default where standard output is no terminal.
    #[arg(long, global = true)]
    json: bool,
    /// Print text, as is the default on a terminal.
    #[arg(long, global = true, conflicts_with = "json")]
    text: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make and list tokens.
    #[command(subcommand)]
    Token(token::Command),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json || !(cli.text || io::stdout().is_terminal());
    let outcome = match cli.command {
        Command::Token(command) => token::run(command),
    };
    let code = if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let said = match (outcome, json) {
        (Ok(report), true) => say(&format!("{}\n", json!({ "error_code": 0, "data": report.json }))),
        (Ok(report), false) => say(&report.text),
        (Err(message), true) => say(&format!("{}\n", json!({ "error_code": 1, "data": message }))),
        (Err(message), false) => {
            eprintln!("coffer: {message}");
            Ok(())
        }
    };
    match said {
        Ok(()) => code,
        // Who reads only the first lines has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        Err(error) => {
            eprintln!("coffer: standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// What a command has to say, for people and for programs.
pub struct Report {
    /// Lines for a terminal.
    pub text: String,
    /// `data` of the JSON answer.
    pub json: serde_json::Value,
}
