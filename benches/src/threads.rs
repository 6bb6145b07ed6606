//! Several threads on one module: a session each, one key for all.

use crate::desk::Desk;
use crate::provider::Provider;
use crate::rows::Row;
use crate::work::{self, Work};
use pkcs11_conformance::client::Result;
use serde_json::{Value, json};
use std::sync::Barrier;
use std::time::{Duration, Instant};
use std::{iter, thread};

/// The rows that are measured: small work, where a shared lock or counter shows, and a little of the large.
pub const ROWS: [&str; 17] = [
    "random-32",
    "aes256-genkey",
    "session-info",
    "getattr-aes-label",
    "session-open-close",
    "find-session-object",
    "aes256-gcm-enc-64",
    "aes256-ecb-enc-16",
    "aes256-cbc-enc-16",
    "aes256-cmac-64",
    "sha256-64",
    "hmac-sha256-64",
    "rsa2048-verify",
    "p256-sign",
    "p256-verify",
    "ed25519-sign",
    "mldsa65-sign",
];

/// One row by numbers of threads.
pub struct Scaling {
    /// The row's name.
    pub name: String,
    /// Operations a second of all threads together, beginning with one thread: bare AWS-LC's.
    pub bare: Vec<f64>,
    /// The same of each module; nothing where it failed.
    pub modules: Vec<Vec<f64>>,
}

impl Scaling {
    /// The first module's two threads by its one.
    pub fn two_threads(&self) -> Option<f64> {
        ratio(self.modules.first()?)
    }

    /// "name, AWS-LC, modules": two threads by one.
    pub fn cells(&self) -> Vec<String> {
        let text = |rates: &Vec<f64>| ratio(rates).map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"));
        iter::once(self.name.clone()).chain(iter::once(&self.bare).chain(&self.modules).map(text)).collect()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({ "name": self.name, "aws_lc": self.bare, "modules": self.modules })
    }
}

fn ratio(rates: &[f64]) -> Option<f64> {
    Some(rates.get(1)? / rates.first()?)
}

/// Measures one row with 1 to `most` threads on AWS-LC and on each module.
pub fn scale(row: &Row, providers: &[Provider], desks: &[Desk], most: usize, window: Duration) -> Scaling {
    let bare = match &row.bare {
        Some(bare) => curve(&|| Ok(bare()), most, window).unwrap_or_default(),
        None => Vec::new(),
    };
    let module = |(provider, desk): (&Provider, &Desk)| {
        let prepare = || {
            let session =
                provider.open(desk.session.module()).map_err(|_| pkcs11_conformance::client::Rv::ABSENT)?;
            let desk = Box::leak(Box::new(desk.beside(session)));
            (row.module)(desk)
        };
        // The keys are made before the threads come.
        (row.module)(desk).and_then(|_| curve(&prepare, most, window)).unwrap_or_default()
    };
    let modules = providers.iter().zip(desks).map(module).collect();
    Scaling { name: row.name.clone(), bare, modules }
}

/// Rounds that have to find all their cores at full speed, and the most there are in all.
const UNDISTURBED: usize = 3;
const ROUNDS: usize = 40;

/// Rates with 1, 2, ... `most` threads, the best of several rounds in which the numbers of threads take turns. There are
/// rounds until [`UNDISTURBED`] of each number were undisturbed: two cores at once are so less often than one.
fn curve(prepare: &(dyn Fn() -> Result<Work> + Sync), most: usize, window: Duration) -> Result<Vec<f64>> {
    let times = work::calibrate(&mut prepare()?, window)?;
    let mut rounds = vec![Vec::new(); most];
    for _ in 0..ROUNDS {
        for (count, rounds) in (1..).zip(&mut rounds) {
            rounds.push(together(prepare, count, times)?);
        }
        let undisturbed = |rounds: &Vec<Round>| {
            rounds.iter().filter(|round| work::at_full_speed(round.control)).count() >= UNDISTURBED
        };
        if rounds.iter().all(undisturbed) {
            break;
        }
    }
    let best = |rounds: &Vec<Round>| rounds.iter().map(|round| round.rate).fold(0.0, f64::max);
    Ok(rounds.iter().map(best).collect())
}

/// One round.
#[derive(Clone, Copy)]
struct Round {
    /// Operations a second of all threads together.
    rate: f64,
    /// What [`work::control`] took at most, of all threads, before and after.
    control: Duration,
}

/// What `count` threads do in a second of the wall's clock, each doing `times`. The clock runs from the first that begins
/// to the last that ends: threads that only take turns are no faster than one.
fn together(prepare: &(dyn Fn() -> Result<Work> + Sync), count: usize, times: u64) -> Result<Round> {
    let barrier = Barrier::new(count);
    let one = || {
        let work = prepare().and_then(|mut work| work(times / 8 + 1).map(|()| work));
        undisturbed();
        barrier.wait();
        let before = work::control();
        barrier.wait();
        let span = work.and_then(|mut work| {
            let from = Instant::now();
            work(times).map(|()| (from, Instant::now()))
        });
        barrier.wait();
        let control = before.max(work::control());
        span.map(|(from, upto)| (from, upto, control))
    };
    let spans: Result<Vec<_>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let spans = spans?;
    let first = spans.iter().map(|span| span.0).min().expect("a thread at least");
    let last = spans.iter().map(|span| span.1).max().expect("a thread at least");
    let rate = count as f64 * times as f64 / (last - first).as_secs_f64();
    Ok(Round { rate, control: spans.iter().map(|span| span.2).max().unwrap_or_default() })
}

/// Puts this thread before the ordinary ones of other programs, where the system allows it (root does).
fn undisturbed() {
    let parameter = libc::sched_param { sched_priority: 1 };
    // SAFETY: 0 is the calling thread, and the structure is read only. A refusal leaves things as they are.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameter) };
}
