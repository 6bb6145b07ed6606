//! An operation to repeat, and the clocks that time it.

use pkcs11_conformance::client::{Result, Rv};
use std::hint::black_box;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// Bytes that begin with a page. Where `malloc` puts the buffers of one contestant and of another, lines that straddle and
/// loads that seem to wait for stores make some per cent, which are nobody's merit.
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

const PAGE: usize = 4096;

impl Buffer {
    /// `size` times `byte`.
    pub fn new(byte: u8, size: usize) -> Buffer {
        let bytes = vec![byte; size + PAGE];
        let start = bytes.as_ptr().align_offset(PAGE);
        let mut buffer = Buffer { bytes, start };
        buffer.bytes.truncate(start + size);
        buffer
    }

    /// A copy of `bytes`.
    pub fn of(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::new(0, bytes.len());
        buffer.copy_from_slice(bytes);
        buffer
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }
}

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

/// Depths that [`at_depth`] makes a page of.
pub const DEPTHS: usize = 17;

/// What `work` gives so many steps further down the stack, none of which is a multiple of a cache line.
#[inline(never)]
pub fn at_depth<R>(steps: usize, work: &mut dyn FnMut() -> R) -> R {
    if steps == 0 {
        return work();
    }
    let step = black_box([0_u8; 200]);
    let done = at_depth(steps - 1, work);
    black_box(step);
    done
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

/// What a tenth of them reach, the rates of windows that nobody disturbed. Sorts its argument.
///
/// # Panics
/// If there is none.
pub fn undisturbed(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() - 1 - rates.len() / 10]
}
