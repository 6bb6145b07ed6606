//! `coffer`: the operator's command.

mod pin;
mod token;

use clap::{Parser, Subcommand};
use std::io::IsTerminal;
use std::process::ExitCode;

/// Coffer's tokens, from the command line.
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
    let json = cli.json || !(cli.text || std::io::stdout().is_terminal());
    let outcome = match cli.command {
        Command::Token(command) => token::run(command),
    };
    match outcome {
        Ok(report) if json => println!("{}", serde_json::json!({ "error_code": 0, "data": report.json })),
        Ok(report) => print!("{}", report.text),
        Err(message) if json => {
            println!("{}", serde_json::json!({ "error_code": 1, "data": message }));
            return ExitCode::FAILURE;
        }
        Err(message) => {
            eprintln!("coffer: {message}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// What a command has to say, for people and for programs.
pub struct Report {
    /// Lines for a terminal.
    pub text: String,
    /// `data` of the JSON answer.
    pub json: serde_json::Value,
}
