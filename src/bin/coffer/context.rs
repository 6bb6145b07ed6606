//! What lasts from one command of an interactive session to the next.

use crate::connection::{Connection, Target, pin_variable};
use crate::output::Outcome;
use pkcs11_client::Module;
use std::io::{self, IsTerminal};

/// The token that commands are for, and the login.
pub struct Context {
    /// Which token.
    pub target: Target,
    /// Whether commands come from the prompt.
    pub interactive: bool,
    /// The report of the command tells of something wrong, so it ends with exit code 1.
    pub found_wrong: bool,
    /// Whether the answer is printed as JSON.
    pub json: bool,
    connection: Option<Connection>,
    module: Option<Module>,
}

impl Context {
    pub fn new(target: Target, interactive: bool) -> Context {
        Context { target, interactive, found_wrong: false, json: false, connection: None, module: None }
    }

    /// The connection, logged in.
    ///
    /// # Errors
    /// A sentence that says how to log in.
    pub fn connect(&mut self) -> Result<&mut Connection, String> {
        let logged_in = self.connection.as_ref().is_some_and(|connection| connection.user.is_some());
        if !logged_in {
            let can_log_in = self.target.pin_file.is_some() || pin_variable().is_some();
            if self.interactive && !can_log_in {
                return Err("nobody is logged in: login --username NAME --role crypto-user".into());
            }
            if !can_log_in && !io::stdin().is_terminal() {
                return Err("nobody is logged in: set COFFER_PIN (or CLOUDHSM_PIN), give --pin-file, or run on a terminal".into());
            }
            self.connection = None;
            let connection = Connection::open_logged_in(&self.target, None)?;
            self.module = Some(connection.module);
            self.connection = Some(connection);
        }
        self.connection.as_mut().ok_or_else(|| "there is no connection".into())
    }

    /// The connection, logged in or not.
    pub fn public(&mut self) -> Result<&mut Connection, String> {
        if self.connection.is_none() {
            let connection = Connection::open(&self.target)?;
            self.module = Some(connection.module);
            self.connection = Some(connection);
        }
        self.connection.as_mut().ok_or_else(|| "there is no connection".into())
    }

    /// Who is logged in, as a prompt shows it.
    pub fn who(&self) -> Option<String> {
        let connection = self.connection.as_ref()?;
        let (_, role) = connection.user.as_ref()?;
        Some(format!("{}@{}", role.name().replace('-', "_"), connection.label))
    }

    /// Ends the login and the session.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Does something with two tokens of the module, both logged in to with the same PIN, unless COFFER_TO_PIN has the
    /// second one's. Whoever is logged in to the first one is so afterwards too.
    ///
    /// # Errors
    /// Those of the logins, and of what is done.
    pub fn with_pair(
        &mut self,
        from: &str,
        to: &str,
        act: impl FnOnce(&Connection, Connection) -> Outcome,
    ) -> Outcome {
        let target = |token: &str| Target { token: Some(token.into()), ..self.target.clone() };
        let (from, to) = (target(from), target(to));
        let source = {
            let (one, other) = (Connection::open(&from)?, Connection::open(&to)?);
            if one.slot == other.slot {
                return Err(format!("source and destination are both the token {:?}", one.label));
            }
            one.slot
        };
        let logged_in = self.connection.take().filter(|connection| connection.user.is_some());
        let (from, stays) = match logged_in.filter(|connection| connection.slot == source) {
            Some(connection) => (connection, true),
            None => (Connection::open_logged_in(&from, None)?, false),
        };
        self.module = Some(from.module);
        let outcome = Connection::open_logged_in(&to, Some("COFFER_TO_PIN")).and_then(|to| act(&from, to));
        if stays {
            self.connection = Some(from);
        }
        outcome
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.connection = None;
        // Closing cleanly lets a store write back what it keeps open.
        if let Some(module) = self.module {
            let _ = module.finalize();
        }
    }
}
