//! `coffer interactive`: a prompt with history, completion and help.

use crate::connection::Target;
use crate::context::Context;
use crate::{Cli, Command, print, run};
use clap::{CommandFactory, Parser};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Editor, Helper};
use std::env;
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Reads commands until `quit`, Control-D or the end of the input. The exit code says whether the last one succeeded,
/// as a shell's does.
pub fn run_all(target: Target, json: bool) -> Result<bool, String> {
    let mut context = Context::new(target, true);
    let config = Config::builder().history_ignore_dups(true).and_then(|c| c.max_history_size(1000));
    let config = config.map_err(|error| error.to_string())?.history_ignore_space(true).build();
    let mut editor: Editor<Words, FileHistory> =
        Editor::with_config(config).map_err(|error| error.to_string())?;
    editor.set_helper(Some(Words(Cli::command())));
    let history = history_file();
    if let Some(path) = &history {
        // There is none the first time.
        let _ = editor.load_history(path);
    }
    let terminal = io::stdin().is_terminal();
    if terminal {
        println!("Coffer {}. `help` lists the commands, `quit` ends.", env!("CARGO_PKG_VERSION"));
    }
    let mut good = true;
    loop {
        let prompt = context.who().map_or("coffer > ".into(), |who| format!("{who} > "));
        let line = match editor.readline(if terminal { prompt.as_str() } else { "" }) {
            Ok(line) => line,
            // Control-C gives the line up, not the session.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(format!("reading the command: {error}")),
        };
        let line = match whole(line, || editor.readline(if terminal { "> " } else { "" })) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(error) => return Err(format!("reading the command: {error}")),
        };
        match split(&line) {
            Err(why) => {
                eprintln!("coffer: {why}");
                good = false;
            }
            Ok(words) if words.is_empty() => {}
            Ok(words) if ["quit", "exit"].contains(&words[0].as_str()) => break,
            Ok(words) => {
                if kept(&words) && editor.add_history_entry(&line).unwrap_or(false) {
                    save(&mut editor, history.as_deref());
                }
                good = one(&mut context, words, json)?;
            }
        }
    }
    Ok(good)
}

/// Whatever ends the session, the lines before are kept.
fn save(editor: &mut Editor<Words, FileHistory>, path: Option<&Path>) {
    if let Some(path) = path
        && editor.save_history(path).is_ok()
    {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    }
}

/// A command that goes on after each line that a backslash ends, as CloudHSM's documents write the long ones. What the
/// end of the input cuts off is judged as it is.
fn whole(mut line: String, mut more: impl FnMut() -> rustyline::Result<String>) -> rustyline::Result<String> {
    while (line.len() - line.trim_end_matches('\\').len()) % 2 == 1 {
        match more() {
            Ok(next) => {
                line.pop();
                line += &next;
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(line)
}

/// [`run_all`] as a program's end.
pub fn run_to_exit(target: Target, json: bool) -> ExitCode {
    match run_all(target, json) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("coffer: {why}");
            ExitCode::FAILURE
        }
    }
}

/// One command; whether it succeeded.
fn one(context: &mut Context, words: Vec<String>, json: bool) -> Result<bool, String> {
    let cli = match Cli::try_parse_from(std::iter::once("coffer".to_owned()).chain(words)) {
        Ok(mut cli) => {
            cli.settle();
            cli
        }
        Err(error) => {
            let _ = error.print();
            return Ok(!error.use_stderr());
        }
    };
    if cli.target.token.is_some() && cli.target.token != context.target.token {
        context.disconnect();
        context.target.token = cli.target.token;
    }
    if cli.target.library.is_some() && cli.target.library != context.target.library {
        return Err("another --library needs a session of its own".into());
    }
    let json = json || cli.json || !(cli.text || io::stdout().is_terminal());
    context.json = json;
    let outcome = match cli.command {
        Command::Interactive => Err("this is the prompt already".into()),
        command => run(context, command),
    };
    print(outcome, std::mem::take(&mut context.found_wrong), json)
        .map_err(|error| format!("standard output: {error}"))
}

/// Whether a line goes into the history: a password given with a command does not, nor one typed at the wrong prompt.
fn kept(words: &[String]) -> bool {
    let known = words[0] == "help" || Cli::command().find_subcommand(&words[0]).is_some();
    known && !words.iter().any(|word| word.starts_with("--password"))
}

/// Words as a shell splits them: blanks between, quotes around, a backslash before.
fn split(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => {
                let next = chars.next().ok_or("the line ends with a backslash")?;
                word.get_or_insert_default().push(next);
            }
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_some() { Err("a quote is not closed".into()) } else { Ok(words) }
}

/// `$XDG_STATE_HOME/coffer/history`, in a directory of the user's own.
fn history_file() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let dir = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?
        .join("coffer");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).ok()?;
    Some(dir.join("history"))
}

/// Completes subcommands and options out of the command's own definition.
struct Words(clap::Command);

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = &line[..at];
        let start = before.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
        let mut command = &self.0;
        for word in before[..start].split_whitespace() {
            command = command.find_subcommand(word).unwrap_or(command);
        }
        let mut candidates: Vec<String> = Vec::new();
        // Behind an option that takes one of some words, those.
        let option = before[..start].split_whitespace().last().and_then(|word| word.strip_prefix("--"));
        let named = |argument: &&clap::Arg| {
            argument
                .get_long_and_visible_aliases()
                .is_some_and(|names| names.iter().any(|name| Some(*name) == option))
        };
        let values =
            command.get_arguments().find(named).filter(|argument| argument.get_action().takes_values());
        let values = values.map(clap::Arg::get_possible_values).unwrap_or_default();
        candidates.extend(values.iter().map(|value| value.get_name().to_owned()));
        if !before[start..].starts_with('-') {
            candidates.extend(
                command.get_subcommands().filter(|sub| !sub.is_hide_set()).map(|sub| sub.get_name().into()),
            );
            if start == 0 {
                candidates.extend(["help", "quit"].map(Into::into));
            }
        }
        let options = command
            .get_arguments()
            .filter(|argument| !argument.is_hide_set())
            .filter_map(|argument| argument.get_long_and_visible_aliases())
            .flatten();
        candidates.extend(options.map(|long| format!("--{long}")));
        candidates.retain(|candidate| candidate.starts_with(&before[start..]));
        candidates.iter_mut().for_each(|candidate| candidate.push(' '));
        candidates.sort();
        Ok((start, candidates))
    }
}

impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}
