//! `coffer`: the operator's command.

mod audit;
mod bench;
mod cluster;
mod connection;
mod context;
mod crypto;
mod describe;
mod doctor;
mod files;
mod interactive;
mod key;
mod mechanisms;
mod migrate;
mod moment;
mod names;
mod output;
mod pages;
mod pin;
mod public;
mod quorum;
mod select;
mod token;
mod transfer;
mod user;

use clap::{Parser, Subcommand};
use coffer_pkcs11::token::Config;
use connection::Target;
use context::Context;
use output::Outcome;
use serde_json::json;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Keys and tokens of Coffer, or of any PKCS#11 module, from the command line.
///
/// Commands about keys and users are those of AWS CloudHSM's command line and go through PKCS#11; --library points them
/// at another module. Coffer's configuration is the library's: the file that COFFER_CONF names, else
/// ~/.config/coffer/coffer.toml, else /etc/coffer/coffer.toml.
///
/// COFFER_ROLE and COFFER_PIN, or CLOUDHSM_ROLE and CLOUDHSM_PIN, log in. Exit codes: 0 done, 1 refused or failed, 2 a
/// wrong command line.
#[derive(Parser)]
#[command(name = "coffer", version, arg_required_else_help = true)]
struct Cli {
    /// Print JSON, as is the default where standard output is no terminal.
    #[arg(long, global = true)]
    json: bool,
    /// Print text, as is the default on a terminal.
    #[arg(long, global = true, conflicts_with = "json")]
    text: bool,
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make, list, back up, restore, verify and repair tokens.
    #[command(subcommand)]
    Token(token::Command),
    /// Generate, list, wrap, change and destroy keys.
    #[command(subcommand)]
    Key(key::Command),
    /// Copy keys from one token to another, of whatever module.
    Migrate(migrate::Migrate),
    /// Store keys and certificates from a file.
    Import(transfer::Import),
    /// Write a key or a certificate to a file.
    Export(transfer::Export),
    /// Sign and verify.
    #[command(subcommand)]
    Crypto(crypto::Command),
    /// Log in, for the rest of an interactive session.
    Login(user::Login),
    /// Log out.
    Logout,
    /// The token's users.
    #[command(subcommand)]
    User(user::Command),
    /// The token, as CloudHSM speaks of clusters.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Approvals by several users.
    #[command(subcommand)]
    Quorum(quorum::Command),
    /// The token's audit log.
    #[command(subcommand)]
    Audit(audit::Command),
    Mechanisms(mechanisms::Mechanisms),
    Bench(bench::Bench),
    Doctor(doctor::Doctor),
    #[command(hide = true)]
    GeneratePages(pages::Pages),
    /// Give commands at a prompt, with one login for all.
    Interactive,
}

impl Cli {
    /// One command has an option of the same name as a general one, and another meaning.
    fn settle(&mut self) {
        if let Command::Quorum(command) = &mut self.command
            && let Some(token) = command.cluster_id()
        {
            self.target.token = token;
        }
    }
}

fn main() -> ExitCode {
    let mut cli = Cli::parse();
    cli.settle();
    if let Some(file) = cli.target.config.take() {
        Config::name(file);
    }
    if matches!(cli.command, Command::Interactive) {
        return interactive::run_to_exit(cli.target, cli.json);
    }
    let json = cli.json || !(cli.text || io::stdout().is_terminal());
    let mut context = Context::new(cli.target, false);
    context.json = json;
    let outcome = run(&mut context, cli.command);
    let found_wrong = context.found_wrong;
    // A store is closed before its answer is read.
    drop(context);
    match print(outcome, found_wrong, json) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("coffer: standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(context: &mut Context, command: Command) -> Outcome {
    match command {
        Command::Token(command) => token::run(context, command),
        Command::Audit(command) => audit::run(context, command),
        Command::Bench(bench) => bench.run(context),
        Command::Key(command) => key::run(context, command),
        Command::Migrate(migrate) => migrate.run(context),
        Command::Import(import) => import.run(context),
        Command::Export(export) => export.run(context),
        Command::Mechanisms(mechanisms) => mechanisms.run(context),
        Command::Doctor(doctor) => doctor.run(context),
        Command::GeneratePages(pages) => pages.run(),
        Command::Crypto(command) => crypto::run(context, command),
        Command::Login(who) => user::login(context, who),
        Command::Logout => user::logout(context),
        Command::User(command) => user::run(context, command),
        Command::Cluster(command) => cluster::run(context, command),
        Command::Quorum(command) => quorum::run(context, command),
        Command::Interactive => Err("this is the prompt already".into()),
    }
}

/// Says it; whether it was good news: a report can also tell that something was found wrong.
fn print(outcome: Outcome, found_wrong: bool, json: bool) -> io::Result<bool> {
    let good = outcome.is_ok() && !found_wrong;
    let said = match (outcome, json) {
        // Said already, piece by piece.
        (Ok(report), _) if report.json.is_null() => Ok(()),
        (Ok(report), true) => say(&pretty(&json!({ "error_code": i32::from(!good), "data": report.json }))),
        (Ok(report), false) => say(&report.text),
        (Err(message), true) => say(&pretty(&json!({ "error_code": 1, "data": message }))),
        (Err(message), false) => {
            eprintln!("coffer: {}", output::printable(&message));
            Ok(())
        }
    };
    match said {
        // Who reads only the first lines has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(good),
        said => said.map(|()| good),
    }
}

/// As CloudHSM's CLI prints it.
fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
