//! An operation to repeat, and the clocks that time it.

use pkcs11_conformance::client::{Result, Rv};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Repeats one operation so many times; ends at the first that fails.
pub type Work = Box<dyn FnMut(u64) -> Result<()>>;

/// The loop stands in here and not around the box, so that a repetition costs no indirect call of ours.
pub fn repeat(mut once: impl FnMut() -> Rv + 'static) -> Work {
    Box::new(move |times| {
        for _ in 0..times {
            black_box(once()).ok()?;
        }
        Ok(())
    })
}

/// What a thread has used of the processor: what other programs use does not count.
pub fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: an address to write to; every Linux has the clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Operations a second of processor time, over one window.
pub fn window(work: &mut Work, times: u64) -> Result<f64> {
    let from = thread_time();
    work(times)?;
    Ok(times as f64 / (thread_time() - from).as_secs_f64())
}

/// The least that [`control`] ever took, in nanoseconds.
static FULL_SPEED: AtomicU64 = AtomicU64::new(u64::MAX);

/// The time of a piece of work that keeps a core's arithmetic busy and touches no memory: more where the core is shared
/// with another thread, of this machine or of one beside it on the same host.
pub fn control() -> Duration {
    let mut chains = black_box([1_u64, 2, 3, 4, 5, 6, 7, 8]);
    let from = Instant::now();
    for _ in 0..200_000 {
        chains = chains.map(|chain| (chain ^ chain >> 7).wrapping_add(chain << 3));
    }
    black_box(chains);
    let taken = from.elapsed();
    FULL_SPEED.fetch_min(taken.as_nanos() as u64, Ordering::Relaxed);
    taken
}

/// Whether a control took hardly more than the best one.
pub fn at_full_speed(control: Duration) -> bool {
    control.as_nanos() as f64 <= 1.05 * FULL_SPEED.load(Ordering::Relaxed) as f64
}

/// How many repetitions fill `span`; at least one. Warms the work up on the way.
pub fn calibrate(work: &mut Work, span: Duration) -> Result<u64> {
    // The first does what is done once: seeding, expanding a key.
    work(1)?;
    let mut times = 1;
    loop {
        let rate = window(work, times)?;
        let taken = times as f64 / rate;
        if taken >= span.as_secs_f64() / 8.0 {
            return Ok(((span.as_secs_f64() * rate) as u64).max(1));
        }
        times *= if taken < span.as_secs_f64() / 64.0 { 4 } else { 2 };
    }
}

/// The middle one; of an even number the upper. Sorts its argument.
///
/// # Panics
/// If there is none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
