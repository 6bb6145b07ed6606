//! What one random input is put through. An answer of any kind is right; a panic, a wrong answer, a hang or what a sanitizer
//! finds is not.

pub mod arguments;
pub mod calls;
pub mod der;
pub mod records;

/// One of them.
pub type Target = fn(&[u8]);

/// All, by the names of their executables and of the folders of their seeds.
pub const ALL: [(&str, Target); 4] =
    [("der", der::run), ("records", records::run), ("arguments", arguments::run), ("calls", calls::run)];
