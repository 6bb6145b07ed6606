//! `coffer token repair`: what an operator can do about a token that refuses its users.

use super::operator::{Operator, SoPin, Who, confirm};
use crate::connection::Role;
use crate::context::Context;
use crate::output::{Outcome, Report, printable};
use clap::Args;
use serde_json::json;

/// Show what is wrong with a token that refuses its users, and with --accept or --unlock do something about it.
///
/// A token whose records were deleted, put back or exchanged behind its back refuses every login rather than show what
/// is left, and the right answer is most often `coffer token restore` of a backup. --accept declares what is left to be
/// the token: whoever did it gets away with it, and nothing that is missing comes back.
///
/// An SO that is locked after too many wrong PINs has nobody to unlock it. Whoever can write the token's file can give
/// it its tries back with --unlock; the PIN stays what it is, and no key is opened.
#[derive(Args)]
pub struct Repair {
    /// Declare the records that are there to be the token, without the damaged objects, after a confirmation.
    #[arg(long, conflicts_with = "unlock")]
    accept: bool,
    /// Give a locked SO (or with --role crypto-user a user) all tries back, after a confirmation.
    #[arg(long)]
    unlock: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Whose PIN it is: admin unless said.
    #[arg(long, value_enum, default_value = "admin")]
    role: Role,
    /// The name of the SO or user, where there are several.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    #[command(flatten)]
    so: SoPin,
}

impl Repair {
    pub fn run(self, context: &mut Context) -> Outcome {
        let operator = Operator::open(context)?;
        let label = operator.label.clone();
        let who = Who { role: Some(self.role), username: self.username.clone(), so: self.so };
        let told = |error: coffer_pkcs11::error::Error| format!("token {label:?}: {error}");
        if self.unlock {
            let name = self.username.unwrap_or_default();
            let whom = match (self.role, name.as_str()) {
                (Role::Admin, "") => "the founding SO".to_owned(),
                (Role::CryptoUser, "") => "the user".to_owned(),
                (_, name) => format!("{name:?}"),
            };
            let warning = format!("{whom} of token {label:?} may try its PIN again as often as at first");
            confirm(self.yes, &printable(&warning), &label)?;
            let user = super::operator::user(self.role);
            operator.module.forgive(operator.slot, user, name.as_bytes()).map_err(told)?;
            return Ok(Report {
                text: format!("{whom} of token {label:?} has all tries again\n"),
                json: json!({ "token": label, "unlocked": name, "role": self.role.name() }),
            });
        }
        let credentials = operator.credentials(context, &who)?;
        let rescue = operator
            .module
            .rescue(
                operator.slot,
                credentials.user(),
                credentials.name.as_bytes(),
                credentials.pin.as_bytes(),
            )
            .map_err(|error| operator.refused(&credentials, &error))?;
        let mut text = String::new();
        let wrong = rescue.wrong.as_ref().map(ToString::to_string);
        let damaged: Vec<_> = rescue.damaged.iter().map(ToString::to_string).collect();
        for damaged in &damaged {
            text += &format!("{}\n", printable(damaged));
        }
        text += &match &wrong {
            None if damaged.is_empty() => {
                format!("token {label:?} opens; {} objects are sound\n", rescue.sound)
            }
            None => format!(
                "token {label:?} opens; {} objects are sound. A backup brings the damaged ones back (coffer token \
                 restore); --accept removes them, and only then can new backups be made\n",
                rescue.sound
            ),
            Some(wrong) => format!(
                "token {label:?} refuses every login: {wrong}\n{} objects are sound. A backup brings all of them \
                 back (coffer token restore); --accept goes on with these\n",
                rescue.sound
            ),
        };
        let mut json = json!({
            "token": label, "wrong": wrong, "sound": rescue.sound, "damaged": damaged, "accepted": false,
        });
        if !self.accept || (wrong.is_none() && damaged.is_empty()) {
            context.found_wrong = wrong.is_some() || !damaged.is_empty();
            return Ok(Report { text, json });
        }
        eprint!("{text}");
        let warning = format!("token {label:?} will be what is there, and what is missing is lost to it");
        confirm(self.yes, &printable(&warning), &label)?;
        rescue.accept().map_err(told)?;
        json["accepted"] = true.into();
        Ok(Report { text: format!("token {label:?} opens again, with {} objects\n", rescue.sound), json })
    }
}
