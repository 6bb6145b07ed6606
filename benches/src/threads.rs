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

/// How often the rows are gone through.
const PASSES: usize = 5;

/// Measures rows with 1 to `most` threads on AWS-LC and on each module. There are several passes through all rows: of each
/// contestant's, the one that scales as the middle one does counts. For seconds at a time the host may run two of its
/// machine's cores on one of its own; no row has more than a pass or two in such a spell.
pub fn scale(rows: &[&Row], providers: &[Provider], desks: &[Desk], most: usize) -> Vec<Scaling> {
    let pass = |_| rows.iter().map(|row| once(row, providers, desks, most)).collect();
    let passes: Vec<Vec<Scaling>> = (0..PASSES).map(pass).collect();
    let row = |index: usize| {
        let all = || passes.iter().map(|pass| &pass[index]);
        let modules = 0..providers.len();
        Scaling {
            name: rows[index].name.clone(),
            bare: middle(all().map(|each| &each.bare)),
            modules: modules.map(|module| middle(all().map(|each| &each.modules[module]))).collect(),
        }
    };
    (0..rows.len()).map(row).collect()
}

/// The curve whose ratio is the middle one; an empty one if there is one among them.
fn middle<'a>(curves: impl Iterator<Item = &'a Vec<f64>>) -> Vec<f64> {
    let mut curves: Vec<_> = curves.collect();
    let key = |curve: &Vec<f64>| ratio(curve).unwrap_or_default();
    curves.sort_by(|one, other| key(one).total_cmp(&key(other)));
    let index = if curves[0].is_empty() { 0 } else { curves.len() / 2 };
    curves[index].clone()
}

/// One pass of one row.
fn once(row: &Row, providers: &[Provider], desks: &[Desk], most: usize) -> Scaling {
    let bare = match &row.bare {
        Some(bare) => curve(&|| Ok(bare()), most).unwrap_or_default(),
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
        (row.module)(desk).and_then(|_| curve(&prepare, most)).unwrap_or_default()
    };
    let modules = providers.iter().zip(desks).map(module).collect();
    Scaling { name: row.name.clone(), bare, modules }
}

/// Turns of each number of threads in a pass, and how long one is.
const TURNS: usize = 40;
const TURN: Duration = Duration::from_millis(8);

/// Rates with 1, 2, ... `most` threads, which take turns.
///
/// On a machine whose cores are shared with others, two at once are seldom undisturbed, so the best of several turns would
/// be fair to one thread alone. What disturbs a thread does not ask how many others there are: the mean of many short turns
/// is fair to all.
fn curve(prepare: &(dyn Fn() -> Result<Work> + Sync), most: usize) -> Result<Vec<f64>> {
    let times = work::calibrate(&mut prepare()?, TURN)?;
    let barrier = Barrier::new(most);
    let take_turns = |seat: usize| {
        let mut work = prepare().and_then(|mut work| work(times).map(|()| work));
        undisturbed();
        let mut spans = vec![Duration::ZERO; most];
        for turn in 0..TURNS {
            for (count, span) in (1..).zip(&mut spans) {
                // One that failed still comes, since the others wait for it.
                barrier.wait();
                if (seat + turn) % most < count {
                    let from = Instant::now();
                    work = work.and_then(|mut work| work(times).map(|()| work));
                    *span += from.elapsed();
                }
            }
        }
        work.map(|_| spans)
    };
    let spans: Result<Vec<_>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..most).map(|seat| scope.spawn(move || take_turns(seat))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let spans = spans?;
    let rate = |count: usize| {
        let all: Duration = spans.iter().map(|spans| spans[count - 1]).sum();
        let mean = all.as_secs_f64() / (TURNS * count) as f64;
        count as f64 * times as f64 / mean
    };
    Ok((1..=most).map(rate).collect())
}

/// Puts this thread before the ordinary ones of other programs, where the system allows it (root does).
fn undisturbed() {
    let parameter = libc::sched_param { sched_priority: 1 };
    // SAFETY: 0 is the calling thread, and the structure is read only. A refusal leaves things as they are.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameter) };
}
