//! `coffer quorum ...`: approvals by several users, which tokens of one user have no use for.

use crate::output::{Outcome, Report};
use clap::Subcommand;
use serde_json::json;

#[derive(Subcommand)]
pub enum Command {
    /// Approvals by signed tokens.
    #[command(subcommand)]
    TokenSign(TokenSign),
}

#[derive(Subcommand)]
pub enum TokenSign {
    /// How many approvals each kind of command needs.
    ListQuorumValues,
    /// The approval tokens that are waiting.
    List,
    /// Make an approval token.
    #[command(disable_help_subcommand = true)]
    Generate {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _arguments: Vec<String>,
    },
    /// Delete approval tokens.
    #[command(disable_help_subcommand = true)]
    Delete {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _arguments: Vec<String>,
    },
    /// Change how many approvals a kind of command needs.
    #[command(disable_help_subcommand = true)]
    SetQuorumValue {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _arguments: Vec<String>,
    },
}

pub fn run(Command::TokenSign(command): Command) -> Outcome {
    match command {
        TokenSign::ListQuorumValues => Ok(Report::of(
            json!({ "user": 1, "quorum": 1, "cluster": 1, "key-usage": 1, "key-management": 1 }),
        )),
        TokenSign::List => Ok(Report::of(json!({ "tokens": [] }))),
        TokenSign::Generate { .. } | TokenSign::Delete { .. } | TokenSign::SetQuorumValue { .. } => {
            Err("a token has one admin and one crypto-user, and nobody else whose approval could be asked"
                .into())
        }
    }
}
