//! The lowest floor: what takes the machine or the system by the hand.

pub mod fork;
pub mod shared;
