//! The findings as text, JSON or HTML.

use crate::case::{Finding, Policy, Verdict};
use serde::Serialize;
use std::fmt::Write;

/// How the report looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// A line a case, for people at a terminal.
    Text,
    /// For programs.
    Json,
    /// One page without outside parts.
    Html,
}

/// A run and its findings.
#[derive(Serialize)]
pub struct Report<'a> {
    /// The module's file name.
    pub module: String,
    /// What C_GetInfo says of the library: manufacturer, description, version.
    pub library: String,
    /// The rules.
    pub policy: Policy,
    /// In the order of the run.
    pub findings: &'a [Finding],
}

impl Report<'_> {
    /// How many findings have each verdict.
    pub fn counts(&self) -> Vec<(Verdict, usize)> {
        let count = |verdict| self.findings.iter().filter(|finding| finding.verdict == verdict).count();
        Verdict::ALL.iter().map(|&verdict| (verdict, count(verdict))).collect()
    }

    /// `12 pass, 1 fail, ...`, without what did not happen.
    pub fn summary(&self) -> String {
        let some = self.counts().into_iter().filter(|(_, n)| *n > 0);
        some.map(|(verdict, n)| format!("{n} {}", verdict.words())).collect::<Vec<_>>().join(", ")
    }

    /// The report in that format.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Json => serde_json::to_string_pretty(self).expect("strings and numbers only") + "\n",
            Format::Html => self.html(),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{} ({}), policy {:?}\n", self.module, self.library, self.policy);
        for finding in self.findings {
            text += &line(finding);
        }
        text + &self.summary() + "\n"
    }

    fn html(&self) -> String {
        let mut rows = String::new();
        let mut chapter = "";
        for f in self.findings {
            if f.chapter != chapter {
                chapter = f.chapter;
                let _ = writeln!(rows, "<tr><th colspan=5>{}</th></tr>", escape(chapter));
            }
            let class = if f.verdict.is_bad() { "bad" } else { f.verdict.words() };
            let _ = writeln!(
                rows,
                "<tr class=\"{class}\"><td>{}<td>{}<td>{}<td>{}<td>{} {}</tr>",
                f.verdict.words(),
                escape(&f.id),
                escape(&f.does),
                escape(&f.want),
                escape(&f.got),
                escape(&f.note)
            );
        }
        format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>PKCS#11 conformance: {name}</title><style>{STYLE}\
             </style><h1>{name}</h1><p>{library}. Policy: {policy:?}. {summary}.</p><table><thead><tr><td>Verdict\
             <td>Case<td>What it does<td>Wanted<td>Came</tr></thead>\n{rows}</table></html>\n",
            name = escape(&self.module),
            library = escape(&self.library),
            policy = self.policy,
            summary = self.summary(),
        )
    }
}

const STYLE: &str = "body{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:80em;padding:0 1em}\
    table{border-collapse:collapse;width:100%}td,th{padding:.25em .6em;text-align:left;vertical-align:top;\
    border-bottom:1px solid #8884}th{padding-top:1.5em}thead{font-weight:600}.bad td:first-child{background:#c22;\
    color:#fff}.pass td:first-child{color:#171}tr.not{opacity:.6}";

/// A finding as a line of text; a bad one has a second line.
pub fn line(f: &Finding) -> String {
    let head = format!("{:<11} {:<44} {}\n", f.verdict.words(), f.id, f.does);
    if f.verdict.is_bad() {
        return format!("{head}{:12}wanted {}; came {} {}\n", "", f.want, f.got, f.note);
    }
    head
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
