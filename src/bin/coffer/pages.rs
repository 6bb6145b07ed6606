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
    /// Where bash looks for completions.
    #[arg(long, value_name = "DIR")]
    bash: Option<PathBuf>,
    /// Where zsh looks for completions.
    #[arg(long, value_name = "DIR")]
    zsh: Option<PathBuf>,
    /// Where fish looks for completions.
    #[arg(long, value_name = "DIR")]
    fish: Option<PathBuf>,
}

impl Pages {
    pub fn run(self) -> Outcome {
        if let Some(dir) = &self.man {
            make(dir)?;
            let written = clap_mangen::generate_to(without_help(Cli::command()), dir);
            written.map_err(|error| format!("{}: {error}", dir.display()))?;
        }
        // Each shell wants its own name of the file.
        let shells = [
            (&self.bash, Shell::Bash, "coffer"),
            (&self.zsh, Shell::Zsh, "_coffer"),
            (&self.fish, Shell::Fish, "coffer.fish"),
        ];
        for (dir, shell, name) in shells {
            let Some(dir) = dir else { continue };
            make(dir)?;
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "coffer", &mut script);
            let path = dir.join(name);
            fs::write(&path, script).map_err(|error| format!("{}: {error}", path.display()))?;
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
