//! Where a PIN comes from: a file, the environment, a prompt; never the command line, which others can read.

use std::env;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// The most bytes that are read of a PIN file: more than any PIN has, and a bound for files that never end.
const LONGEST_FILE: u64 = 1024;

/// A PIN, from `file` if given, else from the environment variable, else asked for on the terminal, `twice`
/// if it is a new one.
///
/// # Errors
/// A sentence for the user.
pub fn obtain(
    what: &str,
    file: Option<&Path>,
    variable: &str,
    twice: bool,
) -> Result<Zeroizing<String>, String> {
    if let Some(file) = file {
        return from_file(file).map_err(|error| format!("{}: {error}", file.display()));
    }
    match env::var(variable) {
        Ok(pin) => return Ok(Zeroizing::new(pin)),
        Err(env::VarError::NotUnicode(_)) => return Err(format!("{variable} is not UTF-8")),
        Err(env::VarError::NotPresent) => {}
    }
    if !io::stdin().is_terminal() {
        return Err(format!("no {what}: give a file, set {variable}, or run on a terminal"));
    }
    let ask = |prompt: String| {
        rpassword::prompt_password(prompt)
            .map(Zeroizing::new)
            .map_err(|error| format!("reading the {what}: {error}"))
    };
    let pin = ask(format!("{what}: "))?;
    if twice && ask(format!("{what} again: "))? != pin {
        return Err(format!("the two entries of the {what} differ"));
    }
    Ok(pin)
}

/// The file's first line; a second one is an error, since then the file is likely another one than was meant.
fn from_file(file: &Path) -> io::Result<Zeroizing<String>> {
    // All the room at once: growing would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST_FILE as usize + 1));
    File::open(file)?.take(LONGEST_FILE + 1).read_to_string(&mut text)?;
    let line = text.trim_end_matches(['\r', '\n']).len();
    if text.len() as u64 > LONGEST_FILE || text[..line].contains('\n') {
        return Err(io::Error::other("not a PIN of one line"));
    }
    text.truncate(line);
    Ok(text)
}
