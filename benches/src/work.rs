//! An operation to repeat, and the clocks that time it.

use pkcs11_conformance::client::{Result, Rv};
use std::hint::black_box;
use std::ops::{Deref, DerefMut};
use std::slice;
use std::time::Duration;

/// Bytes that begin with a page. Where `malloc` puts the buffers of one contestant and of another, lines that straddle and
/// loads that seem to wait for stores make some per cent, and where the system puts the pages of large ones, whether they
/// stay in the cache: nobody's merit. So all contestants of a thread read the same input and write the same output.
pub struct Buffer {
    start: *mut u8,
    size: usize,
}

const PAGE: usize = 4096;
/// For the longest row, and what padding and tags add.
const MOST: usize = (1 << 20) + PAGE;
const INPUT: u8 = 0x5A;

thread_local! {
    static SHARED: [*mut u8; 2] = [INPUT, 0].map(|byte| memory(byte, MOST));
}

/// So many bytes on whole pages, for ever.
fn memory(byte: u8, size: usize) -> *mut u8 {
    let memory = vec![byte; size + PAGE].leak();
    let start = memory.as_ptr().align_offset(PAGE);
    memory[start..].as_mut_ptr()
}

impl Buffer {
    /// What everybody reads, and nobody writes.
    pub fn input(size: usize) -> Buffer {
        assert!(size <= MOST);
        Buffer { start: SHARED.with(|[input, _]| *input), size }
    }

    /// What everybody writes. An operation has one of these at most.
    pub fn output(size: usize) -> Buffer {
        assert!(size <= MOST);
        Buffer { start: SHARED.with(|[_, output]| *output), size }
    }

    /// A copy of `bytes`, unless they are the input.
    pub fn of(bytes: &[u8]) -> Buffer {
        if bytes.iter().all(|byte| *byte == INPUT) {
            return Buffer::input(bytes.len());
        }
        let mut buffer = Buffer { start: memory(0, bytes.len()), size: bytes.len() };
        buffer.copy_from_slice(bytes);
        buffer
    }
}

// SAFETY, for both: so much memory is there for ever. The contestants of a thread take turns, none keeps a reference to its
// buffers from one operation to the next, and an operation has one input and one output.

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: see above.
        unsafe { slice::from_raw_parts(self.start, self.size) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: see above.
        unsafe { slice::from_raw_parts_mut(self.start, self.size) }
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
