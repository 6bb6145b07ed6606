//! A B A B in one process: the contestants take turns of a short window each, and every round begins with another one.
//!
//! The cores of such machines are shared, and a thread of a neighbour on the other half of a core takes up to half the
//! speed, for milliseconds or for minutes. Windows are short, so that what comes meets all contestants alike, and many, in
//! several passes through all rows, so that each has some without a neighbour.

use crate::desk::Desk;
use crate::rows::Row;
use crate::work::{self, Work};
use pkcs11_conformance::client::Result;
use std::time::{Duration, Instant};

/// How long to look.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Through all rows.
    pub passes: usize,
    /// Of each contestant, in a pass.
    pub windows: usize,
    /// Of processor time, a window.
    pub window: Duration,
    /// Of processor time, a contestant, in a pass, for rows of which the mean counts.
    pub uneven: Duration,
}

impl Effort {
    /// About two minutes for two contestants.
    pub const QUICK: Effort =
        Effort { passes: 1, windows: 100, window: Duration::from_millis(4), uneven: Duration::from_secs(2) };
    /// The published table.
    pub const FULL: Effort = Effort {
        passes: 8,
        windows: 25,
        window: Duration::from_millis(4),
        uneven: Duration::from_millis(1500),
    };
    /// Shows that it works, and no more.
    pub const GLANCE: Effort =
        Effort { passes: 1, windows: 1, window: Duration::from_millis(2), uneven: Duration::from_millis(1) };
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

    /// Each window at another depth of the stack: where that lies to what else the work reads and writes makes some
    /// percent of a signature of ML-DSA, and is another in each run.
    fn window(&mut self) {
        let Ok(work) = &mut self.work else { return };
        let depth = self.rates.len() % work::DEPTHS;
        match work::at_depth(depth, &mut || work::window(work, self.times)) {
            Ok(rate) => self.rates.push(rate),
            Err(rv) => self.work = Err(rv),
        }
    }

    /// Processor time of its windows.
    fn spent(&self) -> Duration {
        Duration::from_secs_f64(self.rates.iter().map(|rate| self.times as f64 / rate).sum())
    }

    /// What counts of operations that are alike.
    fn figure(mut self) -> std::result::Result<Figure, String> {
        if let Err(rv) = self.work {
            return Err(rv.to_string());
        }
        let median = work::median(&mut self.rates);
        Ok(Figure { undisturbed: work::undisturbed(&mut self.rates), median })
    }

    /// What counts of the others: the mean.
    fn mean(self) -> std::result::Result<Figure, String> {
        if let Err(rv) = self.work {
            return Err(rv.to_string());
        }
        let mean = self.rates.len() as f64 / self.rates.iter().map(|rate| 1.0 / rate).sum::<f64>();
        Ok(Figure { undisturbed: mean, median: mean })
    }
}

/// One row on all contestants.
pub struct Contest<'a> {
    row: &'a Row,
    /// Bare AWS-LC first, where there is such a thing; none before the first pass.
    all: Vec<Contestant>,
    rounds: usize,
}

impl<'a> Contest<'a> {
    /// Of a row, not begun.
    pub fn new(row: &'a Row) -> Contest<'a> {
        Contest { row, all: Vec::new(), rounds: 0 }
    }

    /// One pass. The first one makes the contestants ready.
    pub fn pass(&mut self, desks: &[Desk], effort: Effort) {
        if self.all.is_empty() {
            let bare = self.row.bare.iter().map(|bare| Ok(bare()));
            let modules = desks.iter().map(|desk| (self.row.module)(desk));
            self.all = bare.chain(modules).map(|work| Contestant::new(work, effort.window)).collect();
        }
        if !self.row.uneven {
            return (0..effort.windows).for_each(|_| self.round(|_, _| true));
        }
        let begun = Instant::now();
        let had: Vec<Duration> = self.all.iter().map(Contestant::spent).collect();
        // The work of some modules is another process's, and takes far more time by the clock.
        let wants = |index: usize, each: &Contestant| {
            each.work.is_ok()
                && each.spent() - had[index] < effort.uneven
                && begun.elapsed() < 20 * effort.uneven
        };
        while self.all.iter().enumerate().any(|(index, each)| wants(index, each)) {
            self.round(wants);
        }
    }

    /// A window of each contestant that wants one; every round begins with another one.
    fn round(&mut self, wants: impl Fn(usize, &Contestant) -> bool) {
        let count = self.all.len();
        for index in (0..count).map(|index| (self.rounds + index) % count) {
            if wants(index, &self.all[index]) {
                self.all[index].window();
            }
        }
        self.rounds += 1;
    }

    /// What it came to.
    pub fn line(self) -> Line {
        let figure = if self.row.uneven { Contestant::mean } else { Contestant::figure };
        let mut figures: Vec<_> = self.all.into_iter().map(figure).collect();
        let bare = self.row.bare.is_some().then(|| figures.remove(0).expect("AWS-LC does not fail"));
        Line { name: self.row.name.clone(), bytes: self.row.bytes, bare, modules: figures }
    }
}
