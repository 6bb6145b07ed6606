//! Each target through its seeds and what comes of them by random changes; COFFER_LONG=1 takes many more. libFuzzer, which
//! looks where an input leads, goes on from there: `make fuzz`.

use coffer_fuzz::targets;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Numbers that look random and are the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) % bound as u64) as usize
    }

    /// A copy with a few changes: bytes that are other, more, fewer, or from another input.
    fn changed(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut input = input.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            match self.below(5) {
                0 => input.truncate(at),
                1 => input.insert(at, self.below(256) as u8),
                2 => {
                    let tail = other.len() - self.below(other.len() + 1);
                    input.truncate(at);
                    input.extend(&other[tail..]);
                }
                3 => input.extend((0..self.below(64)).map(|_| self.below(256) as u8)),
                _ => input[at..].iter_mut().take(1).for_each(|byte| *byte = self.below(256) as u8),
            }
        }
        input
    }
}

/// The targets share a token, whose login one of them ends.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn through(name: &str) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, target) = targets::ALL.into_iter().find(|(known, _)| *known == name).expect("a target");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| target(seed));
    target(&[]);

    let time = Duration::from_secs(if std::env::var_os("COFFER_LONG").is_some() { 60 } else { 3 });
    let (mut numbers, end) = (Numbers(1), Instant::now() + time);
    while Instant::now() < end {
        let [one, other] = [numbers.below(seeds.len()), numbers.below(seeds.len())];
        target(&numbers.changed(&seeds[one], &seeds[other]));
    }
}

#[test]
fn der() {
    through("der");
}

#[test]
fn records() {
    through("records");
}

#[test]
fn arguments() {
    through("arguments");
}

#[test]
fn calls() {
    through("calls");
}
