//! The cases, a file a chapter. Each file gives its cases as a list; what they share stands in [`crate::context`].

mod attack;
mod attribute;
mod buffer;
mod entry;
mod general;
mod hostile;
mod object;
mod operation;
mod session;
mod slot;

use crate::case::Case;

/// Every case, in the order of the standard's chapters, then the attacks, then the hostile arguments.
pub fn all() -> Vec<Case> {
    [
        general::cases(),
        slot::cases(),
        session::cases(),
        object::cases(),
        attribute::cases(),
        buffer::cases(),
        operation::cases(),
        attack::cases(),
        hostile::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_unique() {
        let mut ids: Vec<_> = super::all().into_iter().map(|case| case.id).collect();
        ids.sort_unstable();
        let twice: Vec<_> = ids.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}
