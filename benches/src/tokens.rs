//! Token objects: what creating, finding and starting cost as a token grows. Every step runs in a process of its own.

use crate::bars::Verdict;
use crate::provider::{Make, Provider};
use serde_json::{Value, json};
use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// One module's token as it grows.
pub struct Growth {
    /// The module's name.
    pub name: String,
    /// By number of objects.
    pub steps: Vec<Step>,
    /// Creations a second with one thread and with eight.
    pub writers: Option<(f64, f64)>,
    /// Why it ended before it was to end.
    pub stopped: Option<String>,
}

/// A token with so many objects.
#[derive(Clone)]
pub struct Step {
    /// AES keys, private and sensitive.
    pub objects: u64,
    /// What `fill` told on the way here.
    pub fill: Value,
    /// What the fastest `cold` told.
    pub cold: Value,
}

impl Step {
    fn cold(&self, field: &str) -> Option<f64> {
        self.cold[field].as_f64()
    }

    /// Of one C_CreateObject, in microseconds.
    pub fn create_us(&self) -> Option<f64> {
        self.fill["create_us"].as_f64()
    }

    /// Of one fsync of 4 KiB more in a file beside the token, in microseconds, at the same time.
    pub fn fsync_us(&self) -> Option<f64> {
        self.fill["fsync_us"].as_f64()
    }

    /// Of one find by class and label, in microseconds.
    pub fn find_us(&self) -> Option<f64> {
        self.cold("find_label_us")
    }

    /// From dlopen to the first object found, in milliseconds.
    pub fn start_ms(&self) -> Option<f64> {
        self.cold("total_ms")
    }

    /// AES-GCM of 64 bytes, operations a second.
    pub fn gcm(&self) -> Option<f64> {
        self.cold("gcm_64_per_second").filter(|rate| *rate > 0.0)
    }
}

impl Growth {
    fn at(&self, objects: u64) -> Option<&Step> {
        self.steps.iter().find(|step| step.objects == objects)
    }

    /// Bytes that one more object takes in memory, from the smallest and the largest token.
    pub fn memory_per_object(&self) -> Option<f64> {
        let (small, large) = (self.steps.first()?, self.steps.last()?);
        let more = large.cold("memory_bytes")? - small.cold("memory_bytes")?;
        (large.objects >= 1000).then(|| more / (large.objects - small.objects) as f64)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let steps = self.steps.iter();
        let steps: Vec<_> = steps
            .map(|step| json!({ "objects": step.objects, "fill": step.fill, "cold": step.cold }))
            .collect();
        json!({
            "name": self.name, "steps": steps,
            "writers_per_second": self.writers.map(|(one, eight)| [one, eight]),
            "memory_per_object": self.memory_per_object(), "stopped": self.stopped,
        })
    }
}

/// Lets a fresh token of this module grow to `most` objects, by powers of ten, with `budget` for each filling.
pub fn grow(provider: &Provider, most: u64, budget: Duration) -> Growth {
    let home = provider.home.with_extension("growth");
    let mut growth = Growth { name: provider.name.clone(), steps: Vec::new(), writers: None, stopped: None };
    // A token of its own, since what the writers make would be counted with the others.
    let crowd = provider.home.with_extension("writers");
    let task =
        |task: &str, from: u64, to: u64, budget: Duration| child(provider, &home, task, from, to, budget);
    let mut go = || -> Result<(), String> {
        let mut have = 0;
        for wanted in (0..).map(|power| 10_u64.pow(power)).take_while(|size| *size <= most) {
            let fill = task("fill", have, wanted, budget)?;
            have = fill["objects"].as_u64().unwrap_or(have);
            // Large tokens keep both cores busy for long enough to be disturbed most of the time.
            let times = if have >= 10_000 && provider.make == Make::Coffer { 12 } else { 3 };
            let mut colds =
                (0..times).map(|_| task("cold", have, have, budget)).collect::<Result<Vec<_>, _>>()?;
            colds.sort_by(|one, two| {
                one["total_ms"]
                    .as_f64()
                    .unwrap_or(f64::MAX)
                    .total_cmp(&two["total_ms"].as_f64().unwrap_or(f64::MAX))
            });
            growth.steps.push(Step { objects: have, fill: fill.clone(), cold: colds.swap_remove(0) });
            if wanted == 1000.min(most) && provider.make == Make::Coffer {
                let writers = child(provider, &crowd, "writers", 0, 0, Duration::from_secs(8))?;
                growth.writers = writers["one_per_second"].as_f64().zip(writers["eight_per_second"].as_f64());
            }
            if have < wanted {
                let why = fill["stopped_by"].as_str().unwrap_or("the time was over");
                return Err(format!("{have} of {wanted} objects: {why}"));
            }
        }
        Ok(())
    };
    growth.stopped = go().err();
    growth
}

fn child(
    provider: &Provider,
    home: &Path,
    task: &str,
    from: u64,
    to: u64,
    budget: Duration,
) -> Result<Value, String> {
    let mut command = Command::new(env::current_exe().map_err(|error| error.to_string())?);
    command.args(["--task", task, "--module"]).arg(&provider.path).arg("--home").arg(home);
    command.args(["--from", &from.to_string(), "--to", &to.to_string()]);
    command.args(["--budget", &budget.as_secs().to_string()]);
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said).map_err(|_| format!("{task} ended with {}", output.status))
}

/// The bars on token objects, for the first module.
pub fn judge(growth: &[Growth]) -> Vec<Verdict> {
    let first = growth.first();
    let step = |objects: u64| first.and_then(|growth| growth.at(objects));
    let most = |work, most: f64, unit: &str, value: Option<f64>| Verdict {
        work,
        bar: format!("<= {most} {unit}"),
        measured: value.map_or_else(|| "not measured".into(), |value| format!("{value:.2} {unit}")),
        passed: value.map(|value| value <= most),
    };
    // What a token with one object takes is the derivation of the PIN's key and the module's own start.
    let derivation = step(1).and_then(|one| one.cold("login_ms"));
    let beyond = |objects: u64| Some(step(objects)?.start_ms()? - derivation?);
    let create = step(1000).and_then(|step| Some(step.create_us()? / step.fsync_us()?));
    let writers = first.and_then(|growth| growth.writers).map(|(one, eight)| eight / one);
    let memory = first.filter(|growth| growth.steps.last().is_some_and(|last| last.objects >= 10_000));
    let memory = memory.and_then(|growth| Some(growth.memory_per_object()? / 1024.0));
    vec![
        most("find one label among 1,000 token objects", 2.0, "us", step(1000).and_then(Step::find_us)),
        most("find one label among 100,000", 5.0, "us", step(100_000).and_then(Step::find_us)),
        most("create a token object, on disk", 5.0, "fsync", create),
        Verdict {
            work: "create with 8 threads",
            bar: ">= 4x one thread".into(),
            measured: writers.map_or_else(|| "not measured".into(), |ratio| format!("{ratio:.2}x")),
            passed: writers.map(|ratio| ratio >= 4.0),
        },
        most("cold start with 10,000, less the PIN's derivation", 25.0, "ms", beyond(10_000)),
        most("cold start with 100,000, the same", 150.0, "ms", beyond(100_000)),
        most("memory an object", 1.5, "KiB", memory),
    ]
}
