//! C_FindObjects* (section 5.7).

use super::session::Session;
use crate::error::Result;
use crate::object::{Attributes, Handle};

/// A running search: what it found, handed out in portions.
pub(super) struct Finding {
    handles: std::vec::IntoIter<Handle>,
}

impl Session {
    /// C_FindObjectsInit: finds all that the session may see; other processes' changes included.
    ///
    /// # Errors
    /// CKR_OPERATION_ACTIVE.
    pub fn find_init(&self, template: &Attributes) -> Result<()> {
        let mut operations = self.running();
        if operations.find.is_some() {
            fail!(OperationActive, "a search is running");
        }
        self.refresh()?;
        operations.find = Some(Finding { handles: self.token().find(template).into_iter() });
        Ok(())
    }

    /// C_FindObjects: the next `most` handles at most.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED.
    pub fn find(&self, most: usize) -> Result<Vec<Handle>> {
        match &mut self.running().find {
            Some(finding) => Ok(finding.handles.by_ref().take(most).collect()),
            None => fail!(OperationNotInitialized),
        }
    }

    /// How many handles are left to hand out, at most `most`: CloudHSM's clients ask it with a NULL array.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED.
    pub fn find_count(&self, most: usize) -> Result<usize> {
        match &self.running().find {
            Some(finding) => Ok(finding.handles.len().min(most)),
            None => fail!(OperationNotInitialized),
        }
    }

    /// C_FindObjectsFinal.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED.
    pub fn find_final(&self) -> Result<()> {
        match self.running().find.take() {
            Some(_) => Ok(()),
            None => fail!(OperationNotInitialized),
        }
    }
}
