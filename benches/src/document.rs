//! The tables of docs/performance.md: what stands between the markers is this program's.

use crate::bars::Verdict;
use crate::measure::Line;
use crate::report;
use crate::threads::Scaling;
use crate::tokens::{Growth, Step};
use std::fs;
use std::path::Path;
use std::process::Command;

const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";

/// Everything that one run found.
pub struct Run<'a> {
    /// Names, the judged one first.
    pub modules: &'a [String],
    /// The throughput table.
    pub lines: &'a [Line],
    /// Several threads.
    pub scaling: &'a [Scaling],
    /// Token objects.
    pub growth: &'a [Growth],
    /// The bars.
    pub verdicts: &'a [Verdict],
}

/// Puts the run between the markers of `file`.
///
/// # Errors
/// If the file cannot be read or written, or has no markers.
pub fn write(file: &Path, run: &Run<'_>) -> Result<(), String> {
    let say = |error: std::io::Error| format!("{}: {error}", file.display());
    let old = fs::read_to_string(file).map_err(say)?;
    let places = old.find(BEGIN).zip(old.find(END)).filter(|(begin, end)| begin < end);
    let (begin, end) = places.ok_or_else(|| format!("{} has no markers", file.display()))?;
    let new = format!("{}{BEGIN}\n\n{}\n{}", &old[..begin], body(run), &old[end..]);
    fs::write(file, new).map_err(say)
}

fn table(rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = String::new();
    for (index, row) in rows.into_iter().enumerate() {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
        if index == 0 {
            text.push_str(&format!("|{}\n", "---|".repeat(row.len())));
        }
    }
    text
}

fn strings<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(String::from).into()
}

fn body(run: &Run<'_>) -> String {
    let bars = run.verdicts.iter().map(|each| strings([each.work, &each.bar, &each.measured, each.word()]));
    let bars = table([strings(["work", "bar", "measured", ""])].into_iter().chain(bars));
    let lines = table([report::header(run.modules)].into_iter().chain(run.lines.iter().map(report::cells)));
    let mut parts = vec![machine(), format!("### The bars\n\n{bars}"), format!("### One thread\n\n{lines}")];
    if !run.scaling.is_empty() {
        let header =
            ["two threads by one", "AWS-LC"].map(String::from).into_iter().chain(run.modules.iter().cloned());
        let rows = [header.collect()].into_iter().chain(run.scaling.iter().map(Scaling::cells));
        parts.push(format!("### Two threads\n\n{}", table(rows)));
    }
    for each in run.growth {
        parts.push(growth(each));
    }
    parts.join("\n")
}

fn growth(growth: &Growth) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.1}"));
    let row = |step: &Step| {
        let cold = |field: &str| number(step.cold[field].as_f64());
        vec![
            step.objects.to_string(),
            number(step.create_us()),
            number(step.fsync_us()),
            number(step.fill["bulk_per_second"].as_f64()),
            number(step.find_us()),
            cold("find_id_us"),
            cold("initialize_ms"),
            cold("login_ms"),
            number(step.start_ms()),
            number(step.cold["memory_bytes"].as_f64().map(|bytes| bytes / 1e6)),
            step.gcm().map_or_else(|| "-".into(), |rate| report::rate(rate, 0)),
        ]
    };
    let header = strings([
        "objects",
        "create, us",
        "fsync, us",
        "8 threads, /s",
        "find label, us",
        "find id, us",
        "C_Initialize, ms",
        "C_Login, ms",
        "cold start, ms",
        "memory, MB",
        "GCM-64, op/s",
    ]);
    let rows = [header].into_iter().chain(growth.steps.iter().map(row));
    let mut text = format!("### Token objects: {}\n\n{}", growth.name, table(rows));
    text.push('\n');
    if let Some((one, eight)) = growth.writers {
        text.push_str(&format!("Creating: {one:.0}/s with one thread, {eight:.0}/s with eight. "));
    }
    if let Some(memory) = growth.memory_per_object() {
        text.push_str(&format!("Memory: {memory:.0} bytes an object. "));
    }
    if let Some(why) = &growth.stopped {
        text.push_str(&format!("It ended at {why}."));
    }
    text.trim_end().to_owned() + "\n"
}

/// Processor, kernel, date, and which versions were measured.
fn machine() -> String {
    let first = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).map(String::from);
        line.and_then(|line| {
            line.split_once([':', '=']).map(|(_, value)| value.trim().trim_matches('"').to_string())
        })
    };
    let said = |program: &str, arguments: &[&str]| {
        let output =
            Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
        output
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string())
            .filter(|text| !text.is_empty())
    };
    let unknown = || "unknown".to_string();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let wide = ["avx2", "avx512f", "avx512ifma", "vaes", "vpclmulqdq", "gfni", "sha_ni", "sha512", "aes"];
    let flags = crate::bars::processor_flags();
    let has: Vec<_> = wide.into_iter().filter(|flag| flags.iter().any(|each| each == flag)).collect();
    let packages = ["softhsm2", "libnss3", "opencryptoki"].into_iter().filter_map(|package| {
        let version = said("dpkg-query", &["-W", "-f", "${Version}", package])?;
        Some(format!("{package} {version}"))
    });
    let packages = packages.collect::<Vec<_>>().join(", ");
    format!(
        "Measured on {}: {}, {threads} cores ({}), {}, Linux {}. {}; from the distribution: {}.\n",
        said("date", &["-u", "+%Y-%m-%d"]).unwrap_or_else(unknown),
        first("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
        has.join(" "),
        first("/etc/os-release", "PRETTY_NAME").unwrap_or_else(unknown),
        said("uname", &["-r"]).unwrap_or_else(unknown),
        crate::bare::version(),
        if packages.is_empty() { "none" } else { &packages },
    )
}
