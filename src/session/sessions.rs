//! The open sessions by handle.
//!
//! Every call looks its session up, so the table is cut into shards, each on cache lines of its own: threads
//! with sessions of their own do not meet. Handles count up, so up to `SHARDS` sessions have a shard each.

use super::SessionHandle;
use super::session::Session;
use crate::error::Result;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const SHARDS: usize = 64;

/// A handle is its own hash: they are made here, one after the other.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only handles are hashed")
    }
    fn write_u64(&mut self, handle: u64) {
        // The map takes its bucket from the low bits and its tag from the high ones.
        self.0 = handle.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

type Shard = HashMap<u64, Arc<Session>, BuildHasherDefault<Identity>>;

/// Two cache lines, because neighbours are fetched in pairs.
#[repr(align(128))]
#[derive(Default)]
struct Aligned(RwLock<Shard>);

pub struct Sessions {
    shards: Box<[Aligned]>,
    next: AtomicU64,
}

impl Sessions {
    pub fn new() -> Sessions {
        let shards = (0..SHARDS).map(|_| Aligned::default()).collect();
        Sessions { shards, next: AtomicU64::new(1) }
    }

    pub fn count_from(&self, first: u64) {
        self.next.store(first, Ordering::Relaxed);
    }

    fn shard(&self, handle: SessionHandle) -> &RwLock<Shard> {
        &self.shards[handle as usize % SHARDS].0
    }

    /// A handle nobody has had.
    pub fn next_handle(&self) -> SessionHandle {
        self.next.fetch_add(1, Ordering::Relaxed) as SessionHandle
    }

    pub fn insert(&self, session: Arc<Session>) {
        self.shard(session.handle()).write().insert(session.handle() as u64, session);
    }

    pub fn find(&self, handle: SessionHandle) -> Result<Arc<Session>> {
        match self.shard(handle).read().get(&(handle as u64)) {
            Some(session) => Ok(session.clone()),
            None => fail!(SessionHandleInvalid, "no session {handle}"),
        }
    }

    pub fn remove(&self, handle: SessionHandle) -> Result<Arc<Session>> {
        match self.shard(handle).write().remove(&(handle as u64)) {
            Some(session) => Ok(session),
            None => fail!(SessionHandleInvalid, "no session {handle}"),
        }
    }

    /// Calls `act` for every session.
    pub fn for_each(&self, act: impl Fn(&Session)) {
        for shard in &self.shards {
            shard.0.read().values().for_each(|session| act(session));
        }
    }

    /// Takes out all sessions for which `choose` is true.
    pub fn remove_all(&self, choose: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let mut removed = Vec::new();
        for shard in &self.shards {
            removed
                .extend(shard.0.write().extract_if(|_, session| choose(session)).map(|(_, session)| session));
        }
        removed
    }
}
