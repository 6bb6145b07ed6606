//! Manual pages and shell completions, made of the command's own definition for `make install`.

use crate::Cli;
use crate::output::{Outcome, Report};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Write manual pages and shell completions.
#[derive(Args)]
pub struct Pages {
    /// Where the manual pages go: coffer.1, coffer-key.1 and so on.
    #[arg(long, value_name = "DIR")]
    man: Option<PathBuf>,
    /// Where the completions for bash, zsh and fish go.
    #[arg(long, value_name = "DIR")]
    completions: Option<PathBuf>,
}

impl Pages {
    pub fn run(self) -> Outcome {
        let mut command = Cli::command();
        command.build();
        if let Some(dir) = &self.man {
            make(dir)?;
            clap_mangen::generate_to(without_help(Cli::command()), dir)
                .map_err(|error| format!("{}: {error}", dir.display()))?;
        }
        if let Some(dir) = &self.completions {
            make(dir)?;
            for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
                clap_complete::generate_to(shell, &mut command, "coffer", dir)
                    .map_err(|error| format!("{}: {error}", dir.display()))?;
            }
        }
        Ok(Report::of(json!({ "message": "Successfully written" })))
    }
}

/// Without `help`, which repeats every page.
fn without_help(command: clap::Command) -> clap::Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}

fn make(dir: &Path) -> Result<(), String> {
    fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))
}
