//! What the records are, all together (record `s`), and the seal around each.
//!
//! Every record ends with a MAC under the token key over its name, revision and content, and a checksum that
//! shows accidents to those who have no key. The set holds a keyed hash over the names and revisions of all
//! records: the exclusive or of one tag each, so that a write changes it at the cost of two tags. It is
//! sealed, so nobody can look for rows whose tags cancel out. A row deleted, added, or put back from an
//! older copy shows at the next login, and by another process's next look if it happens to a row it loads.

use super::codec::{Reader, Writer};
use super::keyring::{TokenId, TokenKeys, UserId, open_small, seal_small};
use super::record::{ObjectId, object_of, object_record};
use super::{Batch, Changes, Key, Late, Record, Revision, Row, Upto, View};
use crate::crypto::seal::{KEY, Messages, same, sha256};
use crate::error::{Error, Result, Rv};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

/// The record of it.
pub(super) const RECORD: &[u8] = b"s";
const CHECKSUM: usize = 16;
/// Bytes behind the body of an authenticated record.
pub(super) const AUTHENTICATION: usize = KEY + CHECKSUM;

/// Bytes of an object's [`placed`] before the rest, or a few more.
const PLACE: usize = 48;

/// `domain ‖ bytes(key) ‖ u64(revision)`, the place of a record, before `rest`: what every tag is over.
fn placed<T>(
    domain: &[u8],
    key: &[u8],
    revision: Revision,
    rest: &[u8],
    tag: impl FnOnce(&[&[u8]]) -> T,
) -> T {
    tag(&[domain, &(key.len() as u32).to_be_bytes(), key, &revision.0.to_be_bytes(), rest])
}

fn checksum(key: &[u8], revision: Revision, content: &[u8]) -> [u8; CHECKSUM] {
    let sum = placed(b"coffer-1 checksum\0", key, revision, content, sha256);
    std::array::from_fn(|at| sum[at])
}

/// What a record's MAC is over.
fn recorded<T>(key: &[u8], revision: Revision, body: &[u8], tag: impl FnOnce(&[&[u8]]) -> T) -> T {
    placed(b"coffer-1 record\0", key, revision, body, tag)
}

/// What a record's tag in the set is over.
fn member<T>(key: &[u8], revision: Revision, tag: impl FnOnce(&[&[u8]]) -> T) -> T {
    placed(b"coffer-1 set tag\0", key, revision, b"", tag)
}

fn mac(token: &TokenKeys, key: &[u8], revision: Revision, body: &[u8]) -> [u8; KEY] {
    recorded(key, revision, body, |parts| token.record_mac.tag(parts))
}

fn set_tag(token: &TokenKeys, key: &[u8], revision: Revision) -> [u8; KEY] {
    member(key, revision, |parts| token.set_tag.tag(parts))
}

/// A value without a MAC: for what is written without a key, or sealed anyway.
pub(super) fn plain_value(key: &[u8], revision: Revision, mut body: Vec<u8>) -> Vec<u8> {
    let sum = checksum(key, revision, &body);
    body.extend(sum);
    body
}

fn authentic_value(token: &TokenKeys, key: &[u8], revision: Revision, mut body: Vec<u8>) -> Vec<u8> {
    let tag = mac(token, key, revision, &body);
    body.extend(tag);
    plain_value(key, revision, body)
}

/// The body of a value without a MAC.
pub(super) fn plain_body<'a>(row: impl Into<Row<'a>>) -> Result<&'a [u8]> {
    let row = row.into();
    let value = row.value.unwrap_or_default();
    let (body, sum) = value.split_last_chunk::<CHECKSUM>().ok_or_else(|| damaged(row))?;
    if *sum == checksum(row.key, row.revision, body) { Ok(body) } else { Err(damaged(row)) }
}

/// The body of a value with a MAC, which is checked if there are keys. The checksum says nothing that a right MAC does
/// not; it tells damage from forgery where that is wrong, or cannot be checked.
pub(super) fn body<'a>(row: impl Into<Row<'a>>, token: Option<&TokenKeys>) -> Result<&'a [u8]> {
    let row = row.into();
    if let Some(token) = token {
        let (content, _) =
            row.value.and_then(<[u8]>::split_last_chunk::<CHECKSUM>).ok_or_else(|| damaged(row))?;
        let (body, tag) = content.split_last_chunk::<KEY>().ok_or_else(|| damaged(row))?;
        if same(tag, &mac(token, row.key, row.revision, body)) {
            return Ok(body);
        }
    }
    let (body, _) = plain_body(row)?.split_last_chunk::<KEY>().ok_or_else(|| damaged(row))?;
    match token {
        Some(_) => Err(Rv::DeviceError.because(format!("{} is forged", name(row.key)))),
        None => Ok(body),
    }
}

/// The body of each of some values that has the right MAC.
pub(super) fn authentic_bodies<'a>(rows: &[Row<'a>], token: &TokenKeys) -> Vec<Option<&'a [u8]>> {
    let split = |row: &Row<'a>| {
        let (content, _) = row.value?.split_last_chunk::<CHECKSUM>()?;
        content.split_last_chunk::<KEY>()
    };
    let total = rows.iter().map(|row| PLACE + row.value.map_or(0, <[u8]>::len)).sum();
    let mut messages = Messages::with_capacity(rows.len(), total);
    for row in rows {
        let body = split(row).map_or(&[][..], |(body, _)| body);
        recorded(row.key, row.revision, body, |parts| messages.push(parts));
    }
    let mut bodies = vec![None; rows.len()];
    token.record_mac.tags(&messages, |at, mac| {
        bodies[at] = split(&rows[at]).filter(|(_, tag)| same(*tag, mac)).map(|(body, _)| body);
    });
    bodies
}

fn damaged(row: Row<'_>) -> Error {
    Rv::DeviceError.because(format!("{} is damaged", name(row.key)))
}

/// A record's name for people.
pub(super) fn name(key: &[u8]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let kind = match key {
        b"m" => return "the token's own record".into(),
        b"a" => return "the record of the audit log".into(),
        RECORD => return "the record of the set".into(),
        [b'u', _, name @ ..] => return format!("the record of user '{}'", String::from_utf8_lossy(name)),
        [b'c', _, name @ ..] => {
            return format!("the PIN counter of user '{}'", String::from_utf8_lossy(name));
        }
        [b'q', ..] => return "a record of approvals".into(),
        [b'o', id @ ..] => return format!("object {}", hex(id)),
        other => hex(other),
    };
    format!("record {kind}")
}

fn counted(key: &[u8]) -> bool {
    key != RECORD && key.first() != Some(&b'c')
}

/// How many records there are, and the hash over them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Set {
    count: u64,
    hash: [u8; KEY],
}

impl Set {
    fn join(&mut self, other: &Set) {
        self.count = self.count.wrapping_add(other.count);
        self.hash.iter_mut().zip(other.hash).for_each(|(hash, tag)| *hash ^= tag);
    }

    fn add(&mut self, token: &TokenKeys, key: &[u8], revision: Revision) {
        self.join(&Set { count: 1, hash: set_tag(token, key, revision) });
    }

    fn remove(&mut self, token: &TokenKeys, key: &[u8], revision: Revision) {
        self.join(&Set { count: 1_u64.wrapping_neg(), hash: set_tag(token, key, revision) });
    }

    fn aad(token: &TokenId, revision: Revision) -> Vec<u8> {
        Writer::default().raw(b"coffer-1 set\0").raw(token).u64(revision.0).0
    }

    fn value(self, token: &TokenKeys, revision: Revision) -> Late {
        let (key, token) = (token.set_seal.clone(), token.id);
        Box::new(move || {
            let plain = Writer::default().u64(self.count).raw(&self.hash).0;
            let sealed = seal_small(&key, &Set::aad(&token, revision), &plain)?;
            Ok(plain_value(RECORD, revision, sealed))
        })
    }

    fn open<'a>(token: &TokenKeys, row: impl Into<Row<'a>>) -> Result<Set> {
        let row = row.into();
        let opened = open_small(&token.set_seal, &Set::aad(&token.id, row.revision), plain_body(row)?);
        let opened = opened.ok_or_else(|| Rv::DeviceError.because("the record of the set is forged"))?;
        let mut from = Reader(opened.expose());
        Ok(Set { count: from.u64()?, hash: from.array()? })
    }
}

/// What whoever has written an object knows of the token as it left it: that it is this one and takes writes, that this
/// user is there, and the set.
struct Known {
    token: TokenId,
    user: UserId,
    set: Set,
}

/// Writes records that are authenticated and counted; makes the batch of one transaction.
pub(super) struct Author<'a> {
    view: &'a dyn View,
    token: &'a TokenKeys,
    /// What the transaction will be.
    pub(super) revision: Revision,
    set: Set,
    batch: Batch,
}

impl<'a> Author<'a> {
    /// For a token that is there.
    pub(super) fn new(view: &'a dyn View, token: &'a TokenKeys) -> Result<Author<'a>> {
        let record =
            view.record(RECORD)?.ok_or_else(|| Rv::DeviceError.because("the record of the set is gone"))?;
        let set = Set::open(token, &record)?;
        Ok(Author { view, token, revision: view.revision().next(), set, batch: Batch::default() })
    }

    /// For a token of which the last writer has left what it knew with [`Author::finish_for`] the same user.
    pub(super) fn going_on(view: &'a dyn View, token: &'a TokenKeys, user: &UserId) -> Option<Author<'a>> {
        let known = view.known()?.downcast_ref::<Known>()?;
        let same = known.token == token.id && known.user == *user;
        let (revision, set) = (view.revision().next(), known.set);
        same.then(|| Author { view, token, revision, set, batch: Batch::default() })
    }

    /// For a token that is made: all that was there before goes.
    pub(super) fn afresh(view: &'a dyn View, token: &'a TokenKeys) -> Author<'a> {
        let batch = Batch { clear: true, ..Batch::default() };
        Author { view, token, revision: view.revision().next(), set: Set::default(), batch }
    }

    /// For a set to be counted anew, from nothing.
    pub(super) fn recount(view: &'a dyn View, token: &'a TokenKeys) -> Author<'a> {
        Author { batch: Batch::default(), ..Author::afresh(view, token) }
    }

    /// Counts a record that stays as it is.
    pub(super) fn keep(&mut self, record: &Record) {
        if counted(&record.key) {
            self.set.add(self.token, &record.key, record.revision);
        }
    }

    fn there(&self, key: &[u8]) -> Result<Option<Revision>> {
        match self.batch.clear {
            true => Ok(None),
            false => Ok(self.view.record(key)?.map(|old| old.revision)),
        }
    }

    fn take_out(&mut self, key: &[u8], old: Option<Revision>) -> Result<()> {
        if self.batch.writes.iter().any(|(written, _)| written == key) {
            fail!(GeneralError, "{} written twice in one transaction", name(key));
        }
        old.iter().for_each(|old| self.set.remove(self.token, key, *old));
        Ok(())
    }

    pub(super) fn put(&mut self, key: Key, body: Vec<u8>) -> Result<()> {
        let old = self.there(&key)?;
        self.put_over(old, key, body)
    }

    /// In the place of a record of this revision, or of none.
    pub(super) fn put_over(&mut self, old: Option<Revision>, key: Key, body: Vec<u8>) -> Result<()> {
        self.take_out(&key, old)?;
        self.set.add(self.token, &key, self.revision);
        let value = authentic_value(self.token, &key, self.revision, body);
        self.batch.put(key, value);
        Ok(())
    }

    pub(super) fn delete(&mut self, key: Key) -> Result<()> {
        let old = self.there(&key)?;
        self.take_out(&key, old)?;
        self.batch.delete(key);
        Ok(())
    }

    /// A record that is neither authenticated nor counted.
    pub(super) fn put_plain(&mut self, key: Key, body: Vec<u8>) {
        let value = plain_value(&key, self.revision, body);
        self.batch.put(key, value);
    }

    /// Deletes such a record.
    pub(super) fn delete_plain(&mut self, key: Key) {
        self.batch.delete(key);
    }

    pub(super) fn finish(mut self) -> Batch {
        self.batch.last = Some((RECORD.into(), self.set.value(self.token, self.revision)));
        self.batch
    }

    /// The same of a transaction that writes neither the token's own record nor a user's, by a user who is there, of a
    /// token that takes writes.
    pub(super) fn finish_for(self, user: UserId) -> Batch {
        let known = Known { token: self.token.id, user, set: self.set };
        Batch { known: Some(Arc::new(known)), ..self.finish() }
    }
}

/// A name without an allocation if it is an object's.
type Name = SmallVec<[u8; 17]>;

/// Records that were written or deleted, and when. Objects that are there, which nearly all are, lie close together.
#[derive(Default)]
struct Changed {
    objects: Vec<(ObjectId, Revision)>,
    others: Vec<(Name, Revision, bool)>,
}

impl Changed {
    fn push(&mut self, key: &[u8], revision: Revision, there: bool) {
        match object_of(key) {
            Some(id) if there => self.objects.push((id, revision)),
            _ => self.others.push((Name::from_slice(key), revision, there)),
        }
    }

    fn extend(&mut self, other: Changed) {
        self.objects.extend(other.objects);
        self.others.extend(other.others);
    }

    /// Names, revisions, and whether they are there.
    fn into_iter(self) -> impl Iterator<Item = (Name, Revision, bool)> {
        let name = |id: &ObjectId| object_record(id).into();
        let objects = self.objects.into_iter().map(move |(id, revision)| (name(&id), revision, true));
        objects.chain(self.others)
    }
}

/// What some records add to the set, whoever goes through them in whatever order.
#[derive(Default)]
pub(super) struct Tally {
    there: Set,
    changed: Changed,
    want: Option<Result<Set>>,
}

impl Tally {
    pub(super) fn add<'a>(&mut self, token: &TokenKeys, rows: impl ExactSizeIterator<Item = Row<'a>>) {
        let mut members = Messages::with_capacity(rows.len(), rows.len() * PLACE);
        for row in rows {
            if row.key == RECORD {
                self.want = Some(Set::open(token, row));
            } else if counted(row.key) {
                let there = row.value.is_some();
                if there {
                    member(row.key, row.revision, |parts| members.push(parts));
                }
                self.changed.push(row.key, row.revision, there);
            }
        }
        token.set_tag.tags(&members, |_, hash| self.there.join(&Set { count: 1, hash: *hash }));
    }

    pub(super) fn join(&mut self, other: Tally) {
        self.there.join(&other.there);
        self.changed.extend(other.changed);
        self.want = other.want.or(self.want.take());
    }
}

/// What one login has seen and found right.
#[derive(Default)]
pub(super) struct Verified {
    pub(super) upto: Revision,
    /// What a complete load brought; goes to `seen` with the first look at changes.
    loaded: Changed,
    seen: HashMap<Name, Revision>,
    have: Set,
    want: Option<Set>,
}

impl Verified {
    /// Takes in what was loaded after `upto`, or everything.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR if the records are not those that were written.
    pub(super) fn take(&mut self, token: &TokenKeys, tally: Tally, upto: &Upto) -> Result<()> {
        let mut changed = tally.changed;
        if upto.complete {
            *self = Verified::default();
            self.loaded = std::mem::take(&mut changed);
            self.loaded.objects.shrink_to_fit();
        } else {
            let loaded = std::mem::take(&mut self.loaded);
            self.seen.extend(loaded.into_iter().map(|(name, revision, _)| (name, revision)));
        }
        self.have.join(&tally.there);
        for (name, revision, there) in changed.into_iter() {
            let old = match there {
                true => self.seen.insert(name.clone(), revision),
                false => self.seen.remove(&name),
            };
            if let Some(old) = old {
                self.have.remove(token, &name, old);
            }
        }
        if let Some(want) = tally.want {
            self.want = Some(want?);
        }
        self.upto = upto.upto;
        let Some(want) = self.want else { fail!(DeviceError, "the record of the set is gone") };
        if want.count != self.have.count {
            fail!(
                DeviceError,
                "records were added or deleted behind the token's back: {} are there, {} were written",
                self.have.count,
                want.count
            );
        }
        if !same(&want.hash, &self.have.hash) {
            fail!(
                DeviceError,
                "a record was put back from an older copy or exchanged behind the token's back"
            );
        }
        Ok(())
    }

    /// The same of what was kept.
    pub(super) fn take_all(&mut self, token: &TokenKeys, changes: &Changes) -> Result<()> {
        let mut tally = Tally::default();
        tally.add(token, changes.records.iter().map(Row::from));
        self.take(token, tally, &changes.upto())
    }
}
