//! What is done in a process of its own: filling a token, starting cold, writing with many threads. A module starts
//! once in a process, memory is measured by the process, and a start is only cold in a fresh one.

use crate::desk::Desk;
use crate::provider::Provider;
use crate::work;
use cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism, Module, Session};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const WRITERS: usize = 8;

/// A task, as the parent names it on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Task {
    /// Creates objects until there are so many.
    Fill,
    /// Starts, logs in, finds.
    Cold,
    /// Does small rows so many times, for callgrind.
    Count,
    /// Does almost all rows some times, for callgrind.
    Walk,
    /// Creates for some seconds with one thread, then with eight.
    Writers,
}

/// Does the task on the provider's token, which has `from` objects and shall have `to`.
pub fn run(
    task: Task,
    provider: &Provider,
    (from, to): (u64, u64),
    budget: Duration,
) -> Result<Value, String> {
    match task {
        Task::Fill => fill(provider, from, to, budget),
        Task::Cold => cold(provider, to),
        Task::Count => crate::instructions::child(provider),
        Task::Walk => crate::layout::child(provider),
        Task::Writers => writers(provider, from, budget),
    }
}

fn label(number: u64) -> String {
    format!("object {number}")
}

fn create(session: &Session, number: u64) -> Result<(), String> {
    let yes =
        [CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_ENCRYPT, CKA_DECRYPT].map(|each| Attr::bool(each, true));
    let mut template = vec![Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_AES)];
    template.extend(yes);
    template.push(Attr::label(&label(number)));
    template.push(Attr::bytes(CKA_ID, number.to_be_bytes()));
    template.push(Attr::bytes(CKA_VALUE, [0x42; 32]));
    session.create_object(&template).map(|_| ()).map_err(|rv| format!("C_CreateObject: {rv}"))
}

/// The first 200 by one thread, each timed, and each followed by an fsync of 4 KiB more in a file beside the token; the
/// others by eight, as many as the budget allows.
fn fill(provider: &Provider, from: u64, to: u64, budget: Duration) -> Result<Value, String> {
    let desk = provider.start()?;
    let (begun, mut times, mut syncs, mut next) = (Instant::now(), Vec::new(), Vec::new(), from);
    let beside = provider.home.join("fsync");
    let mut file = File::create(&beside).map_err(|error| error.to_string())?;
    while next < to && times.len() < 200 && begun.elapsed() < budget {
        let clock = Instant::now();
        create(&desk.session, next)?;
        times.push(1e6 * clock.elapsed().as_secs_f64());
        next += 1;
        // Turn by turn, so that what else the disk has to do meets both.
        let clock = Instant::now();
        file.write_all(&[0x5A; 4096]).and_then(|()| file.sync_all()).map_err(|error| error.to_string())?;
        syncs.push(1e6 * clock.elapsed().as_secs_f64());
    }
    fs::remove_file(beside).map_err(|error| error.to_string())?;
    let (counter, done) = (AtomicU64::new(next), AtomicU64::new(next));
    let bulk = Instant::now();
    let writer = |_| {
        let session = provider.open(desk.session.module())?;
        while begun.elapsed() < budget {
            let number = counter.fetch_add(1, Ordering::Relaxed);
            if number >= to {
                break;
            }
            create(&session, number)?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    let outcome = if next < to { all(WRITERS, writer) } else { Ok(()) };
    let reached = done.into_inner();
    let rate = (reached - next) as f64 / bulk.elapsed().as_secs_f64();
    Ok(json!({
        "objects": reached,
        "create_us": (!times.is_empty()).then(|| work::median(&mut times)),
        "fsync_us": (!syncs.is_empty()).then(|| work::median(&mut syncs)),
        "bulk_per_second": (reached > next).then_some(rate),
        "stopped_by": outcome.err(),
    }))
}

fn all(threads: usize, each: impl Fn(usize) -> Result<(), String> + Sync) -> Result<(), String> {
    thread::scope(|scope| {
        let each = &each;
        let threads: Vec<_> = (0..threads).map(|index| scope.spawn(move || each(index))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })
}

/// Milliseconds since `clock`, which starts anew.
fn lap(clock: &mut Instant) -> f64 {
    let now = Instant::now();
    1e3 * (now - std::mem::replace(clock, now)).as_secs_f64()
}

fn cold(provider: &Provider, objects: u64) -> Result<Value, String> {
    provider.configure(false)?;
    let before = resident();
    let mut clock = Instant::now();
    let module = Module::load(&provider.path)?;
    let load = lap(&mut clock);
    provider.initialize(module).map_err(|rv| format!("C_Initialize: {rv}"))?;
    let initialize = lap(&mut clock);
    let session = provider.open(module)?;
    provider.log_in(&session)?;
    let login = lap(&mut clock);
    let wanted = [Attr::label(&label(objects / 2))];
    let found = session.find(&wanted).map_err(|rv| format!("C_FindObjects: {rv}"))?;
    let find = lap(&mut clock);
    let [key] = found[..] else { return Err(format!("{} objects of one label", found.len())) };
    let memory = resident().saturating_sub(before);
    let hit = |number: u64| vec![Attr::class(CKO_SECRET_KEY), Attr::label(&label(number))];
    let id = |number: u64| vec![Attr::class(CKO_SECRET_KEY), Attr::bytes(CKA_ID, number.to_be_bytes())];
    let by_label = finding(&session, objects, hit)?;
    let by_id = finding(&session, objects, id)?;
    Ok(json!({
        "load_ms": load, "initialize_ms": initialize, "login_ms": login, "find_ms": find,
        "total_ms": load + initialize + login + find,
        "find_label_us": by_label, "find_id_us": by_id,
        "memory_bytes": memory,
        "gcm_64_per_second": encrypting(&Desk::new(session), key)?,
    }))
}

/// The median of finding one of them, in microseconds, each time another.
fn finding(session: &Session, objects: u64, template: impl Fn(u64) -> Vec<Attr>) -> Result<f64, String> {
    let (begun, mut times, mut number) = (Instant::now(), Vec::new(), 0);
    while times.len() < 2000 && (begun.elapsed() < Duration::from_millis(500) || times.len() < 3) {
        // A step that meets all of them before any comes again.
        number = (number + 7_368_787) % objects;
        let wanted = template(number);
        let mut wanted = pkcs11_conformance::client::Template::new(&wanted);
        let clock = Instant::now();
        let count = find_one(session, &mut wanted).ok_or("a find failed")?;
        times.push(1e6 * clock.elapsed().as_secs_f64());
        if count != 1 {
            return Err(format!("{count} objects where one was created"));
        }
    }
    Ok(work::median(&mut times))
}

fn find_one(session: &Session, wanted: &mut pkcs11_conformance::client::Template) -> Option<CK_ULONG> {
    let list = session.f();
    let (init, next, last) = (list.C_FindObjectsInit?, list.C_FindObjects?, list.C_FindObjectsFinal?);
    let (mut found, mut count) = ([CK_INVALID_HANDLE; 2], 0);
    // SAFETY: a template, and addresses with room for two handles.
    let answers = unsafe {
        (
            init(session.handle(), wanted.ptr(), wanted.count()),
            next(session.handle(), found.as_mut_ptr(), 2, &mut count),
            last(session.handle()),
        )
    };
    (answers == (CKR_OK, CKR_OK, CKR_OK)).then_some(count)
}

/// AES-GCM of 64 bytes with a key among them all, a second of processor time.
fn encrypting(desk: &Desk, key: CK_OBJECT_HANDLE) -> Result<f64, String> {
    let mechanism = Mechanism::gcm(CKM_AES_GCM, &[7; 12], &[], 128);
    let fast = || -> pkcs11_conformance::client::Result<f64> {
        let mut work = crate::rows::encryption(desk, mechanism, key, 64)?;
        let times = work::calibrate(&mut work, Duration::from_millis(20))?;
        let mut rates = (0..5).map(|_| work::window(&mut work, times)).collect::<Result<Vec<_>, _>>()?;
        Ok(work::median(&mut rates))
    };
    // A module without GCM has no such figure.
    Ok(fast().unwrap_or(0.0))
}

/// Turns of one thread and of eight, so that what else the disk has to do meets both; each turn has its share of the
/// budget.
fn writers(provider: &Provider, from: u64, budget: Duration) -> Result<Value, String> {
    const TURNS: u32 = 32;
    let desk = provider.start()?;
    let number = AtomicU64::new(from);
    let turn = |threads: usize| {
        let (begun, first) = (Instant::now(), number.load(Ordering::Relaxed));
        all(threads, |_| {
            let session = provider.open(desk.session.module())?;
            while begun.elapsed() < budget / TURNS {
                create(&session, number.fetch_add(1, Ordering::Relaxed))?;
            }
            Ok(())
        })?;
        Ok::<_, String>((number.load(Ordering::Relaxed) - first) as f64 / begun.elapsed().as_secs_f64())
    };
    let (mut one, mut eight) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        one.push(turn(1)?);
        eight.push(turn(WRITERS)?);
    }
    let (one, eight) = (work::median(&mut one), work::median(&mut eight));
    Ok(json!({ "one_per_second": one, "eight_per_second": eight, "objects": number.into_inner() }))
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}
