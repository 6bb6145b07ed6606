//! Where a PIN comes from: a file, the environment, a prompt; never the command line, which others can read.

use std::env;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;
use zeroize::Zeroizing;

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
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut text = Zeroizing::new(text);
        let line = text.trim_end_matches(['\r', '\n']).len();
        text.truncate(line);
        return Ok(text);
    }
    if let Ok(pin) = env::var(variable) {
        return Ok(Zeroizing::new(pin));
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
