//! `coffer audit ...`: the token's audit log, read and checked.

use crate::context::Context;
use crate::moment;
use crate::output::{Outcome, Report, printable, table, wait};
use crate::token::operator::{Operator, SoPin};
use clap::{Args, Subcommand};
use coffer_pkcs11::log::Moment;
use serde_json::{Value, json};
use std::collections::VecDeque;

#[derive(Subcommand)]
pub enum Command {
    Show(Show),
    Verify(Verify),
}

pub fn run(context: &mut Context, command: Command) -> Outcome {
    match command {
        Command::Show(show) => show.run(context),
        Command::Verify(verify) => verify.run(context),
    }
}

/// An SO, who alone reads the log.
#[derive(Args)]
struct Reader {
    /// The SO's name, if it is not the founding one.
    #[arg(long = "so", value_name = "NAME")]
    username: Option<String>,
    #[command(flatten)]
    so: SoPin,
}

/// Show the log's lines, all or some. Whether they are genuine `coffer audit verify` tells.
#[derive(Args)]
pub struct Show {
    /// Only lines of this user ("admin": who founded the token).
    #[arg(long)]
    user: Option<String>,
    /// Only events with this in their name, such as login, backup or "set PIN".
    #[arg(long)]
    event: Option<String>,
    /// Only lines with this outcome: CKR_OK, or failed for all others.
    #[arg(long)]
    outcome: Option<String>,
    /// Only lines from then on: 2026-11-28, 2026-11-28T20:50:07Z (UTC), or 7d, 12h, 15m ago.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    since: Option<u64>,
    /// Only lines up to then.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    until: Option<u64>,
    /// Only the last so many of them.
    #[arg(long, value_name = "COUNT")]
    last: Option<usize>,
    #[command(flatten)]
    reader: Reader,
}

impl Show {
    pub fn run(self, context: &Context) -> Outcome {
        let operator = Operator::open(context)?;
        let session = operator.login(context, &self.reader.so.clone().who(self.reader.username.clone()))?;
        let (mut lines, mut matched) = (VecDeque::new(), 0);
        let most = self.last.unwrap_or(usize::MAX);
        let read = operator.module.session(session).and_then(|session| {
            session.verify_audit(false, &mut |_, _, line| {
                let Some(line) = line else { return Ok(()) };
                let fields = serde_json::from_str(line).unwrap_or_else(|_| json!({ "detail": line }));
                if self.matches(&fields) {
                    matched += 1;
                    lines.push_back(fields);
                    if lines.len() > most {
                        lines.pop_front();
                    }
                }
                Ok(())
            })
        });
        let verdict = read.map_err(|error| format!("the audit log: {error}"))?;
        let text = |fields: &Value, name: &str| match &fields[name] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let time = |fields: &Value| {
            fields["time"].as_u64().map_or_else(String::new, |time| Moment::from_millis(time).to_string())
        };
        let rows: Vec<_> = lines
            .iter()
            .map(|fields| {
                let mut row = vec![text(fields, "number"), time(fields)];
                row.extend(["user", "event", "detail", "outcome"].map(|name| text(fields, name)));
                row
            })
            .collect();
        let entries: Vec<_> = lines
            .iter()
            .map(|fields| {
                json!({
                    "number": fields["number"], "time": time(fields), "process": fields["process"],
                    "user": fields["user"], "event": fields["event"], "detail": fields["detail"],
                    "outcome": fields["outcome"],
                    "signed": fields["signature"].as_str().is_some_and(|signature| !signature.is_empty()),
                })
            })
            .collect();
        let mut said = table(&["NUMBER", "TIME", "USER", "EVENT", "DETAIL", "OUTCOME"], &rows);
        said += &format!("{} of {} lines\n", rows.len(), verdict.lines);
        if verdict.faults > 0 {
            said += "something is wrong with the log: `coffer audit verify` tells what\n";
        }
        Ok(Report {
            text: said,
            json: json!({
                "lines": entries, "matched": matched, "total": verdict.lines, "faults": verdict.faults,
            }),
        })
    }

    fn matches(&self, fields: &Value) -> bool {
        let field = |name: &str| fields[name].as_str().unwrap_or_default();
        let user = self.user.as_ref().is_none_or(|user| field("user") == user.to_lowercase());
        let event = self.event.as_ref().is_none_or(|event| field("event").contains(&event[..]));
        let outcome = self.outcome.as_ref().is_none_or(|outcome| match outcome.as_str() {
            "failed" => field("outcome") != "CKR_OK",
            outcome => field("outcome").eq_ignore_ascii_case(outcome),
        });
        let time = fields["time"].as_u64().unwrap_or_default();
        user && event
            && outcome
            && self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time <= until)
    }
}

/// Check the log: that no line was changed, taken out, put in or cut off, and that its signatures are right.
#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    reader: Reader,
}

impl Verify {
    pub fn run(self, context: &mut Context) -> Outcome {
        let operator = Operator::open(context)?;
        let session = operator.login(context, &self.reader.so.who(self.reader.username))?;
        let (mut faults, bar) = (Vec::new(), wait("audit verify"));
        let read = operator.module.session(session).and_then(|session| {
            session.verify_audit(true, &mut |_, _, fault| {
                faults.extend(fault.map(String::from));
                Ok(())
            })
        });
        bar.finish_and_clear();
        let verdict = read.map_err(|error| format!("the audit log: {error}"))?;
        context.found_wrong = verdict.faults > 0;
        let mut text = String::new();
        for fault in &faults {
            text += &format!("{}\n", printable(fault));
        }
        text += &match verdict.lines {
            0 if faults.is_empty() => {
                "the token has no audit log; `audit = \"management\"` in the configuration \
                                      begins one\n"
                    .to_owned()
            }
            lines => format!(
                "{lines} lines, {} of them signed by who was logged in, {} faults\n",
                verdict.signed, verdict.faults
            ),
        };
        Ok(Report {
            text,
            json: json!({
                "lines": verdict.lines, "signed": verdict.signed, "first-fault": faults.first(), "faults": faults,
            }),
        })
    }
}
