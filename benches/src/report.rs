//! The table, as text and as JSON.

use crate::measure::{Figure, Line};
use serde_json::{Value, json};

/// "2.48M", "397.8k", "57.2k", "1292", "14.2"; in MB/s for rows with a size.
pub fn rate(figure: f64, bytes: usize) -> String {
    let value = if bytes > 0 { figure * bytes as f64 / 1e6 } else { figure };
    match value {
        _ if bytes > 0 => format!("{value:.0}"),
        _ if value >= 1e6 => format!("{:.2}M", value / 1e6),
        _ if value >= 1e4 => format!("{:.1}k", value / 1e3),
        _ if value >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

/// The columns' names: the first module is the one that the others are compared with.
pub fn header(modules: &[String]) -> Vec<String> {
    let mut cells: Vec<String> = ["operation", "unit", "AWS-LC"].map(String::from).into();
    cells.extend(modules.iter().cloned());
    cells.extend(["/ AWS-LC", "over it, ns"].map(String::from));
    if modules.len() > 1 {
        cells.push("/ best peer".into());
    }
    cells
}

/// One line of the table.
pub fn cells(line: &Line) -> Vec<String> {
    let unit = if line.bytes > 0 { "MB/s" } else { "op/s" };
    let mut cells = vec![line.name.clone(), unit.into()];
    cells.push(line.bare.map_or_else(|| "-".into(), |bare| rate(bare.undisturbed, line.bytes)));
    for module in &line.modules {
        cells
            .push(module.as_ref().map_or_else(|_| "x".into(), |figure| rate(figure.undisturbed, line.bytes)));
    }
    cells.push(ratio_text(line.to_bare()));
    cells.push(line.overhead().map_or_else(|| "-".into(), |over| format!("{over:.0}")));
    if line.modules.len() > 1 {
        cells.push(match line.to_best_peer() {
            Some((ratio, peer)) => format!("{ratio:.2} ({})", peer + 1),
            None => "-".into(),
        });
    }
    cells
}

fn ratio_text(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"))
}

impl Line {
    /// The first module's.
    pub fn first(&self) -> Option<Figure> {
        self.modules.first()?.as_ref().ok().copied()
    }

    /// The first module's rate by bare AWS-LC's.
    pub fn to_bare(&self) -> Option<f64> {
        Some(self.first()?.undisturbed / self.bare?.undisturbed)
    }

    /// The first module's time for an operation, in nanoseconds.
    pub fn whole(&self) -> Option<f64> {
        Some(1e9 / self.first()?.undisturbed)
    }

    /// What the first module adds to an operation, in nanoseconds.
    pub fn overhead(&self) -> Option<f64> {
        Some(self.whole()? - 1e9 / self.bare?.undisturbed)
    }

    /// The first module's rate by the best of the others', and which that is, counted from the second module.
    pub fn to_best_peer(&self) -> Option<(f64, usize)> {
        let peers = self.modules.iter().enumerate().skip(1);
        let best = peers.filter_map(|(index, peer)| Some((peer.as_ref().ok()?.undisturbed, index)));
        let (best, index) = best.max_by(|one, two| one.0.total_cmp(&two.0))?;
        Some((self.first()?.undisturbed / best, index))
    }

    /// For programs.
    pub fn json(&self, modules: &[String]) -> Value {
        let figure = |figure: Figure| json!({ "undisturbed": figure.undisturbed, "median": figure.median });
        let of_modules: serde_json::Map<String, Value> = modules
            .iter()
            .zip(&self.modules)
            .map(|(name, outcome)| {
                let value =
                    outcome.as_ref().map_or_else(|why| json!({ "error": why }), |found| figure(*found));
                (name.clone(), value)
            })
            .collect();
        json!({
            "name": self.name,
            "bytes": self.bytes,
            "aws_lc": self.bare.map(figure),
            "modules": of_modules,
        })
    }
}

/// Columns of text under each other: the first to the left, the others to the right.
pub struct Columns {
    widths: Vec<usize>,
}

impl Columns {
    /// As wide as the header and what is usual below it.
    pub fn new(header: &[String]) -> Columns {
        let least = |index: usize| if index == 0 { 22 } else { 9 };
        Columns { widths: header.iter().enumerate().map(|(i, cell)| cell.len().max(least(i))).collect() }
    }

    /// One line.
    pub fn line(&self, cells: &[String]) -> String {
        let mut text = String::new();
        for (index, (cell, width)) in cells.iter().zip(&self.widths).enumerate() {
            match index {
                0 => text.push_str(&format!("{cell:<width$}")),
                _ => text.push_str(&format!("  {cell:>width$}")),
            }
        }
        text.trim_end().into()
    }
}
