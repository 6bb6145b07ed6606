//! Judges any PKCS#11 module: it links no provider, only loads one by path.
//!
//! A [`case::Case`] is data: what it does, in which chapter, what it wants, and a function from a prepared
//! [`context::Context`] to the code that came. [`runner`] runs each in a process of its own, so that a crash or an
//! endless loop is a verdict and not the end of the run; [`report`] prints the findings. [`client`] is the wrapper over
//! the function list that the cases use, for any other test too.

pub mod case;
pub mod cases;
pub use pkcs11_client as client;
pub mod context;
pub mod report;
pub mod runner;
