//! `coffer-bench`: any PKCS#11 module beside bare AWS-LC, in one process.

mod bare;
mod desk;
mod measure;
mod provider;
mod report;
mod rows;
mod work;

use clap::Parser;
use measure::Effort;
use provider::Provider;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

/// Measures modules beside bare AWS-LC: Init and operation, with private token keys and a user logged in.
///
/// The first module is the one that is judged; the others are its peers.
#[derive(Parser)]
#[command(name = "coffer-bench", version)]
struct Cli {
    /// The first module and bare AWS-LC only, in about two minutes.
    #[arg(long)]
    quick: bool,
    /// One short window of everything: shows that it works, and measures nothing.
    #[arg(long, conflicts_with = "quick")]
    glance: bool,
    /// Only rows whose names contain this; may be given again.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// A module's shared library; may be given again [default: Coffer's, beside this program, and the installed peers].
    #[arg(long, value_name = "PATH")]
    module: Vec<PathBuf>,
    /// Writes the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("coffer-bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), String> {
    let executable = env::current_exe().map_err(|error| error.to_string())?;
    let beside = executable.parent().ok_or("this program is in no directory")?;
    // Not the system's temporary directory: that is often memory, and tokens are measured on a disk.
    let place =
        tempfile::Builder::new().prefix("bench-").tempdir_in(beside).map_err(|error| error.to_string())?;
    let modules = match cli.module.is_empty() {
        true => vec![beside.join("libcoffer_pkcs11.so")],
        false => cli.module.clone(),
    };
    let effort = match (cli.quick, cli.glance) {
        (true, _) => Effort::QUICK,
        (_, true) => Effort::GLANCE,
        _ => Effort::FULL,
    };
    let providers: Vec<Provider> = modules.iter().map(|path| Provider::new(path, place.path())).collect();
    let names: Vec<String> = providers.iter().map(|each| each.name.clone()).collect();
    let mut desks = Vec::new();
    for provider in &providers {
        desks.push(provider.start().map_err(|why| format!("{}: {why}", provider.path.display()))?);
    }

    let header = report::header(&names);
    let columns = report::Columns::new(&header);
    println!("{}", columns.line(&header));
    let wanted = |name: &str| cli.only.is_empty() || cli.only.iter().any(|part| name.contains(part.as_str()));
    let mut lines = Vec::new();
    for row in rows::all().iter().filter(|row| wanted(&row.name)) {
        let line = measure::row(row, &desks, effort);
        println!("{}", columns.line(&report::cells(&line)));
        for (name, why) in
            names.iter().zip(&line.modules).filter_map(|(name, o)| Some((name, o.as_ref().err()?)))
        {
            eprintln!("    {name}, {}: {why}", line.name);
        }
        lines.push(line);
    }
    if let Some(file) = &cli.json {
        let figures: Vec<_> = lines.iter().map(|line| line.json(&names)).collect();
        let text = format!("{:#}\n", json!({ "modules": names, "rows": figures }));
        fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}
