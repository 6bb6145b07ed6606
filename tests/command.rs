//! `coffer`, as an operator and as a script run it: tokens here, the rest in the files below.

mod common;

#[path = "command/audit.rs"]
mod audit;
#[path = "command/crypto.rs"]
mod crypto;
#[path = "command/files.rs"]
mod files;
#[path = "command/interactive.rs"]
mod interactive;
#[path = "command/keys.rs"]
mod keys;
#[path = "command/migration.rs"]
mod migration;
#[path = "command/quorum.rs"]
mod quorum;
#[path = "command/stores.rs"]
mod stores;
#[path = "command/token.rs"]
mod token;
#[path = "command/tools.rs"]
mod tools;
#[path = "command/users.rs"]
mod users;
#[path = "command/wrap.rs"]
mod wrap;

use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SO_PIN: &str = "so-secret-4711";
const USER_PIN: &str = "user-secret-0815";

/// A place for tokens and the configuration that names it.
struct Place(TempDir);

impl Place {
    fn new(more: &str) -> Place {
        let place = Place(TempDir::new().expect("a temporary directory"));
        place.configure(&format!("token_dir = \"tokens\"\n{more}"));
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn configure(&self, text: &str) {
        fs::write(self.path().join("coffer.toml"), text).expect("a configuration");
    }

    /// With a token of that label, made with both PINs.
    fn with_token(label: &str) -> Place {
        let place = Place::new("");
        place.done(&["token", "init", "--label", label]);
        place
    }

    /// A file's path in the place.
    fn file(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }

    /// `data` of a command that succeeds.
    fn done(&self, arguments: &[&str]) -> Value {
        let (code, mut answer) = self.json(arguments);
        assert_eq!((code, &answer["error_code"]), (0, &json!(0)), "{arguments:?}: {answer}");
        answer["data"].take()
    }

    /// A command that fails and says these words.
    fn fails(&self, arguments: &[&str], words: &[&str]) {
        refused(self.json(arguments), words);
    }

    /// `data` of a command whose report tells of something wrong.
    fn finds_wrong(&self, arguments: &[&str]) -> Value {
        let (code, mut answer) = self.json(arguments);
        assert_eq!((code, &answer["error_code"]), (1, &json!(1)), "{arguments:?}: {answer}");
        assert!(answer["data"].is_object(), "{arguments:?}: {answer}");
        answer["data"].take()
    }

    /// The attributes of the one key with this label and class.
    fn key(&self, label: &str, class: &str) -> Value {
        let (label, class) = (format!("attr.label={label}"), format!("attr.class={class}"));
        let data = self.done(&["key", "list", "--verbose", "--filter", &label, &class]);
        assert_eq!(data["total_key_count"], 1, "{label} {class}: {data}");
        data["matched_keys"][0]["attributes"].clone()
    }

    /// How many keys match.
    fn count(&self, filter: &[&str]) -> u64 {
        let filter = if filter.is_empty() { vec![] } else { [&["--filter"], filter].concat() };
        let arguments = [&["key", "list"][..], &filter].concat();
        self.done(&arguments)["total_key_count"].as_u64().expect("a number")
    }

    /// The command with nothing from the environment of the tests.
    fn coffer(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
        command.args(arguments).env("COFFER_CONF", self.path().join("coffer.toml"));
        for variable in [
            "COFFER_SO_PIN",
            "COFFER_PIN",
            "COFFER_ROLE",
            "CLOUDHSM_PIN",
            "CLOUDHSM_ROLE",
            "COFFER_TOKEN",
            "COFFER_FROM_PIN",
            "COFFER_TO_PIN",
            "COFFER_INIT_ARGS",
        ] {
            command.env_remove(variable);
        }
        command.env("HOME", self.path()).stdin(Stdio::null());
        command
    }

    /// Its exit code and JSON, with both PINs in the environment.
    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let mut command = self.coffer(arguments);
        answer(&run(command.env("COFFER_SO_PIN", SO_PIN).env("COFFER_PIN", USER_PIN)))
    }

    /// `data.tokens` of the list.
    fn tokens(&self) -> Vec<Value> {
        let (code, answer) = self.json(&["token", "list"]);
        assert_eq!((code, &answer["error_code"]), (0, &json!(0)), "{answer}");
        answer["data"]["tokens"].as_array().expect("a list").clone()
    }
}

/// Runs it; whatever it says, no PIN is in it.
fn run(command: &mut Command) -> Output {
    let output = command.output().expect("coffer runs");
    for said in [&output.stdout, &output.stderr] {
        discreet(&String::from_utf8_lossy(said));
    }
    output
}

fn discreet(said: &str) {
    assert!(!said.contains(SO_PIN) && !said.contains(USER_PIN), "a PIN was shown: {said}");
}

fn answer(output: &Output) -> (i32, Value) {
    let said = String::from_utf8_lossy(&output.stdout);
    let value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().expect("an exit code"), value)
}

/// It failed with code 1, and its JSON says each of the words.
fn refused((code, answer): (i32, Value), words: &[&str]) {
    assert_eq!((code, &answer["error_code"]), (1, &json!(1)), "{answer}");
    let reason = answer["data"].as_str().expect("a reason");
    for word in words {
        assert!(reason.contains(word), "{word:?} is not in: {reason}");
    }
}

#[test]
fn tokens_are_made_and_listed_as_json() {
    let place = Place::new("");
    assert_eq!(place.tokens(), [json!({ "slot": 0, "initialized": false })]);
    for (slot, label) in ["first", "zweites Ä"].iter().enumerate() {
        let (code, answer) = place.json(&["token", "init", "--label", label]);
        assert_eq!(code, 0, "{answer}");
        assert_eq!((&answer["data"]["slot"], &answer["data"]["label"]), (&json!(slot), &json!(label)));
        let token = place.tokens()[slot].clone();
        assert_eq!(token["serial"], answer["data"]["serial"]);
        assert_eq!(
            (&token["initialized"], &token["label"], &token["mode"], &token["state"]),
            (&json!(true), &json!(label), &json!("non-fips"), &json!(""))
        );
    }
    let tokens = place.tokens();
    assert_ne!(tokens[0]["serial"], tokens[1]["serial"]);
    assert_eq!(tokens[2..], [json!({ "slot": 2, "initialized": false })]);
}

#[test]
fn text_is_for_people() {
    let place = Place::new("mode = \"fips\"\n");
    let mut command = place.coffer(&["--text", "token", "init", "--label", "paper"]);
    let output = run(command.env("COFFER_SO_PIN", SO_PIN).env("COFFER_PIN", USER_PIN));
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(said.starts_with("token \"paper\" made in slot 0, serial "), "{said}");

    let listed =
        String::from_utf8(run(&mut place.coffer(&["token", "list", "--text"])).stdout).expect("text");
    assert!(listed.starts_with("slot 0: \"paper\", serial "), "{listed}");
    assert!(listed.ends_with(", fips\nslot 1: free\n"), "{listed}");
    // An error goes to standard error then, and to standard output as JSON.
    let output = run(&mut place.coffer(&["--text", "token", "init", "--label", "paper"]));
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    assert!(output.stderr.starts_with(b"coffer: no SO PIN"), "{output:?}");
}

#[test]
fn pins_come_from_files() {
    let place = Place::new("");
    // A line's end is not part of the PIN.
    for (name, text) in [("so", format!("{SO_PIN}\n")), ("user", format!("{USER_PIN}\r\n"))] {
        fs::write(place.path().join(name), text).expect("a PIN file");
    }
    let file = |name: &str| place.path().join(name).display().to_string();
    let (so, user) = (file("so"), file("user"));
    let init = ["token", "init", "--label", "files", "--so-pin-file", &so, "--pin-file", &user];
    assert_eq!(answer(&run(&mut place.coffer(&init))).0, 0);
    // Made with exactly these PINs: the environment has the same, and the SO's is needed to make it anew.
    assert_eq!(place.json(&["token", "init", "--label", "again", "--slot", "0"]).0, 0);

    for (text, why) in [("one\ntwo\n", "one line"), (&"x".repeat(2000), "one line")] {
        fs::write(place.path().join("so"), text).expect("a PIN file");
        refused(answer(&run(&mut place.coffer(&init))), &[&so, why]);
    }
    fs::remove_file(&so).expect("there was one");
    refused(answer(&run(&mut place.coffer(&init))), &[&so, "No such file"]);
    let endless = ["token", "init", "--label", "files", "--so-pin-file", "/dev/zero", "--pin-file", &user];
    refused(answer(&run(&mut place.coffer(&endless))), &["/dev/zero"]);
    assert_eq!(place.tokens()[0]["label"], "again");
}

/// A token that is there is wiped only by its SO, and only for one that can be made.
#[test]
fn nothing_is_wiped_by_mistake() {
    let place = Place::new("");
    assert_eq!(place.json(&["token", "init", "--label", "precious"]).0, 0);
    let before = place.tokens();
    let again = |so_pin: &str, user_pin: &str, label: &str| {
        let mut command = place.coffer(&["token", "init", "--slot", "0", "--label", label]);
        answer(&run(command.env("COFFER_SO_PIN", so_pin).env("COFFER_PIN", user_pin)))
    };
    refused(again("no such PIN", USER_PIN, "x"), &["CKR_PIN_INCORRECT"]);
    refused(again(SO_PIN, "123", "x"), &["CKR_PIN_LEN_RANGE", "4 to 255"]);
    refused(again(SO_PIN, &"9".repeat(256), "x"), &["CKR_PIN_LEN_RANGE"]);
    refused(again(SO_PIN, USER_PIN, &"x".repeat(33)), &["33 bytes; 32 fit"]);
    refused(
        place.json(&["token", "init", "--slot", "7", "--label", "x"]),
        &["CKR_SLOT_ID_INVALID", "slot 7"],
    );
    assert_eq!(place.tokens(), before);
    assert_eq!(again(SO_PIN, USER_PIN, "anew").0, 0);
    assert_eq!((place.tokens().len(), &place.tokens()[0]["label"]), (2, &json!("anew")));
    assert_ne!(place.tokens()[0]["serial"], before[0]["serial"]);
}

#[test]
fn the_cloudhsm_profile_names_its_user() {
    let place = Place::new("profile = \"cloudhsm\"\n");
    let init = |pin: &str| {
        let mut command = place.coffer(&["token", "init", "--label", "hsm"]);
        answer(&run(command.env("COFFER_SO_PIN", SO_PIN).env("COFFER_PIN", pin)))
    };
    refused(init(USER_PIN), &["CKR_PIN_INVALID", "user:password"]);
    assert_eq!(place.tokens(), [json!({ "slot": 0, "initialized": false })]);
    assert_eq!(init(&format!("crypto_user:{USER_PIN}")).0, 0);
    assert_eq!(place.tokens().len(), 1);
    refused(init(&format!("crypto_user:{USER_PIN}")), &["one slot only"]);
}

#[test]
fn a_wrong_configuration_is_named() {
    let place = Place::new("");
    let list = ["token", "list"];
    for (text, words) in [
        ("token_dri = \"x\"", &["coffer.toml", "token_dri", "token_dir"][..]),
        ("profile = \"softhsm\"", &["softhsm", "standard", "cloudhsm"]),
        ("policy = 1", &["coffer.toml"]),
        ("token_dir = \"x", &["coffer.toml", "string"]),
        ("log_level = \"loud\"", &["loud", "error, warn, info, debug, trace"]),
        ("log_file = \"no/such/place/log\"", &["no/such/place/log"]),
        ("log_to = \"paper\"", &["paper", "stderr", "syslog", "journal"]),
        ("log_to = \"file\"", &["log_to", "log_file"]),
        ("log_to = \"journal\"\nlog_socket = \"nobody\"", &["the log", "nobody"]),
    ] {
        place.configure(text);
        refused(place.json(&list), words);
    }
    let mut command = place.coffer(&list);
    refused(answer(&run(command.env("COFFER_CONF", "/no/such/file"))), &["COFFER_CONF", "/no/such/file"]);
}

/// 0 done, 1 refused, 2 a wrong command line; a reader that leaves early is no failure, a full disk is one.
#[test]
fn exit_codes() {
    let place = Place::new("");
    for wrong in [&[][..], &["token"], &["token", "init"], &["token", "init", "--label"], &["--pin", "1"]] {
        assert_eq!(run(&mut place.coffer(wrong)).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(run(&mut place.coffer(&["--json", "--text", "token", "list"])).status.code(), Some(2));
    assert_eq!(run(&mut place.coffer(&["--help"])).status.code(), Some(0));
    let full = File::options().write(true).open("/dev/full").expect("the full device");
    let status = place.coffer(&["token", "list"]).stdout(full).stderr(Stdio::null()).status();
    assert_eq!(status.expect("coffer runs").code(), Some(1));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = place.coffer(&["token", "list"]).stdout(writer).status().expect("coffer runs");
    assert_eq!(status.code(), Some(0));
}

/// A run of the command on a terminal of its own.
struct Terminal {
    master: File,
    said: String,
}

impl Terminal {
    fn run(mut command: Command) -> (Terminal, std::process::Child) {
        let (mut master, mut slave) = (-1, -1);
        let null = std::ptr::null_mut();
        // SAFETY: both numbers are written; no name, no settings and no size are passed.
        let rc = unsafe { libc::openpty(&mut master, &mut slave, null, null.cast(), null.cast()) };
        assert_eq!(rc, 0, "a terminal");
        // SAFETY: openpty gave both, and nothing else owns them.
        let (master, slave) = unsafe { (File::from_raw_fd(master), File::from_raw_fd(slave)) };
        let end = || Stdio::from(slave.try_clone().expect("a descriptor"));
        command.stdin(end()).stdout(end()).stderr(end());
        // SAFETY: between fork and exec only async-signal-safe calls are made.
        unsafe {
            command.pre_exec(|| match libc::setsid() != -1 && libc::ioctl(0, libc::TIOCSCTTY, 0) == 0 {
                true => Ok(()),
                false => Err(std::io::Error::last_os_error()),
            })
        };
        let child = command.spawn().expect("coffer runs");
        (Terminal { master, said: String::new() }, child)
    }

    /// Whether what is typed is shown.
    fn echoes(&self) -> bool {
        // SAFETY: zeroes are a termios, which is integers throughout.
        let mut settings: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open, and a termios is what is written.
        let rc = unsafe { libc::tcgetattr(self.master.as_raw_fd(), &mut settings) };
        assert_eq!(rc, 0, "a terminal");
        settings.c_lflag & libc::ECHO != 0
    }

    /// Reads until it says `prompt`, and types the answer once nothing is echoed.
    fn answer(&mut self, prompt: &str, pin: &str) {
        let mut bytes = [0; 256];
        while !self.said.ends_with(prompt) {
            let read = self.master.read(&mut bytes).expect("the command goes on");
            self.said += &String::from_utf8_lossy(&bytes[..read]);
        }
        let start = Instant::now();
        while self.echoes() {
            assert!(start.elapsed() < Duration::from_secs(20), "{prompt:?} shows what is typed");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.master.write_all(format!("{pin}\n").as_bytes()).expect("typing");
    }

    /// Everything that was said, once the command ended: a terminal without users fails to be read.
    fn rest(mut self) -> String {
        let mut bytes = [0; 256];
        while let Ok(read @ 1..) = self.master.read(&mut bytes) {
            self.said += &String::from_utf8_lossy(&bytes[..read]);
        }
        discreet(&self.said);
        self.said
    }
}

#[test]
fn pins_come_from_a_terminal_unseen() {
    let place = Place::new("");
    let init = || Terminal::run(place.coffer(&["token", "init", "--label", "typed"]));
    let (mut terminal, mut child) = init();
    terminal.answer("SO PIN: ", SO_PIN);
    terminal.answer("SO PIN again: ", SO_PIN);
    terminal.answer("user PIN: ", USER_PIN);
    terminal.answer("user PIN again: ", "another-one");
    let said = terminal.rest();
    assert_eq!(child.wait().expect("an end").code(), Some(1), "{said}");
    assert!(said.contains("the two entries of the user PIN differ"), "{said}");
    assert_eq!(place.tokens().len(), 1, "no token was made");

    let (mut terminal, mut child) = init();
    for (prompt, pin) in [("SO PIN", SO_PIN), ("user PIN", USER_PIN)] {
        terminal.answer(&format!("{prompt}: "), pin);
        terminal.answer(&format!("{prompt} again: "), pin);
    }
    // On a terminal the answer is text.
    let said = terminal.rest();
    assert_eq!(child.wait().expect("an end").code(), Some(0), "{said}");
    assert!(said.contains("token \"typed\" made in slot 0, serial "), "{said}");
    assert_eq!(
        place.json(&["token", "init", "--label", "again", "--slot", "0"]).0,
        0,
        "the PINs are those typed"
    );
}
