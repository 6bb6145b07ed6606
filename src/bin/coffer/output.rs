//! What a command has to say, for people and for programs.

use indicatif::ProgressBar;
use serde_json::Value;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// The answer of a command.
pub struct Report {
    /// Lines for a terminal.
    pub text: String,
    /// `data` of the JSON answer; null if it has been printed already.
    pub json: Value,
}

/// A command's answer, or a sentence that says what is wrong and what to do.
pub type Outcome = Result<Report, String>;

impl Report {
    /// The JSON, and for people the same as indented lines.
    pub fn of(json: Value) -> Report {
        let mut text = String::new();
        lines(&json, 0, &mut text);
        Report { text, json }
    }

    /// One sentence.
    pub fn sentence(text: impl Into<String>) -> Report {
        let text = text.into();
        Report { json: Value::String(text.clone()), text: text + "\n" }
    }
}

fn lines(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::Object(_) | Value::Array(_) => {
                        *text += &format!("{indent}{name}:\n");
                        lines(value, depth + 1, text);
                    }
                    value => *text += &format!("{indent}{name}: {}\n", plain(value)),
                }
            }
        }
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                if at > 0 && value.is_object() {
                    text.push('\n');
                }
                lines(value, depth, text);
            }
        }
        value => *text += &format!("{indent}{}\n", plain(value)),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), printable)
}

/// A label can hold anything, and a terminal obeys control characters.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Rows under a heading, each column as wide as its widest entry.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let mut widths: Vec<_> = heading.iter().map(|word| word.len()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            line += &format!("{cell:width$}  ");
        }
        line.truncate(line.trim_end().len());
        line + "\n"
    };
    let bold = |text: String| if colours() { format!("\x1b[1m{}\x1b[0m\n", text.trim_end()) } else { text };
    let mut text = bold(line(heading.to_vec()));
    for row in &rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    text
}

/// Whether standard output is a terminal that wants them (https://no-color.org).
pub fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A sign of life on standard error, if that is a terminal, for work that does not tell how far it is.
pub fn wait(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
