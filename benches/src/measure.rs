//! A B A B in one process: the contestants take turns of a short window each, and every round begins with another one.
//!
//! The cores of such machines are shared, and a thread of a neighbour on the other half of a core takes up to half the
//! speed, for milliseconds or for seconds. Windows are short, so that what comes meets all contestants alike, and many, so
//! that each has some without a neighbour.

use crate::desk::Desk;
use crate::rows::Row;
use crate::work::{self, Work};
use pkcs11_conformance::client::Result;
use std::time::{Duration, Instant};

/// How long to look.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Of each contestant.
    pub windows: usize,
    /// Of processor time, a window.
    pub window: Duration,
    /// Of processor time, a contestant, for rows of which the mean counts.
    pub rare: Duration,
}

impl Effort {
    /// About two minutes for two contestants.
    pub const QUICK: Effort =
        Effort { windows: 100, window: Duration::from_millis(4), rare: Duration::from_secs(2) };
    /// The published table.
    pub const FULL: Effort =
        Effort { windows: 200, window: Duration::from_millis(4), rare: Duration::from_secs(12) };
    /// Shows that it works, and no more.
    pub const GLANCE: Effort =
        Effort { windows: 1, window: Duration::from_millis(2), rare: Duration::from_millis(1) };
}

/// Operations a second of processor time.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// What a tenth of the windows reach: those that nobody disturbed.
    pub undisturbed: f64,
    /// The median window.
    pub median: f64,
}

/// What one row came to.
pub struct Line {
    /// The row's name.
    pub name: String,
    /// The row's size, or 0.
    pub bytes: usize,
    /// Bare AWS-LC, where there is such a thing.
    pub bare: Option<Figure>,
    /// In the order of the modules; why not, where there is none.
    pub modules: Vec<std::result::Result<Figure, String>>,
}

struct Contestant {
    work: Result<Work>,
    times: u64,
    rates: Vec<f64>,
}

impl Contestant {
    fn new(work: Result<Work>, span: Duration) -> Contestant {
        let mut work = work;
        let mut times = 0;
        if let Ok(ready) = &mut work {
            match work::calibrate(ready, span) {
                Ok(found) => times = found,
                Err(rv) => work = Err(rv),
            }
        }
        Contestant { work, times, rates: Vec::new() }
    }

    fn window(&mut self) {
        let Ok(work) = &mut self.work else { return };
        match work::window(work, self.times) {
            Ok(rate) => self.rates.push(rate),
            Err(rv) => self.work = Err(rv),
        }
    }

    /// One at a time until `span` of processor time is used; the mean.
    fn mean(&mut self, span: Duration) {
        let Ok(work) = &mut self.work else { return };
        let (from, clock) = (work::thread_time(), Instant::now());
        let mut count = 0_u64;
        // A module whose work is another process's would never use up its own time.
        while work::thread_time() - from < span && clock.elapsed() < 4 * span {
            if let Err(rv) = work(1) {
                self.work = Err(rv);
                return;
            }
            count += 1;
        }
        self.rates.push(count as f64 / (work::thread_time() - from).as_secs_f64());
    }

    fn figure(mut self) -> std::result::Result<Figure, String> {
        if let Err(rv) = self.work {
            return Err(rv.to_string());
        }
        let median = work::median(&mut self.rates);
        let count = self.rates.len();
        Ok(Figure { undisturbed: self.rates[count - 1 - count / 10], median })
    }
}

/// Measures one row on all contestants.
pub fn row(row: &Row, desks: &[Desk], effort: Effort) -> Line {
    let bare = row.bare.as_ref().map(|bare| Contestant::new(Ok(bare()), effort.window));
    let has_bare = bare.is_some();
    let modules = desks.iter().map(|desk| Contestant::new((row.module)(desk), effort.window));
    let mut all: Vec<Contestant> = bare.into_iter().chain(modules).collect();
    let count = all.len();
    if row.rare {
        // Calibration has begun; a few turns, so that a slow spell of the machine meets all.
        let turns = 4;
        for turn in 0..turns {
            (0..count).for_each(|index| all[(turn + index) % count].mean(effort.rare / turns as u32));
        }
        for each in &mut all {
            let sum: f64 = each.rates.iter().sum();
            each.rates = vec![sum / each.rates.len().max(1) as f64];
        }
    } else {
        for round in 0..effort.windows {
            (0..count).for_each(|index| all[(round + index) % count].window());
        }
    }
    let mut figures = all.into_iter().map(Contestant::figure);
    let bare = has_bare.then(|| figures.next().expect("bare is first").expect("AWS-LC does not fail"));
    Line { name: row.name.clone(), bytes: row.bytes, bare, modules: figures.collect() }
}
