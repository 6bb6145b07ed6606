//! `coffer interactive`: by a pipe, and in tmux as a person would use it.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The session fed from a pipe: the exit code and what it said.
fn piped(place: &Place, lines: &str) -> (i32, String) {
    let mut command = place.coffer(&["--json", "interactive"]);
    command.env("COFFER_PIN", USER_PIN).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("coffer runs");
    child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("an end");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    discreet(&said);
    (output.status.code().expect("an exit code"), said)
}

/// Session keys live from one command to the next, and the last command's outcome is the session's.
#[test]
fn a_script_of_commands() {
    let place = Place::with_token("one");
    let generate = "key generate-symmetric aes --key-length-bytes 32 --session --label 'a session key'\n";
    let (code, said) = piped(
        &place,
        &format!("{generate}\nkey list --filter \"attr.label=a session key\"\nquit\nkey list\n"),
    );
    assert_eq!(code, 0, "{said}");
    assert_eq!(said.matches("\"error_code\": 0").count(), 2, "nothing after quit: {said}");
    assert!(
        said.contains("\"total_key_count\": 1") && said.contains("\"cluster-coverage\": \"session\""),
        "{said}"
    );
    assert_eq!(place.count(&[]), 0, "the session key went with its session");
    let (code, said) = piped(&place, "key delete --filter attr.label=nobody\n");
    assert_eq!(code, 1, "{said}");
    let (code, said) = piped(&place, "no-such-command\nkey list --filter 'open\nhelp\n");
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("unrecognized subcommand")
            && said.contains("a quote is not closed")
            && said.contains("Commands:"),
        "{said}"
    );
}

/// A copy to another token takes a login there, and leaves this one's as it is.
#[test]
fn a_replication_keeps_the_session() {
    let place = Place::with_token("one");
    place.done(&["token", "init", "--label", "two"]);
    let generate = "key generate-symmetric aes --key-length-bytes 32 --token one --label";
    let replicate = "key replicate --filter attr.label=kept --source-cluster-id one --destination-cluster-id";
    let list = "key list --filter attr.label=passing";
    let (code, said) = piped(
        &place,
        &format!("{generate} kept\n{generate} passing --session\n{replicate} two\n{replicate} one\n{list}\n"),
    );
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("Successfully replicated key") && said.contains("both the token"), "{said}");
    assert!(said.contains("\"total_key_count\": 1"), "the session key is there: {said}");
}

/// Long commands are pasted as CloudHSM's documents have them, a backslash at the end of each line but the last.
#[test]
fn commands_of_several_lines() {
    let place = Place::with_token("one");
    let (code, said) = piped(
        &place,
        "key generate-symmetric aes \\\n    --label long \\\n    --key-length-bytes 32\nkey list --filter attr.label=long\n",
    );
    assert_eq!(code, 0, "{said}");
    assert_eq!(place.count(&["attr.label=long"]), 1, "{said}");
    let (code, said) = piped(&place, "key generate-symmetric aes --label cut --key-length-bytes \\\n");
    assert_eq!(code, 1, "{said}");
    let (code, said) = piped(&place, "key list \\");
    assert_eq!((code, said.contains("the line ends with a backslash")), (1, true), "{said}");
    assert_eq!(place.count(&[]), 1);
}

/// A terminal of tmux with the prompt in it.
struct Tmux {
    socket: String,
}

impl Tmux {
    fn start(place: &Place) -> Tmux {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let tmux = Tmux { socket: format!("coffer-test-{}-{number}", std::process::id()) };
        let command = format!(
            "env -u COFFER_PIN -u COFFER_TOKEN HOME={0} COFFER_CONF={0}/coffer.toml {1} interactive; echo ended with $?; sleep 60",
            place.path().display(),
            env!("CARGO_BIN_EXE_coffer")
        );
        tmux.run(&["-f", "/dev/null", "new-session", "-d", "-x", "110", "-y", "60", &command]);
        tmux
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.socket]).args(arguments).output();
        let output = output.expect("tmux runs: scripts/setup.sh clients");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    /// Waits until the screen ends so.
    fn until(&self, end: &str) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if screen.trim_end().ends_with(end) {
                return screen;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "no {end:?} in:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn text(&self, text: &str) {
        self.run(&["send-keys", "-l", "--", text]);
    }

    fn key(&self, name: &str) {
        self.run(&["send-keys", name]);
    }

    /// Gives a line and waits for the prompt after it. Only when the line is on the screen does the screen no longer
    /// end with the prompt before it, so only then is it sent.
    fn line(&self, line: &str, prompt: &str) -> String {
        self.text(line);
        self.until(&format!("> {line}"));
        self.key("Enter");
        self.until(prompt)
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
    }
}

#[test]
fn a_person_at_the_prompt() {
    let place = Place::with_token("one");
    place.done(&["key", "generate-symmetric", "aes", "--key-length-bytes", "16", "--label", "mine"]);
    let tmux = Tmux::start(&place);
    tmux.until("coffer >");
    assert!(tmux.line("key list", "coffer >").contains("nobody is logged in"));
    tmux.line("login --username user --role crypto-user", "password of user:");
    tmux.text("a wrong one");
    tmux.key("Enter");
    assert!(tmux.until("coffer >").contains("the PIN is wrong"));
    // Up brings the login back; the password was no line of the history.
    tmux.key("Up");
    tmux.until("--role crypto-user");
    tmux.key("Enter");
    tmux.until("password of user:");
    tmux.text(USER_PIN);
    tmux.key("Enter");
    discreet(&tmux.until("crypto_user@one >"));

    // Completion of commands and options.
    tmux.text("ke");
    tmux.key("Tab");
    tmux.text("li");
    tmux.key("Tab");
    tmux.text("--fil");
    tmux.key("Tab");
    tmux.text("attr.label=mine");
    tmux.until("key list --filter attr.label=mine");
    tmux.key("Enter");
    let screen = tmux.until("crypto_user@one >");
    assert!(screen.contains("REFERENCE") && screen.contains("1 of 1 keys"), "{screen}");
    // Control-C gives up a line and no more; a password typed at the prompt is not kept.
    tmux.text("key delete");
    tmux.until("> key delete");
    tmux.key("C-c");
    tmux.until("> key delete\ncrypto_user@one >");
    tmux.line(USER_PIN, "crypto_user@one >");
    assert!(tmux.line("help key wrap", "crypto_user@one >").contains("cloudhsm-aes-gcm"));
    tmux.line("logout", "coffer >");
    tmux.key("C-d");
    tmux.until("ended with 0");
    let history = fs::read_to_string(place.path().join(".local/state/coffer/history")).expect("a history");
    assert!(history.contains("login --username user") && history.contains("help key wrap"), "{history}");
    discreet(&history);
    assert_eq!(place.count(&[]), 1);

    // The next session has it.
    let tmux = Tmux::start(&place);
    tmux.until("coffer >");
    tmux.key("Up");
    tmux.until("coffer > logout");
    tmux.key("C-c");
    tmux.until("coffer > logout\ncoffer >");
    // Words that an option takes are completed; Control-C at a password ends the session, and its lines are kept.
    tmux.text("login --username user --role cry");
    tmux.key("Tab");
    tmux.until("--role crypto-user");
    tmux.text(" --cluster-id one");
    tmux.key("Enter");
    tmux.until("password of user:");
    tmux.key("C-c");
    tmux.until("ended with 130");
    let history = fs::read_to_string(place.path().join(".local/state/coffer/history")).expect("a history");
    assert!(history.ends_with("--cluster-id one\n"), "{history}");
}
