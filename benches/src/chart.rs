//! The chart: ratios to bare AWS-LC as bars, growth and threads as lines, in one SVG.

use crate::measure::Line;
use crate::threads::Scaling;
use crate::tokens::{Growth, Step};
use std::fmt::Write;

const INK: &str = "#24292f";
const FAINT: &str = "#d0d7de";
const COLOURS: [&str; 6] = ["#0969da", "#8c959f", "#bf8700", "#1a7f37", "#cf222e", "#8250df"];
const WIDTH: f64 = 920.0;
/// Room for the names of rows.
const NAMES: f64 = 190.0;

/// The whole chart.
pub fn svg(modules: &[String], lines: &[Line], scaling: &[Scaling], growth: &[Growth]) -> String {
    let mut body = String::new();
    let mut y = bars(&mut body, modules, lines);
    if growth.iter().any(|each| each.steps.len() > 1) {
        y += 30.0;
        panel(&mut body, 40.0, y, "find one label, us, by number of objects", growth, Step::find_us);
        panel(&mut body, 500.0, y, "create on disk, us", growth, Step::create_us);
        y += 240.0;
        panel(&mut body, 40.0, y, "cold start with login, ms", growth, Step::start_ms);
        panel(&mut body, 500.0, y, "AES-GCM of 64 bytes, op/s", growth, Step::gcm);
        y += 240.0;
    }
    if !scaling.is_empty() {
        y = threads(&mut body, y + 20.0, scaling);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y:.0}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, what: &str) {
    let what = what.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        body,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{INK}\" text-anchor=\"{anchor}\">{what}</text>"
    );
}

fn line(body: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str) {
    let _ = writeln!(body, "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"{colour}\"/>");
}

fn rectangle(body: &mut String, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
    let _ = writeln!(
        body,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
    );
}

/// Where on a logarithmic scale from `low` to `high` a value stands, 0 to 1.
fn logarithmic(value: f64, (low, high): (f64, f64)) -> f64 {
    ((value.max(low) / low).ln() / (high / low).ln()).clamp(0.0, 1.0)
}

/// Rows with a bare primitive: the first module and the best peer, as ratios to AWS-LC. Where it ends.
fn bars(body: &mut String, modules: &[String], lines: &[Line]) -> f64 {
    let span = (0.01, 100.0);
    let at = |ratio: f64| NAMES + logarithmic(ratio, span) * (WIDTH - NAMES - 60.0);
    let rows: Vec<_> = lines.iter().filter_map(|line| Some((line, line.to_bare()?))).collect();
    let bottom = 50.0 + 14.0 * rows.len() as f64;
    let first = modules.first().map_or("", String::as_str);
    text(
        body,
        10.0,
        18.0,
        "start",
        &format!("{first} (blue) and the best peer (grey), as multiples of bare AWS-LC"),
    );
    for tick in [0.01, 0.1, 1.0, 10.0, 100.0] {
        line(body, (at(tick), 34.0), (at(tick), bottom), if tick == 1.0 { INK } else { FAINT });
        text(body, at(tick), 31.0, "middle", &format!("{tick}x"));
    }
    for (index, (row, ratio)) in rows.iter().enumerate() {
        let y = 40.0 + 14.0 * index as f64;
        text(body, NAMES - 8.0, y + 9.0, "end", &row.name);
        rectangle(body, (NAMES, y), (at(*ratio) - NAMES, 6.0), COLOURS[0]);
        if let (Some((over, _)), Some(_)) = (row.to_best_peer(), row.bare) {
            rectangle(body, (NAMES, y + 6.0), (at(ratio / over) - NAMES, 4.0), COLOURS[1]);
        }
        text(body, at(*ratio) + 4.0, y + 8.0, "start", &format!("{ratio:.2}"));
    }
    bottom
}

/// A line for each module over the number of objects, both axes logarithmic.
fn panel(
    body: &mut String,
    x: f64,
    y: f64,
    title: &str,
    growth: &[Growth],
    value: impl Fn(&Step) -> Option<f64>,
) {
    let (width, height) = (380.0, 180.0);
    let values = growth.iter().flat_map(|each| &each.steps).filter_map(&value).filter(|value| *value > 0.0);
    let (low, high) =
        values.fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    if high == 0.0 {
        return;
    }
    let span =
        (10_f64.powf(low.log10().floor()), 10_f64.powf(high.log10().ceil().max(low.log10().floor() + 1.0)));
    let across = |objects: f64| x + logarithmic(objects, (1.0, 1e6)) * width;
    let up = |value: f64| y + 20.0 + height - logarithmic(value, span) * height;
    text(body, x, y + 8.0, "start", title);
    for power in 0..=6 {
        let at = across(10_f64.powi(power));
        line(body, (at, y + 20.0), (at, y + 20.0 + height), FAINT);
        text(body, at, y + 34.0 + height, "middle", &format!("1e{power}"));
    }
    let mut tick = span.0;
    while tick <= span.1 * 1.01 {
        line(body, (x, up(tick)), (x + width, up(tick)), FAINT);
        text(body, x - 4.0, up(tick) + 4.0, "end", &short(tick));
        tick *= 10.0;
    }
    for (each, colour) in growth.iter().zip(COLOURS) {
        let points = each.steps.iter().filter_map(|step| Some((step.objects as f64, value(step)?)));
        let points: Vec<String> =
            points.map(|(objects, value)| format!("{:.1},{:.1}", across(objects), up(value))).collect();
        let Some(last) = points.last().and_then(|point| point.split_once(',')) else { continue };
        let joined = points.join(" ");
        let _ = writeln!(
            body,
            "<polyline points=\"{joined}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
        let (end_x, end_y) = (last.0.parse().unwrap_or(x), last.1.parse().unwrap_or(y));
        text(body, end_x, f64::max(end_y - 5.0, y + 18.0), "end", &each.name);
    }
}

fn short(value: f64) -> String {
    match value {
        _ if value >= 1e6 => format!("{}M", value / 1e6),
        _ if value >= 1e3 => format!("{}k", value / 1e3),
        _ => format!("{}", (value * 1e3).round() / 1e3),
    }
}

/// All threads by one thread, AWS-LC and the first module. Where it ends.
fn threads(body: &mut String, y: f64, scaling: &[Scaling]) -> f64 {
    let count = scaling.iter().flat_map(|each| each.modules.first()).map(Vec::len).max().unwrap_or(1);
    text(
        body,
        10.0,
        y,
        "start",
        &format!("{count} threads by one thread: the first module (blue), bare AWS-LC (grey)"),
    );
    let at = |ratio: f64| NAMES + ratio / (count as f64 * 1.2) * (WIDTH - NAMES - 60.0);
    let bottom = y + 20.0 + 14.0 * scaling.len() as f64;
    for tick in 0..=count {
        line(body, (at(tick as f64), y + 8.0), (at(tick as f64), bottom), FAINT);
        text(body, at(tick as f64), bottom + 11.0, "middle", &format!("{tick}x"));
    }
    for (index, each) in scaling.iter().enumerate() {
        let top = y + 12.0 + 14.0 * index as f64;
        let ratio = |rates: &Vec<f64>| Some(rates.last()? / rates.first()?);
        text(body, NAMES - 8.0, top + 9.0, "end", &each.name);
        for (rates, (shift, height, colour)) in each
            .modules
            .first()
            .into_iter()
            .zip([(0.0, 6.0, COLOURS[0])])
            .chain([(&each.bare, (6.0, 4.0, COLOURS[1]))])
        {
            if let Some(ratio) = ratio(rates) {
                rectangle(body, (NAMES, top + shift), (at(ratio) - NAMES, height), colour);
            }
        }
    }
    bottom + 20.0
}
