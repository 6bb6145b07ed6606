//! What a command has to say, for people and for programs.

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::{self, BufWriter, IsTerminal, Write};
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
    let mut widths = Widths::new(heading);
    rows.iter().for_each(|row| widths.fit(row));
    rows.iter().fold(widths.heading(), |text, row| text + &widths.line(row))
}

/// The columns of a table.
struct Widths<'a> {
    heading: &'a [&'a str],
    widths: Vec<usize>,
}

impl<'a> Widths<'a> {
    fn new(heading: &'a [&'a str]) -> Widths<'a> {
        Widths { heading, widths: heading.iter().map(|word| word.len()).collect() }
    }

    /// Makes room for a row.
    fn fit(&mut self, row: &[String]) {
        for (width, cell) in self.widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }

    fn line(&self, cells: &[impl AsRef<str>]) -> String {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(&self.widths) {
            line += &format!("{:width$}  ", printable(cell.as_ref()));
        }
        line.truncate(line.trim_end().len());
        line + "\n"
    }

    fn heading(&self) -> String {
        let text = self.line(self.heading);
        if colours() { format!("\x1b[1m{}\x1b[0m\n", text.trim_end()) } else { text }
    }
}

/// A report with a list that may be long. Its entries are made one by one when they are printed, and for a table once more
/// before, so that many take no more memory than one.
pub struct Long<'a, E> {
    /// As JSON, or for people.
    pub json: bool,
    /// It tells of something that went wrong.
    pub failed: bool,
    /// An object: what stands in front of the list.
    pub before: Value,
    /// The list's name.
    pub list: &'a str,
    /// How many entries may be asked for.
    pub count: usize,
    /// An entry; none if it is gone meanwhile.
    pub entry: E,
}

/// What stands behind a list, in JSON as an object and for people as lines.
pub type End = (Value, String);

impl<E: Fn(usize) -> Option<Value>> Long<'_, E> {
    /// Prints the report, for people with the named members of the entries under these headings. `end` learns how many
    /// entries there were.
    ///
    /// # Errors
    /// A sentence about standard output.
    pub fn table(self, columns: &[(&str, &str)], end: impl FnOnce(usize) -> End) -> Outcome {
        let row = |entry: &Value| {
            let cell = |(_, member): &(&str, &str)| entry[*member].as_str().unwrap_or_default().to_owned();
            columns.iter().map(cell).collect::<Vec<_>>()
        };
        let heading: Vec<_> = columns.iter().map(|(heading, _)| *heading).collect();
        let mut widths = Widths::new(&heading);
        if !self.json {
            self.entries().for_each(|entry| widths.fit(&row(&entry)));
        }
        self.print(&widths.heading(), |entry, _| widths.line(&row(entry)), end)
    }

    /// The same, for people with all that the entries have.
    ///
    /// # Errors
    /// A sentence about standard output.
    pub fn lines(self, end: impl FnOnce(usize) -> End) -> Outcome {
        let text = |entry: &Value, at| {
            let blank = if at > 0 { "\n" } else { "" };
            format!("{blank}{}", Report::of(entry.clone()).text)
        };
        self.print("", text, end)
    }

    fn entries(&self) -> impl Iterator<Item = Value> {
        (0..self.count).filter_map(&self.entry)
    }

    fn print(
        &self,
        start: &str,
        text: impl Fn(&Value, usize) -> String,
        end: impl FnOnce(usize) -> End,
    ) -> Outcome {
        let mut out = BufWriter::new(io::stdout().lock());
        let printed = if self.json {
            self.print_json(&mut out, end)
        } else {
            self.print_text(&mut out, start, text, end)
        };
        match printed.and_then(|()| out.flush()) {
            // Who reads only the first lines has what it wanted.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(format!("standard output: {error}"))
            }
            _ => Ok(Report { text: String::new(), json: Value::Null }),
        }
    }

    fn print_text(
        &self,
        out: &mut impl Write,
        start: &str,
        text: impl Fn(&Value, usize) -> String,
        end: impl FnOnce(usize) -> End,
    ) -> io::Result<()> {
        let mut count = 0;
        out.write_all(start.as_bytes())?;
        for entry in self.entries() {
            out.write_all(text(&entry, count).as_bytes())?;
            count += 1;
        }
        out.write_all(end(count).1.as_bytes())
    }

    fn print_json(&self, out: &mut impl Write, end: impl FnOnce(usize) -> End) -> io::Result<()> {
        let within =
            |value: &Value, depth: usize| format!("{value:#}").replace('\n', &format!("\n{:depth$}", ""));
        let members = |object: &Value| {
            let members = object.as_object().into_iter().flatten();
            members
                .map(|(name, value)| format!("    {}: {}", json!(name), within(value, 4)))
                .collect::<Vec<_>>()
        };
        write!(out, "{{\n  \"error_code\": {},\n  \"data\": {{\n", i32::from(self.failed))?;
        for member in members(&self.before) {
            writeln!(out, "{member},")?;
        }
        write!(out, "    {}: [", json!(self.list))?;
        let mut count = 0;
        for entry in self.entries() {
            write!(out, "{}\n      {}", if count > 0 { "," } else { "" }, within(&entry, 6))?;
            count += 1;
        }
        out.write_all(if count > 0 { b"\n    ]" } else { b"]" })?;
        for member in members(&end(count).0) {
            write!(out, ",\n{member}")?;
        }
        out.write_all(b"\n  }\n}\n")
    }
}

/// Whether standard output is a terminal that wants them (https://no-color.org).
pub fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A bar on standard error, if that is a terminal.
pub fn progress(what: &'static str, count: usize) -> ProgressBar {
    let bar = ProgressBar::new(count as u64);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len}, {eta}") {
        bar.set_style(style);
    }
    bar.with_prefix(what)
}

/// A bar for work that tells how much it is when it has begun. It goes when this does.
pub struct Told {
    what: &'static str,
    bar: ProgressBar,
    known: bool,
}

impl Told {
    pub fn new(what: &'static str) -> Told {
        Told { what, bar: wait(what), known: false }
    }

    pub fn tell(&mut self, done: usize, total: usize) {
        if !self.known {
            self.bar.finish_and_clear();
            (self.bar, self.known) = (progress(self.what, total), true);
        }
        self.bar.set_position(done as u64);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A sign of life on standard error, if that is a terminal, for work that does not tell how far it is.
pub fn wait(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
