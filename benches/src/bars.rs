//! The bars: how fast is fast enough, and whether it was reached in this run.

use crate::measure::Line;
use crate::threads::Scaling;
use crate::tokens::{self, Growth};
use serde_json::{Value, json};
use std::fs;

/// One bar, judged.
pub struct Verdict {
    /// The work.
    pub work: &'static str,
    /// What is asked for.
    pub bar: String,
    /// The worst of what was measured, and where.
    pub measured: String,
    /// `None`: not measured in this run.
    pub passed: Option<bool>,
}

impl Verdict {
    /// "pass", "FAIL", or a dash.
    pub fn word(&self) -> &'static str {
        match self.passed {
            Some(true) => "pass",
            Some(false) => "FAIL",
            None => "-",
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({ "work": self.work, "bar": self.bar, "measured": self.measured, "passed": self.passed })
    }
}

/// All that a run found out.
pub struct Findings<'a> {
    /// The table.
    pub lines: &'a [Line],
    /// Several threads.
    pub scaling: &'a [Scaling],
    /// Token objects; the judged module's first.
    pub growth: &'a [Growth],
}

const SMALL: [&str; 12] = [
    "aes256-gcm-enc-16",
    "aes256-gcm-enc-64",
    "aes256-ecb-enc-16",
    "aes256-ecb-enc-64",
    "aes256-cbc-enc-16",
    "aes256-cbc-enc-64",
    "aes256-cmac-16",
    "aes256-cmac-64",
    "hmac-sha256-16",
    "hmac-sha256-64",
    "sha256-16",
    "sha256-64",
];
const LARGE: [&str; 11] = [
    "aes256-gcm-enc-16k",
    "aes256-gcm-enc-1m",
    "aes256-ecb-enc-16k",
    "aes256-ecb-enc-1m",
    "aes256-cbc-enc-16k",
    "aes256-cbc-enc-1m",
    "aes256-cmac-16k",
    "hmac-sha256-16k",
    "hmac-sha256-1m",
    "sha256-16k",
    "sha256-1m",
];
const WIDE: [&str; 6] = [
    "aes256-ecb-enc-16k",
    "aes256-ecb-enc-1m",
    "aes256-cbc-dec-16k",
    "aes256-cbc-dec-1m",
    "aes256-ctr-enc-16k",
    "aes256-ctr-enc-1m",
];
const DES3_SMALL: [&str; 4] = ["des3-ecb-enc-8", "des3-cbc-dec-8", "des3-ecb-enc-64", "des3-cbc-dec-64"];
const CALLS: [&str; 5] =
    ["session-info", "getattr-aes-label", "getattr-rsa-modulus", "session-open-close", "find-session-object"];
/// C_GetAttributeValue of a token key begins with a look for what other processes changed.
const LOOKS: &str = "look for another process's changes, with a label read";
const MAKES_KEYS: [&str; 7] = [
    "aes256-genkey",
    "aes256-create",
    "aes-kw-unwrap",
    "aes-kwp-unwrap",
    "rsa2048-aes-unwrap",
    "p256-ecdh",
    "x25519-derive",
];

fn asymmetric(name: &str) -> bool {
    let family =
        ["rsa", "p256", "p384", "ed25519", "x25519", "mlkem", "mldsa"].iter().any(|f| name.starts_with(f));
    let work = ["-sign", "-verify", "-ecdh", "-derive", "-encaps", "-decaps", "-oaep"]
        .iter()
        .any(|w| name.contains(w));
    family && work
}

/// Judges every bar.
pub fn judge(found: &Findings<'_>) -> Vec<Verdict> {
    let flags = processor_flags();
    // A module built for it does without what COFFER_CPU names, and is judged as on a processor that has none of that.
    let off = std::env::var("COFFER_CPU").unwrap_or_default();
    let is_off = |flag: &str| off.split(',').any(|word| word.trim().strip_prefix('-') == Some(flag));
    let has = |flag: &str| flags.iter().any(|each| each == flag) && !is_off(flag);
    let has_avx512 = has("avx512f") && !is_off("avx512");
    let among = |names: &'static [&str]| move |name: &str| names.contains(&name);
    let lines = found.lines;
    let wide = if has("vaes") { 1.8 } else { 1.0 };
    let des3 = if has_avx512 {
        30.0
    } else if has("avx2") {
        12.0
    } else {
        3.0
    };
    let sha512 = if has("avx2") && !has("sha512") { 1.3 } else { 0.97 };
    let mut all = vec![
        over(lines, "GCM, ECB, CBC, CMAC, HMAC, SHA-256, 16 to 64 bytes", 150.0, among(&SMALL)),
        peer(lines, "the same", 2.0, among(&SMALL)),
        bare(lines, "the same, 16 KiB and 1 MiB", 0.97, among(&LARGE)),
        bare(lines, "RSA, EC, ML-KEM, ML-DSA operations", 0.97, asymmetric),
        peer(lines, "the same", 1.0, asymmetric),
        bare(lines, "AES-ECB, CBC-decrypt, CTR, 16 KiB and 1 MiB", wide, among(&WIDE)),
        bare(
            lines,
            "3DES ECB and CBC-decrypt, 16 KiB",
            des3,
            among(&["des3-ecb-enc-16k", "des3-cbc-dec-16k"]),
        ),
        over(lines, "3DES, 8 and 64 bytes", 150.0, among(&DES3_SMALL)),
        bare(lines, "SHA-384, SHA-512, 16 KiB", sha512, among(&["sha384-16k", "sha512-16k"])),
        peer(lines, "RSA key pairs", 1.0, |name| name.starts_with("rsa") && name.ends_with("-keygen")),
        peer(lines, "random 32 bytes", 1.0, among(&["random-32"])),
        peer(lines, "session info, attributes, open and close, find", 1.0, among(&CALLS)),
        // The bar is the look's alone; the whole call, of which it is a part, is what can be timed from outside.
        most(lines, LOOKS, "<= 100 ns".into(), 100.0, among(&["getattr-aes-label"]), Line::whole),
        two_threads(found.scaling),
        peer(lines, "calls that make a key", 2.0, among(&MAKES_KEYS)),
    ];
    all.extend(tokens::judge(found.growth));
    all
}

type Chosen<'a> = (&'a Line, f64);

fn worst<'a>(
    lines: &'a [Line],
    chosen: impl Fn(&str) -> bool,
    value: impl Fn(&Line) -> Option<f64>,
) -> Vec<Chosen<'a>> {
    let rows = lines.iter().filter(|line| chosen(&line.name));
    let mut found: Vec<Chosen> = rows.filter_map(|line| Some((line, value(line)?))).collect();
    found.sort_by(|one, two| one.1.total_cmp(&two.1));
    found
}

/// How many of them, and the worst.
fn tell(missed: usize, all: &[Chosen<'_>], worst: Option<&Chosen<'_>>, unit: &str) -> String {
    match worst {
        Some((line, value)) => {
            let digits = if unit == "x" { 2 } else { 0 };
            format!("{} of {}; worst {value:.digits$}{unit}, {}", all.len() - missed, all.len(), line.name)
        }
        None => "not measured".into(),
    }
}

fn at_least(work: &'static str, bar: String, least: f64, found: &[Chosen<'_>]) -> Verdict {
    let missed = found.iter().filter(|(_, value)| *value < least).count();
    let measured = tell(missed, found, found.first(), "x");
    Verdict { work, bar, measured, passed: (!found.is_empty()).then_some(missed == 0) }
}

fn bare(lines: &[Line], work: &'static str, least: f64, chosen: impl Fn(&str) -> bool) -> Verdict {
    at_least(work, format!(">= {least}x AWS-LC"), least, &worst(lines, chosen, Line::to_bare))
}

fn peer(lines: &[Line], work: &'static str, least: f64, chosen: impl Fn(&str) -> bool) -> Verdict {
    let ratio = |line: &Line| Some(line.to_best_peer()?.0);
    at_least(work, format!(">= {least}x best peer"), least, &worst(lines, chosen, ratio))
}

fn most(
    lines: &[Line],
    work: &'static str,
    bar: String,
    most: f64,
    chosen: impl Fn(&str) -> bool,
    value: impl Fn(&Line) -> Option<f64>,
) -> Verdict {
    let found = worst(lines, chosen, value);
    let missed = found.iter().filter(|(_, value)| *value > most).count();
    let measured = tell(missed, &found, found.last(), " ns");
    Verdict { work, bar, measured, passed: (!found.is_empty()).then_some(missed == 0) }
}

fn over(lines: &[Line], work: &'static str, limit: f64, chosen: impl Fn(&str) -> bool) -> Verdict {
    most(lines, work, format!("<= {limit} ns over AWS-LC"), limit, chosen, Line::overhead)
}

fn two_threads(scaling: &[Scaling]) -> Verdict {
    let mut found: Vec<(&str, f64)> =
        scaling.iter().filter_map(|each| Some((each.name.as_str(), each.two_threads()?))).collect();
    found.sort_by(|one, two| one.1.total_cmp(&two.1));
    let reached = found.iter().filter(|(_, ratio)| *ratio >= 1.8).count();
    let measured = found.first().map_or_else(
        || "not measured".into(),
        |(name, ratio)| format!("{reached} of {}; worst {ratio:.2}x, {name}", found.len()),
    );
    let passed = (!found.is_empty()).then_some(reached == found.len());
    Verdict { work: "2 threads, one shared key", bar: ">= 1.8x one thread".into(), measured, passed }
}

/// What /proc/cpuinfo calls the processor's features; none elsewhere than on Linux.
pub fn processor_flags() -> Vec<String> {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
    let flags = line.and_then(|line| line.split_once(':')).map_or("", |(_, flags)| flags);
    flags.split_whitespace().map(String::from).collect()
}
