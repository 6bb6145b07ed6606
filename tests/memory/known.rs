//! A secret that the test knows without having it in memory, and the search for it.

use pkcs11_conformance::client::Session;
use pkcs11_conformance::client::cryptoki_sys::*;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Kept masked, so that finding it means that somebody else has it.
pub struct Known {
    what: String,
    masked: Vec<u8>,
}

fn mask(at: usize) -> u8 {
    (at as u8).wrapping_mul(167).rotate_left(3) ^ 0x6D
}

impl Known {
    /// Wipes `secret`. Leading zeros are left out: a number in memory has none.
    pub fn hide(what: impl Into<String>, secret: &mut [u8]) -> Known {
        let from = secret.iter().position(|byte| *byte != 0).expect("a secret");
        let masked: Vec<u8> = secret[from..].iter().enumerate().map(|(at, byte)| byte ^ mask(at)).collect();
        wipe(secret);
        assert!(masked.len() >= 12, "shorter secrets are found by chance");
        Known { what: what.into(), masked }
    }

    /// An attribute's value, which leaves no copy of this test's own.
    pub fn attribute(
        what: impl Into<String>,
        session: &Session,
        object: CK_OBJECT_HANDLE,
        type_: CK_ULONG,
    ) -> Known {
        let mut room = [0u8; 8192];
        let mut row =
            [CK_ATTRIBUTE { type_, pValue: room.as_mut_ptr().cast(), ulValueLen: room.len() as CK_ULONG }];
        let (rv, what) = (session.get_raw(object, &mut row), what.into());
        assert_eq!(rv, CKR_OK, "{what}");
        Known::hide(what, &mut room[..row[0].ulValueLen as usize])
    }

    fn byte(&self, at: usize) -> u8 {
        self.masked[at] ^ mask(at)
    }

    /// Lends the bytes and wipes them afterwards.
    pub fn lend<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T {
        let mut bytes: Vec<u8> = (0..self.masked.len()).map(|at| self.byte(at)).collect();
        let done = to(&bytes);
        wipe(&mut bytes);
        done
    }

    /// Where `haystack` has it, in either order of bytes: AWS-LC's numbers begin with their last.
    fn find(&self, haystack: &[u8]) -> Vec<usize> {
        let last = self.masked.len() - 1;
        let mut found = search(haystack, self.masked.len(), |at| self.byte(at));
        found.extend(search(haystack, self.masked.len(), |at| self.byte(last - at)));
        found
    }
}

fn search(haystack: &[u8], len: usize, byte: impl Fn(usize) -> u8) -> Vec<usize> {
    // Its beginning alone is no copy of the secret.
    let needle: [u8; 8] = std::array::from_fn(&byte);
    let (mut found, mut from) = (Vec::new(), 0);
    loop {
        let rest = &haystack[from..];
        // SAFETY: both are valid for their lengths.
        let hit = unsafe { libc::memmem(rest.as_ptr().cast(), rest.len(), needle.as_ptr().cast(), 8) };
        if hit.is_null() {
            return found;
        }
        let at = hit.addr() - haystack.as_ptr().addr();
        let whole = haystack.get(at..at + len);
        found.extend(whole.is_some_and(|bytes| (0..len).all(|at| bytes[at] == byte(at))).then_some(at));
        from = at + 1;
    }
}

pub fn wipe(bytes: &mut [u8]) {
    for byte in bytes {
        // SAFETY: a byte of the slice; volatile, lest the compiler finds it useless.
        unsafe { std::ptr::from_mut(byte).write_volatile(0) };
    }
}

/// The writable memory of this process: ranges with the words of the system's map.
fn writable() -> Vec<(Range<u64>, String)> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    let number = |text: &str| u64::from_str_radix(text, 16).expect("hexadecimal");
    let range = |line: &str| {
        let (range, rights) = line.split_once(' ').expect("a range and more");
        let (start, end) = range.split_once('-').expect("two ends");
        rights.starts_with("rw").then(|| (number(start)..number(end), line.to_owned()))
    };
    maps.lines().filter_map(range).collect()
}

/// Where in the writable memory of this process the secrets stand: which, the address, the mapping.
pub fn in_memory(secrets: &[&Known]) -> Vec<String> {
    let memory = File::open("/proc/self/mem").expect("Linux");
    // One buffer for all, which is left out: what is read of other places must not be found in it again.
    let mut buffer = vec![0u8; 1 << 20];
    let own = buffer.as_ptr().addr() as u64;
    let own = own..own + buffer.len() as u64;
    let overlap = secrets.iter().map(|secret| secret.masked.len()).max().unwrap_or(0) as u64;
    let mut found = Vec::new();
    for (range, line) in writable() {
        for part in [range.start..range.end.min(own.start), range.start.max(own.end)..range.end] {
            let mut at = part.start;
            while at < part.end {
                let len = (buffer.len() as u64).min(part.end - at);
                let read = memory.read_at(&mut buffer[..len as usize], at).unwrap_or(0);
                for secret in secrets {
                    let hits = secret.find(&buffer[..read]);
                    found.extend(
                        hits.iter().map(|hit| format!("{} {:#x} {line}", secret.what, at + *hit as u64)),
                    );
                }
                // Overlapping, so that nothing hides across two pieces.
                at += if len < part.end - at { len - overlap } else { len };
            }
        }
    }
    wipe(&mut buffer);
    found
}

/// Which of the secrets stand in the files of a directory, and in which.
pub fn in_files(secrets: &[&Known], directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(in_files(secrets, &path));
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        let there = secrets.iter().filter(|secret| !secret.find(&bytes).is_empty());
        found.extend(there.map(|secret| format!("{} in {}", secret.what, path.display())));
    }
    found
}
