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
    pub uneven: Duration,
}

impl Effort {
    /// About two minutes for two contestants.
    pub const QUICK: Effort =
        Effort { windows: 100, window: Duration::from_millis(4), uneven: Duration::from_secs(2) };
    /// The published table.
    pub const FULL: Effort =
        Effort { windows: 200, window: Duration::from_millis(4), uneven: Duration::from_secs(12) };
    /// Shows that it works, and no more.
    pub const GLANCE: Effort =
        Effort { windows: 1, window: Duration::from_millis(2), uneven: Duration::from_millis(1) };
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
    begun: Instant,
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
        Contestant { work, times, rates: Vec::new(), begun: Instant::now() }
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

    /// Whether its windows have taken `span` of processor time, or far more time by the clock: the work of some modules is
    /// another process's.
    fn has_had(&self, span: Duration) -> bool {
        let spent: f64 = self.rates.iter().map(|rate| self.times as f64 / rate).sum();
        self.work.is_err() || spent >= span.as_secs_f64() || self.begun.elapsed() > 20 * span
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

/// Measures one row on all contestants.
pub fn row(row: &Row, desks: &[Desk], effort: Effort) -> Line {
    let bare = row.bare.as_ref().map(|bare| Contestant::new(Ok(bare()), effort.window));
    let has_bare = bare.is_some();
    let modules = desks.iter().map(|desk| Contestant::new((row.module)(desk), effort.window));
    let mut all: Vec<Contestant> = bare.into_iter().chain(modules).collect();
    let count = all.len();
    let mut figures: Vec<_> = if row.uneven {
        let mut round = 0;
        while !all.iter().all(|each| each.has_had(effort.uneven)) {
            for index in 0..count {
                let each = &mut all[(round + index) % count];
                if !each.has_had(effort.uneven) {
                    each.window();
                }
            }
            round += 1;
        }
        all.into_iter().map(Contestant::mean).collect()
    } else {
        for round in 0..effort.windows {
            (0..count).for_each(|index| all[(round + index) % count].window());
        }
        all.into_iter().map(Contestant::figure).collect()
    };
    let bare = has_bare.then(|| figures.remove(0).expect("AWS-LC does not fail"));
    Line { name: row.name.clone(), bytes: row.bytes, bare, modules: figures }
}
