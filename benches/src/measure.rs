//! A B A B in one process: every contestant does a window of each row in each round, and each round begins with
//! another one.

use crate::desk::Desk;
use crate::rows::Row;
use crate::work::{self, Work};
use pkcs11_conformance::client::Result;
use std::time::{Duration, Instant};

/// How long to look.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Of each round the median of its windows counts. There are up to three times as many, until each contestant has had
    /// [`UNDISTURBED`] that found the core at full speed.
    pub rounds: usize,
    /// In a round.
    pub windows: usize,
    /// Of processor time, a window.
    pub window: Duration,
    /// Of processor time, a contestant, for rows of which the mean counts.
    pub rare: Duration,
}

impl Effort {
    /// About two minutes for two contestants.
    pub const QUICK: Effort =
        Effort { rounds: 5, windows: 3, window: Duration::from_millis(30), rare: Duration::from_secs(2) };
    /// The published table.
    pub const FULL: Effort =
        Effort { rounds: 6, windows: 3, window: Duration::from_millis(40), rare: Duration::from_secs(12) };
    /// Shows that it works, and no more.
    pub const GLANCE: Effort =
        Effort { rounds: 1, windows: 1, window: Duration::from_millis(2), rare: Duration::from_millis(1) };
}

/// Operations a second of processor time.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// The best round: what is above it is other programs' noise.
    pub best: f64,
    /// The median round.
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

/// Of a contestant's rounds.
const UNDISTURBED: usize = 2;

struct Contestant {
    work: Result<Work>,
    times: u64,
    rounds: Vec<f64>,
    controls: Vec<Duration>,
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
        Contestant { work, times, rounds: Vec::new(), controls: Vec::new() }
    }

    fn round(&mut self, windows: usize) {
        let Ok(work) = &mut self.work else { return };
        let before = work::control();
        let rates: Result<Vec<f64>> = (0..windows).map(|_| work::window(work, self.times)).collect();
        self.controls.push(before.max(work::control()));
        match rates {
            Ok(mut rates) => self.rounds.push(work::median(&mut rates)),
            Err(rv) => self.work = Err(rv),
        }
    }

    fn had_its_rounds(&self) -> bool {
        let undisturbed = self.controls.iter().filter(|control| work::at_full_speed(**control));
        self.work.is_err() || undisturbed.count() >= UNDISTURBED
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
        self.rounds.push(count as f64 / (work::thread_time() - from).as_secs_f64());
    }

    fn figure(mut self) -> std::result::Result<Figure, String> {
        if let Err(rv) = self.work {
            return Err(rv.to_string());
        }
        let best = self.rounds.iter().copied().fold(0.0, f64::max);
        Ok(Figure { best, median: work::median(&mut self.rounds) })
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
            let sum: f64 = each.rounds.iter().sum();
            each.rounds = vec![sum / each.rounds.len().max(1) as f64];
        }
    } else {
        for round in 0..3 * effort.rounds {
            if round >= effort.rounds && all.iter().all(Contestant::had_its_rounds) {
                break;
            }
            (0..count).for_each(|index| all[(round + index) % count].round(effort.windows));
        }
    }
    let mut figures = all.into_iter().map(Contestant::figure);
    let bare = has_bare.then(|| figures.next().expect("bare is first").expect("AWS-LC does not fail"));
    Line { name: row.name.clone(), bytes: row.bytes, bare, modules: figures.collect() }
}
