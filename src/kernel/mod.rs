//! kernel

pub mod fork;
