//! A case and what comes of it.

use crate::client::Rv;
use crate::context::Context;
use cryptoki_sys::*;
use serde::{Deserialize, Serialize};

/// By which rules the module is judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// What the standard says, and what no conforming application can miss.
    Spec,
    /// Also without role conflicts, unauthenticated wrapping and weak keys.
    Strict,
}

/// What a case wants to come.
#[derive(Clone, Copy, Debug)]
pub enum Want {
    /// One of these codes.
    Codes(&'static [CK_RV]),
    /// Any code but CKR_OK.
    Refusal,
    /// Any code at all: the case is about coming back.
    Answer,
}

impl Want {
    fn accepts(self, rv: Rv) -> bool {
        match self {
            Want::Codes(codes) => codes.contains(&rv.0),
            Want::Refusal => rv != CKR_OK,
            Want::Answer => true,
        }
    }

    /// As words for the report.
    pub fn words(self) -> String {
        match self {
            Want::Codes(codes) => {
                codes.iter().map(|&code| Rv(code).to_string()).collect::<Vec<_>>().join(" or ")
            }
            Want::Refusal => "any error".into(),
            Want::Answer => "any code".into(),
        }
    }
}

impl From<&'static [CK_RV]> for Want {
    fn from(codes: &'static [CK_RV]) -> Want {
        Want::Codes(codes)
    }
}

impl<const N: usize> From<&'static [CK_RV; N]> for Want {
    fn from(codes: &'static [CK_RV; N]) -> Want {
        Want::Codes(codes)
    }
}

/// Why a case ended before its last step.
#[derive(Debug)]
pub enum Stop {
    /// The module lacks what the case needs.
    NotOffered(String),
    /// A call of the case itself gave this code: it is judged like the last step's.
    Code(Rv),
    /// Something is wrong whatever the last step would give: a sentence.
    Wrong(String),
}

impl From<Rv> for Stop {
    fn from(rv: Rv) -> Stop {
        Stop::Code(rv)
    }
}

/// What a case's function gives: the code to judge.
pub type Outcome = Result<Rv, Stop>;

/// Codes that say that a module has not got something, rather than that it failed.
const LACKS: [CK_RV; 5] = [
    CKR_MECHANISM_INVALID,
    CKR_FUNCTION_NOT_SUPPORTED,
    CKR_CURVE_NOT_SUPPORTED,
    CKR_PARAMETER_SET_NOT_SUPPORTED,
    Rv::ABSENT.0,
];

/// For steps that only lead to the step which a case is about.
pub trait Setup<T> {
    /// The value; a module that lacks the function or mechanism is "not offered", any other error is wrong.
    fn setup(self, step: &str) -> Result<T, Stop>;
}

impl<T> Setup<T> for Result<T, Rv> {
    fn setup(self, step: &str) -> Result<T, Stop> {
        self.map_err(|rv| {
            let sentence = format!("{step}: {rv}");
            if LACKS.contains(&rv.0) { Stop::NotOffered(sentence) } else { Stop::Wrong(sentence) }
        })
    }
}

/// How far the module is when the case's function starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Loaded.
    Loaded,
    /// C_Initialize done.
    Initialised,
    /// A read/write session, nobody logged in.
    Public,
    /// A read/write session of the user.
    User,
}

type Run = Box<dyn Fn(&Context) -> Outcome>;

/// One case.
pub struct Case {
    /// `chapter.what-it-is-about`.
    pub id: String,
    /// The standard's section, or the attack's number.
    pub chapter: &'static str,
    /// What it does, as a sentence.
    pub does: String,
    want: Want,
    strict: Option<Want>,
    /// Judged only by this policy.
    pub only: Option<Policy>,
    /// Where it starts.
    pub level: Level,
    /// It spoils the token, which is initialised again after it.
    pub destructive: bool,
    /// It ends by exit(), so that the module's exit handlers run.
    pub exits: bool,
    /// The case itself.
    pub run: Run,
}

impl Case {
    /// A case that starts with the user's session.
    pub fn new(
        id: impl Into<String>,
        chapter: &'static str,
        does: impl Into<String>,
        want: impl Into<Want>,
        run: impl Fn(&Context) -> Outcome + 'static,
    ) -> Case {
        Case {
            id: id.into(),
            chapter,
            does: does.into(),
            want: want.into(),
            strict: None,
            only: None,
            level: Level::User,
            destructive: false,
            exits: false,
            run: Box::new(run),
        }
    }

    /// Starts at another level.
    pub fn level(self, level: Level) -> Case {
        Case { level, ..self }
    }
    /// Wants something else under the strict policy.
    pub fn strict(self, want: impl Into<Want>) -> Case {
        Case { strict: Some(want.into()), ..self }
    }
    /// Is a rule of the strict policy alone.
    pub fn strict_only(self) -> Case {
        Case { only: Some(Policy::Strict), ..self }
    }
    /// Is a rule of the specification that the strict policy overrides.
    pub fn spec_only(self) -> Case {
        Case { only: Some(Policy::Spec), ..self }
    }
    /// Spoils the token.
    pub fn destructive(self) -> Case {
        Case { destructive: true, ..self }
    }
    /// Ends by exit().
    pub fn exits(self) -> Case {
        Case { exits: true, ..self }
    }

    /// What it wants under that policy.
    pub fn want(&self, policy: Policy) -> Want {
        match policy {
            Policy::Strict => self.strict.unwrap_or(self.want),
            Policy::Spec => self.want,
        }
    }

    /// The judgement of an outcome: verdict, what came, a note.
    pub fn judge(&self, policy: Policy, outcome: Outcome) -> (Verdict, String, String) {
        match outcome {
            Ok(rv) | Err(Stop::Code(rv)) => {
                let verdict = if self.want(policy).accepts(rv) { Verdict::Pass } else { Verdict::Fail };
                (verdict, rv.to_string(), String::new())
            }
            Err(Stop::NotOffered(why)) => (Verdict::NotOffered, String::new(), why),
            Err(Stop::Wrong(why)) => (Verdict::Fail, why, String::new()),
        }
    }
}

/// What is said of a case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// What was wanted came.
    Pass,
    /// Something else came.
    Fail,
    /// The process died of a signal, or ended itself.
    Crash,
    /// No answer in time.
    Hang,
    /// The module lacks the mechanism or function.
    NotOffered,
    /// It would have spoiled the token, which was not allowed.
    NotRun,
}

impl Verdict {
    /// All, in the report's order.
    pub const ALL: [Verdict; 6] =
        [Verdict::Pass, Verdict::Fail, Verdict::Crash, Verdict::Hang, Verdict::NotOffered, Verdict::NotRun];

    /// As words for the report.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Crash => "crash",
            Verdict::Hang => "hang",
            Verdict::NotOffered => "not offered",
            Verdict::NotRun => "not run",
        }
    }

    /// Whether the module is at fault.
    pub fn is_bad(self) -> bool {
        matches!(self, Verdict::Fail | Verdict::Crash | Verdict::Hang)
    }
}

/// A case after its run.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The case's.
    pub id: String,
    /// The case's.
    pub chapter: &'static str,
    /// The case's.
    pub does: String,
    /// The wanted codes.
    pub want: String,
    /// The code that came, or a sentence.
    pub got: String,
    /// The judgement.
    pub verdict: Verdict,
    /// Why it was not offered or not run, or the signal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Whether `id` matches a pattern of literal characters, `*` and `?`.
pub fn glob(pattern: &str, id: &str) -> bool {
    match (pattern.as_bytes(), id.as_bytes()) {
        ([], []) => true,
        ([b'*', rest @ ..], text) => {
            let rest = std::str::from_utf8(rest).unwrap_or_default();
            (0..=text.len()).any(|at| id.is_char_boundary(at) && glob(rest, &id[at..]))
        }
        ([b'?', ..], [_, ..]) => glob(&pattern[1..], &id[1..]),
        ([a, ..], [b, ..]) if a == b => pattern.is_char_boundary(1) && glob(&pattern[1..], &id[1..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, id, yes) in [
            ("*", "a.b", true),
            ("attack.*", "attack.01.wrap", true),
            ("attack.*", "hostile.x", false),
            ("*.wrap", "attack.01.wrap", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "a", false),
        ] {
            assert_eq!(glob(pattern, id), yes, "{pattern} {id}");
        }
    }
}
