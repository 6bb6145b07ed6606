//! `pkcs11-conformance`: judges a module by path.

use clap::Parser;
use pkcs11_conformance::case::Policy;
use pkcs11_conformance::client::{Module, text};
use pkcs11_conformance::context::Target;
use pkcs11_conformance::report::{Format, Report, line};
use pkcs11_conformance::{cases, runner::Suite};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Judges a PKCS#11 module: conformance, attacks, hostile arguments. Ends with 1 if a case failed, crashed or hung,
/// and with 2 if nothing could be judged.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The module's shared library.
    #[arg(long, required_unless_present = "list")]
    module: Option<PathBuf>,
    /// The slot's number; without it and a label, the first slot with a token.
    #[arg(long)]
    slot: Option<u64>,
    /// The label of the token, or of the token to make.
    #[arg(long)]
    token_label: Option<String>,
    /// The security officer's PIN.
    #[arg(long, env = "PKCS11_SO_PIN", hide_env_values = true)]
    so_pin: Option<String>,
    /// The user's PIN.
    #[arg(long, env = "PKCS11_PIN", hide_env_values = true, default_value = "")]
    pin: String,
    /// Initialise the token first and whenever a case has spoiled it: ALL ON IT IS LOST.
    #[arg(long, requires = "so_pin")]
    init: bool,
    /// Only cases whose id matches (`*` and `?`).
    #[arg(long, default_value = "*")]
    only: String,
    /// The rules to judge by.
    #[arg(long, value_enum, default_value = "spec")]
    policy: Policy,
    /// How the report looks.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Where the report goes; without it, to the standard output.
    #[arg(long)]
    output: Option<PathBuf>,
    /// How many seconds a case may take.
    #[arg(long, default_value_t = 20)]
    patience: u64,
    /// List the cases and run none.
    #[arg(long)]
    list: bool,
    /// Say only what C_GetInfo says (the suite asks for it in a process of its own).
    #[arg(long, hide = true)]
    say_info: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("pkcs11-conformance: {why}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, String> {
    let cases = cases::all();
    if arguments.list {
        for case in &cases {
            println!("{:<44} {:<28} {}", case.id, case.chapter, case.does);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let path = arguments.module.ok_or("--module is missing")?;
    if arguments.say_info {
        print!("{}", info(&path)?);
        return Ok(ExitCode::SUCCESS);
    }
    let target = Target {
        module: path.clone(),
        slot: arguments.slot.map(|slot| slot as _),
        label: arguments.token_label,
        so_pin: arguments.so_pin,
        pin: arguments.pin,
        may_init: arguments.init,
    };
    let patience = Duration::from_secs(arguments.patience);
    let suite = Suite { target, policy: arguments.policy, only: arguments.only, patience };
    let live = arguments.format == Format::Text && arguments.output.is_none();
    let findings = suite.run(&cases, |finding| {
        if live {
            print!("{}", line(finding));
            let _ = std::io::stdout().flush();
        }
    })?;
    let module = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into();
    let report = Report { module, library: ask_info(&path), policy: suite.policy, findings: &findings };
    match &arguments.output {
        Some(file) => std::fs::write(file, report.render(arguments.format))
            .map_err(|e| format!("{}: {e}", file.display()))?,
        None if live => println!("{}", report.summary()),
        None => print!("{}", report.render(arguments.format)),
    }
    let bad = findings.iter().any(|finding| finding.verdict.is_bad());
    Ok(ExitCode::from(u8::from(bad)))
}

/// The library's own words, in this process.
fn info(path: &PathBuf) -> Result<String, String> {
    let module = Module::load(path)?;
    module.init().map_err(|rv| format!("C_Initialize: {rv}"))?;
    let info = module.info().map_err(|rv| format!("C_GetInfo: {rv}"))?;
    let (description, maker) = (text(&info.libraryDescription), text(&info.manufacturerID));
    Ok(format!("{maker}, {description} {}.{}", info.libraryVersion.major, info.libraryVersion.minor))
}

/// The library's own words, from a process of its own: this one never loads the module.
fn ask_info(path: &PathBuf) -> String {
    let own = std::env::current_exe();
    let output = own.and_then(|own| Command::new(own).arg("--say-info").arg("--module").arg(path).output());
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
