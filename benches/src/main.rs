//! `coffer-bench`: any PKCS#11 module beside bare AWS-LC, in one process.

mod bare;
mod bars;
mod callgrind;
mod chart;
mod desk;
mod document;
mod instructions;
mod layout;
mod measure;
mod provider;
mod report;
mod rows;
mod tasks;
mod threads;
mod tokens;
mod work;

use bars::Verdict;
use clap::Parser;
use measure::{Contest, Effort, Line};
use provider::Provider;
use report::Columns;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs, thread};
use threads::Scaling;
use tokens::Growth;

/// Measures modules beside bare AWS-LC: Init and operation, with private token keys and a user logged in.
///
/// The first module is the one that is judged; the others are its peers. Figures are operations a second of processor
/// time: what the best tenth of short windows reach.
#[derive(Parser)]
#[command(name = "coffer-bench", version)]
struct Cli {
    /// Fewer rounds, no threads, no token objects: about two minutes for one module.
    #[arg(long)]
    quick: bool,
    /// One short window of each row: shows that it works, and measures nothing.
    #[arg(long, conflicts_with = "quick")]
    glance: bool,
    /// Only rows whose names contain this, `threads` or `growth`; may be given again.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// A module's shared library; may be given again [default: libcoffer_pkcs11.so beside this program].
    #[arg(long, value_name = "PATH")]
    module: Vec<PathBuf>,
    /// How many token objects the first module's token grows to, by powers of ten.
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    objects: u64,
    /// How many seconds a token may take for each tenfold growth; a peer a tenth of that.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    budget: u64,
    /// Where tokens are made [default: beside this program].
    #[arg(long, value_name = "DIRECTORY")]
    place: Option<PathBuf>,
    /// Writes the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes the chart.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Writes the tables between the markers of a Markdown file.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Counts the instructions of small operations with callgrind and compares them with this file's.
    #[arg(long, value_name = "FILE")]
    instructions: Option<PathBuf>,
    /// Writes the file of `--instructions` instead.
    #[arg(long, requires = "instructions")]
    accept: bool,
    /// Writes the linker script by which the functions on the way of calls stand together, as callgrind sees them.
    #[arg(long, value_name = "FILE", conflicts_with = "instructions")]
    layout: Option<PathBuf>,
    /// Session keys instead of token keys.
    #[arg(long)]
    session_keys: bool,
    /// What a child does.
    #[arg(long, hide = true, requires_all = ["home", "from", "to"])]
    task: Option<tasks::Task>,
    #[arg(long, hide = true)]
    home: Option<PathBuf>,
    #[arg(long, hide = true)]
    from: Option<u64>,
    #[arg(long, hide = true)]
    to: Option<u64>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.task {
        Some(task) => child(&cli, task),
        None => run(&cli),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("coffer-bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn child(cli: &Cli, task: tasks::Task) -> Result<(), String> {
    let (Some(path), Some(home)) = (cli.module.first(), &cli.home) else { return Err("no module".into()) };
    let provider = Provider { home: home.clone(), ..Provider::new(path, home) };
    let numbers = (cli.from.unwrap_or(0), cli.to.unwrap_or(0));
    println!("{}", tasks::run(task, &provider, numbers, Duration::from_secs(cli.budget))?);
    Ok(())
}

impl Cli {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }

    /// A part that is no row: wanted by name, or by the full run.
    fn wants_part(&self, name: &str) -> bool {
        if self.only.is_empty() {
            !self.quick && !self.glance
        } else {
            self.only.iter().any(|part| part == name)
        }
    }

    fn effort(&self) -> Effort {
        match (self.quick, self.glance) {
            (true, _) => Effort::QUICK,
            (_, true) => Effort::GLANCE,
            _ => Effort::FULL,
        }
    }
}

fn run(cli: &Cli) -> Result<(), String> {
    let executable = env::current_exe().map_err(|error| error.to_string())?;
    let beside = executable.parent().ok_or("this program is in no directory")?;
    // Not the system's temporary directory: that is often memory, and tokens are measured on a disk.
    let place = cli.place.as_deref().unwrap_or(beside);
    let place =
        tempfile::Builder::new().prefix("bench-").tempdir_in(place).map_err(|error| error.to_string())?;
    let default = [beside.join("libcoffer_pkcs11.so")];
    let paths = if cli.module.is_empty() { &default[..] } else { &cli.module };
    let first = Provider::new(&paths[0], place.path());
    if let Some(kept) = &cli.instructions {
        return instructions::compare(&first, kept, cli.accept);
    }
    if let Some(file) = &cli.layout {
        return layout::write(&first, file);
    }
    let (mut providers, mut desks) = (Vec::new(), Vec::new());
    for (index, path) in paths.iter().enumerate() {
        let provider = Provider::new(path, place.path());
        match provider.start() {
            Ok(desk) => {
                let desk = if cli.session_keys { desk.with_session_keys() } else { desk };
                providers.push(provider);
                desks.push(desk);
            }
            Err(why) if index == 0 => return Err(format!("{}: {why}", path.display())),
            Err(why) => eprintln!("left out: {}: {why}", path.display()),
        }
    }
    let names: Vec<String> = providers.iter().map(|each| each.name.clone()).collect();

    let lines = throughput(cli, &names, &desks);
    let scaling = if cli.wants_part("threads") { scaling(&names, &providers, &desks) } else { Vec::new() };
    let growth = if cli.wants_part("growth") { growth(cli, &providers) } else { Vec::new() };
    let verdicts = bars::judge(&bars::Findings { lines: &lines, scaling: &scaling, growth: &growth });
    print_verdicts(&verdicts);
    let run = document::Run {
        modules: &names,
        lines: &lines,
        scaling: &scaling,
        growth: &growth,
        verdicts: &verdicts,
    };
    write(cli, &run)
}

fn throughput(cli: &Cli, names: &[String], desks: &[desk::Desk]) -> Vec<Line> {
    let rows = rows::all();
    let rows: Vec<_> = rows.iter().filter(|row| cli.wants(&row.name)).collect();
    let header = report::header(names);
    let columns = Columns::new(&header);
    if !rows.is_empty() {
        println!("{}", columns.line(&header));
    }
    let effort = cli.effort();
    let mut contests: Vec<_> = rows.into_iter().map(Contest::new).collect();
    for pass in 1..effort.passes {
        contests.iter_mut().for_each(|contest| contest.pass(desks, effort));
        eprintln!("{pass} of {} passes", effort.passes);
    }
    let finish = |mut contest: Contest<'_>| {
        contest.pass(desks, effort);
        let line = contest.line();
        println!("{}", columns.line(&report::cells(&line)));
        for (name, outcome) in names.iter().zip(&line.modules) {
            if let Err(why) = outcome {
                eprintln!("    {name}, {}: {why}", line.name);
            }
        }
        line
    };
    contests.into_iter().map(finish).collect()
}

fn scaling(names: &[String], providers: &[Provider], desks: &[desk::Desk]) -> Vec<Scaling> {
    let most = thread::available_parallelism().map_or(1, usize::from).max(2);
    let mut header = vec!["two threads by one".to_string(), "AWS-LC".into()];
    header.extend_from_slice(names);
    let columns = Columns::new(&header);
    println!("\n{}", columns.line(&header));
    let all = rows::all();
    let rows: Vec<_> = all.iter().filter(|row| threads::ROWS.contains(&row.name.as_str())).collect();
    let found = threads::scale(&rows, providers, desks, most);
    found.iter().for_each(|each| println!("{}", columns.line(&each.cells())));
    found
}

fn growth(cli: &Cli, providers: &[Provider]) -> Vec<Growth> {
    println!();
    let grow = |(index, provider): (usize, &Provider)| {
        let peer = index > 0;
        let most = if peer { cli.objects.min(10_000) } else { cli.objects };
        let budget = Duration::from_secs(if peer { (cli.budget / 10).max(1) } else { cli.budget });
        let found = tokens::grow(provider, most, budget);
        for step in &found.steps {
            let number = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.1}"));
            println!(
                "{:<14} {:>8} objects: create {} us, find {} us, cold start {} ms",
                found.name,
                step.objects,
                number(step.create_us()),
                number(step.find_us()),
                number(step.start_ms())
            );
        }
        if let Some(why) = &found.stopped {
            println!("{:<14} ended at {why}", found.name);
        }
        found
    };
    providers.iter().enumerate().map(grow).collect()
}

fn print_verdicts(verdicts: &[Verdict]) {
    println!();
    for each in verdicts {
        println!("{:<5} {:<52} {:<22} {}", each.word(), each.work, each.bar, each.measured);
    }
}

fn write(cli: &Cli, run: &document::Run<'_>) -> Result<(), String> {
    let put = |file: &Path, text: String| {
        fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
    };
    if let Some(file) = &cli.json {
        let value = json!({
            "modules": run.modules,
            "aws_lc": bare::version(),
            "rows": run.lines.iter().map(|line| line.json(run.modules)).collect::<Vec<_>>(),
            "threads": run.scaling.iter().map(Scaling::json).collect::<Vec<_>>(),
            "growth": run.growth.iter().map(Growth::json).collect::<Vec<_>>(),
            "bars": run.verdicts.iter().map(Verdict::json).collect::<Vec<_>>(),
        });
        put(file, format!("{value:#}\n"))?;
    }
    if let Some(file) = &cli.svg {
        put(file, chart::svg(run.modules, run.lines, run.scaling, run.growth))?;
    }
    match &cli.markdown {
        Some(file) => document::write(file, run),
        None => Ok(()),
    }
}
