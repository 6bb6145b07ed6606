//! Objects that one load brought together: their handles follow each other, so that each has a place in a row, and what
//! searches look up is laid out once for all of them. Laying out a hundred thousand takes a tenth of what entering them
//! one by one into tables would.

use super::arrival::Arrival;
use super::objects::{Home, Resident};
use super::session_objects::STORED_STEP;
use crate::kernel::signals::Blocked;
use crate::object::{Handle, Object};
use std::iter;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

/// Entries that a bucket has on average, at most.
const BUCKET: usize = 4;
/// Fewer objects are settled before another thread has started.
const WORTH_A_THREAD: usize = 10_000;

/// The objects of one load, as far as they are still there, in the order of their handles.
pub(super) struct Run {
    first: Handle,
    places: Vec<Option<Resident>>,
    left: usize,
    /// Keys that begin with the same bits are in one bucket; this is how many bits follow those.
    shift: u32,
    /// Where each bucket begins, and where the last one ends.
    starts: Vec<u32>,
    entries: Vec<Entry>,
}

/// The low half of a key in the index, and the place of an object that had it when the run was made: who looks it up
/// compares anyway.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Entry {
    key: u32,
    place: u32,
}

impl Run {
    /// Takes the objects out of the `arrivals` that `order` names. Their handles begin with `first` and follow that order.
    /// Another thread does half of the work if there may be one.
    pub(super) fn new(first: Handle, order: &[Rank], arrivals: &mut [Arrival], threads: usize) -> Run {
        let objects = arrivals.iter_mut().map(|arrival| arrival.object.take().and_then(Result::ok));
        let mut objects: Vec<Option<Arc<Object>>> = objects.collect();
        let arrivals = &*arrivals;
        let mut settle = || -> Vec<Option<Resident>> {
            let residents = iter::zip(0.., order).map(|(place, rank)| {
                let (object, arrival) = (objects[rank.at()].take()?, &arrivals[rank.at()]);
                object.set_handle(first + place as Handle * STORED_STEP);
                Some(Resident { object, home: Home { id: arrival.id, revision: arrival.revision } })
            });
            residents.collect()
        };
        let (places, (shift, starts, entries)) = match threads > 1 && order.len() >= WORTH_A_THREAD {
            true => both(settle, || lay_out(order, arrivals)),
            false => (settle(), lay_out(order, arrivals)),
        };
        let left = places.iter().flatten().count();
        Run { first, left, places, shift, starts, entries }
    }

    /// How many are left.
    pub(super) fn len(&self) -> usize {
        self.left
    }

    fn place(&self, handle: Handle) -> Option<usize> {
        let far = handle.checked_sub(self.first)?;
        far.is_multiple_of(STORED_STEP).then_some((far / STORED_STEP) as usize)
    }

    pub(super) fn get(&self, handle: Handle) -> Option<&Resident> {
        self.places.get(self.place(handle)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, handle: Handle) -> Option<&mut Resident> {
        let place = self.place(handle)?;
        self.places.get_mut(place)?.as_mut()
    }

    pub(super) fn remove(&mut self, handle: Handle) -> Option<Resident> {
        let place = self.place(handle)?;
        let removed = self.places.get_mut(place)?.take();
        self.left -= usize::from(removed.is_some());
        removed
    }

    /// Takes out all that `choose` says.
    pub(super) fn remove_where(&mut self, choose: impl Fn(&Resident) -> bool) -> Vec<Resident> {
        let chosen = self.places.iter_mut().filter_map(|place| place.take_if(|one| choose(one)));
        let chosen: Vec<_> = chosen.collect();
        self.left -= chosen.len();
        chosen
    }

    /// In ascending order of their handles.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Resident> {
        self.places.iter().flatten()
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = Resident> {
        self.places.into_iter().flatten()
    }

    fn bucket(&self, key: NonZero<u64>) -> &[Entry] {
        let bucket = (key.get() >> self.shift) as usize;
        &self.entries[self.starts[bucket] as usize..self.starts[bucket + 1] as usize]
    }

    /// No fewer than the handles of a key.
    pub(super) fn most_handles(&self, key: NonZero<u64>) -> usize {
        self.bucket(key).len()
    }

    /// The handles of a key, in ascending order. They may be those of objects that are gone or have changed.
    pub(super) fn handles(&self, key: NonZero<u64>) -> impl Iterator<Item = Handle> {
        let of_key = self.bucket(key).iter().filter(move |entry| entry.key == key.get() as u32);
        of_key.map(|entry| self.first + Handle::from(entry.place) * STORED_STEP)
    }

    /// Whether a key leads to an object of the run.
    pub(super) fn leads(&self, key: NonZero<u64>, handle: Handle) -> bool {
        let Some(place) = self.place(handle).filter(|place| *place < self.places.len()) else { return false };
        // In one bucket the places ascend.
        let (bucket, place) = (self.bucket(key), place as u32);
        let from = bucket.partition_point(|entry| entry.place < place);
        let of_place = bucket[from..].iter().take_while(|entry| entry.place == place);
        of_place.into_iter().any(|entry| entry.key == key.get() as u32)
    }
}

/// How many bits follow those that tell the bucket, where the buckets begin, and what is in them.
fn lay_out(order: &[Rank], arrivals: &[Arrival]) -> (u32, Vec<u32>, Vec<Entry>) {
    let keys = |rank: &Rank| arrivals[rank.at()].keys.into_iter().flatten().map(NonZero::get);
    let buckets = (order.len() * 3).div_ceil(BUCKET).next_power_of_two().max(2);
    let shift = u64::BITS - buckets.ilog2();
    let bucket = |key: u64| (key >> shift) as usize;
    // How many each has, at first one place further on.
    let mut starts = vec![0; buckets + 2];
    order.iter().flat_map(keys).for_each(|key| starts[bucket(key) + 2] += 1);
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    let mut entries = vec![Entry::default(); sum as usize];
    for (place, rank) in iter::zip(0.., order) {
        for key in keys(rank) {
            // Filling a bucket moves its start to its end, which is where the next one begins.
            let at = &mut starts[bucket(key) + 1];
            entries[*at as usize] = Entry { key: key as u32, place };
            *at += 1;
        }
    }
    starts.pop();
    (shift, starts, entries)
}

/// Both at once, or one after the other if the system lets us have no thread.
fn both<A, B: Send>(one: impl FnOnce() -> A, other: impl Fn() -> B + Sync) -> (A, B) {
    thread::scope(|scope| {
        let second = {
            let _blocked = Blocked::new();
            thread::Builder::new().name("coffer".into()).spawn_scoped(scope, &other)
        };
        let first = one();
        let second = match second {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => other(),
        };
        (first, second)
    })
}

/// An arrival by its age.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    revision: u64,
    place: u32,
}

impl Rank {
    /// The usable ones, the oldest first.
    pub(super) fn usable(arrivals: &[Arrival]) -> Vec<Rank> {
        let usable = iter::zip(0.., arrivals).filter(|(_, arrival)| matches!(arrival.object, Some(Ok(_))));
        let mut ranks: Vec<Rank> =
            usable.map(|(place, arrival)| Rank { revision: arrival.revision.0, place }).collect();
        ranks.sort_unstable();
        ranks
    }

    /// Its place among the arrivals.
    pub(super) fn at(self) -> usize {
        self.place as usize
    }
}

#[cfg(test)]
mod tests {
    use super::super::objects::{INDEXED, Objects};
    use super::*;
    use crate::object::{Attributes, Packed, Secrets};
    use crate::storage::Revision;
    use cryptoki_sys::*;
    use std::sync::atomic::AtomicU64;

    static COUNTER: AtomicU64 = AtomicU64::new(1);

    fn attributes(number: u32, label: &str) -> Attributes {
        let id = super::super::objects::unique_id(&id(number));
        Attributes::new().with(CKA_UNIQUE_ID, &id[..]).with(CKA_LABEL, label.as_bytes())
    }

    fn id(number: u32) -> [u8; 16] {
        std::array::from_fn(|at| number.to_be_bytes()[at % 4])
    }

    fn arrivals(objects: &Objects, numbers: impl Iterator<Item = u32>) -> Vec<Arrival> {
        let indexer = objects.indexer();
        let arrival = |number: u32| {
            let packed = Packed::new(attributes(number, &format!("label {}", number / 2)).encode().expose());
            let packed = packed.unwrap();
            let keys = indexer.keys(packed.bytes_of(INDEXED));
            let object = Arc::new(Object::stored(packed, Secrets::opened(Attributes::new())));
            // The later ones are the older ones.
            let revision = Revision(u64::from(1_000_000 - number));
            Arrival { id: id(number), revision, object: Some(Ok(object)), keys }
        };
        numbers.map(arrival).collect()
    }

    fn find(objects: &Objects, label: &str) -> Vec<Handle> {
        objects.find(&Attributes::new().with(CKA_LABEL, label.as_bytes()), |_| true)
    }

    fn handle(objects: &Objects, number: u32) -> Option<Handle> {
        objects.of(&id(number)).map(|(object, _)| object.handle())
    }

    /// Some one by one, as few as are no run, then two runs: all are found by either key, whatever becomes of them.
    #[test]
    fn objects_of_a_run_are_found_as_others_are() {
        let mut objects = Objects::default();
        let take_in = |objects: &mut Objects, numbers: std::ops::Range<u32>| {
            let mut arrivals = arrivals(objects, numbers);
            objects.take_in(&mut arrivals, &COUNTER, 1);
        };
        for numbers in [0..10, 10..1010, 1010..1510] {
            take_in(&mut objects, numbers.clone());
            for number in (0..numbers.end).step_by(2) {
                let pair = [handle(&objects, number + 1).unwrap(), handle(&objects, number).unwrap()];
                assert_eq!(find(&objects, &format!("label {}", number / 2)), pair, "the older one first");
            }
            assert!(handle(&objects, numbers.end).is_none());
        }
        let all = objects.find(&Attributes::new(), |_| true);
        assert!(all.len() == 1510 && all.is_sorted_by(|a, b| a < b));

        // Of each kind one is renamed, there and back, and then removed.
        for number in [4, 500, 1200] {
            let (before, other) = (handle(&objects, number).unwrap(), handle(&objects, number + 1).unwrap());
            let old_label = format!("label {}", number / 2);
            for label in ["renamed", &old_label, "renamed", &old_label] {
                let (old, home) = objects.of(&id(number)).map(|(old, home)| (old.clone(), home)).unwrap();
                objects.replace(Arc::new(old.with_attributes(attributes(number, label))), home);
                assert!(!old.is_current() && objects.home_of(&old).is_none());
                let there: &[Handle] = if label == old_label { &[other, before] } else { &[other] };
                assert_eq!(find(&objects, &old_label), there);
                assert_eq!(find(&objects, "renamed").len(), 2 - there.len());
                assert_eq!(handle(&objects, number), Some(before));
            }
            let (object, _) = objects.get(before).map(|(object, home)| (object.clone(), home)).unwrap();
            objects.remove(before);
            objects.remove(before);
            assert!(
                object.is_revoked() && handle(&objects, number).is_none() && objects.get(before).is_none()
            );
            assert_eq!(find(&objects, &old_label), [other]);
        }
        assert_eq!(objects.find(&Attributes::new(), |_| true).len(), 1507);

        // The half of them, then the rest.
        let odd = |object: &Object| object.handle() / STORED_STEP % 2 == 1;
        let renamed = objects.of(&id(1300)).map(|(old, home)| (old.clone(), home)).unwrap();
        objects.replace(Arc::new(renamed.0.with_attributes(attributes(1300, "renamed"))), renamed.1);
        objects.remove_where(|object, _| odd(object));
        let left = objects.find(&Attributes::new(), |_| true);
        assert!(
            (700..800).contains(&left.len()) && left.iter().all(|one| (one / STORED_STEP).is_multiple_of(2))
        );
        assert_eq!(find(&objects, "renamed").len(), usize::from(!odd(&renamed.0)));
        assert!(!objects.is_empty());
        objects.remove_where(|_, _| true);
        assert!(objects.is_empty() && find(&objects, "label 20").is_empty());
    }

    /// One label for all: the run's bucket has them all, and the search by what tells more is asked first.
    #[test]
    fn a_value_that_all_have_leads_to_all() {
        let objects = Objects::default();
        let mut arrivals = arrivals(&objects, (0..200).map(|number| number * 2));
        let keys = arrivals[0].keys;
        arrivals.iter_mut().for_each(|arrival| arrival.keys[0] = keys[0]);
        arrivals[7].object = None;
        let mut run = Run::new(STORED_STEP, &Rank::usable(&arrivals), &mut arrivals, 1);
        let label = keys[0].unwrap();
        assert_eq!(run.handles(label).count(), 199);
        assert!(run.handles(label).all(|handle| run.leads(label, handle) && run.get(handle).is_some()));
        let first = run.handles(label).next().unwrap();
        assert!(!run.leads(keys[1].unwrap(), first) && !run.leads(label, first + 1) && !run.leads(label, 0));
        assert!(run.remove(first).is_some() && run.remove(first).is_none() && run.len() == 198);
    }

    #[test]
    fn two_threads_lay_out_what_one_does() {
        let objects = Objects::default();
        let runs = [1, 2].map(|threads| {
            let mut arrivals = arrivals(&objects, 0..2 * WORTH_A_THREAD as u32);
            arrivals[3].object = None;
            Run::new(STORED_STEP, &Rank::usable(&arrivals), &mut arrivals, threads)
        });
        let [one, two] = runs;
        assert_eq!((one.len(), two.len()), (2 * WORTH_A_THREAD - 1, 2 * WORTH_A_THREAD - 1));
        assert!(one.starts == two.starts && one.entries == two.entries);
        let told = |run: &Run| -> Vec<_> { run.iter().map(|one| (one.object.handle(), one.home)).collect() };
        assert!(told(&one) == told(&two) && told(&one).is_sorted_by_key(|(handle, _)| *handle));
    }
}
