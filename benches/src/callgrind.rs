//! What callgrind sees of an operation: a child does it under valgrind, which writes a profile of each.

use crate::provider::Provider;
use crate::work::Work;
use pkcs11_conformance::client::Result as Answer;
use std::process::{Command, Stdio};
use std::{env, fs};

/// What callgrind looks at: nothing but this function and what it calls, and one profile for each time it returns.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn coffer_bench_watched(work: &mut Work, times: u64) -> bool {
    work(times).is_ok()
}

/// The child's part: prepares an operation, warms it up and has it watched.
pub fn watch(name: &str, prepare: &dyn Fn() -> Answer<Work>, times: u64) -> Result<(), String> {
    let failed = |rv| format!("{name}: {rv}");
    let mut work = prepare().map_err(failed)?;
    work(times.min(20)).map_err(failed)?;
    match coffer_bench_watched(&mut work, times) {
        true => Ok(()),
        false => Err(format!("{name} failed after it had not")),
    }
}

/// Has a child do the task: what it says it had watched, in order, each with callgrind's profile.
pub fn profiles<const N: usize>(
    provider: &Provider,
    task: &str,
    options: &[&str],
) -> Result<Vec<([String; N], String)>, String> {
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let profile = place.path().join("profile");
    let function = "coffer_bench_watched";
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]).args(options);
    command.args([format!("--toggle-collect={function}"), format!("--dump-after={function}")]);
    command.arg(format!("--callgrind-out-file={}", profile.display()));
    command.arg(env::current_exe().map_err(|error| error.to_string())?);
    command.args(["--task", task, "--from", "0", "--to", "0", "--module"]).arg(&provider.path);
    command.arg("--home").arg(&provider.home);
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| format!("valgrind: {error}"))?;
    let watched: Vec<Vec<String>> = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("callgrind ended with {}", output.status))?;
    let with_profile = |(index, each): (usize, Vec<String>)| {
        let each = each.try_into().map_err(|each| format!("{each:?} does not say what was watched"))?;
        let file = format!("{}.{}", profile.display(), index + 1);
        fs::read_to_string(&file).map(|text| (each, text)).map_err(|error| format!("{file}: {error}"))
    };
    watched.into_iter().enumerate().map(with_profile).collect()
}

/// All instructions of a profile.
pub fn total(profile: &str) -> u64 {
    let totals =
        profile.lines().filter_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    totals.filter_map(|number| number.trim().parse().ok()).max().unwrap_or(0)
}
