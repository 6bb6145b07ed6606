//! Objects (section 5.7).

use super::{
    Attr, Template, call,
    rv::{Result, Rv},
    session::Session,
};
use cryptoki_sys::*;
use std::ptr;

const BATCH: usize = 64;

impl Session {
    /// C_CreateObject.
    pub fn create_object(&self, template: &[Attr]) -> Result<CK_OBJECT_HANDLE> {
        let (mut template, mut object) = (Template::new(template), CK_INVALID_HANDLE);
        call!(self.f(), C_CreateObject(self.handle(), template.ptr(), template.count(), &raw mut object))
            .ok()?;
        Ok(object)
    }
    /// C_CopyObject.
    pub fn copy(&self, object: CK_OBJECT_HANDLE, template: &[Attr]) -> Result<CK_OBJECT_HANDLE> {
        let (mut template, mut copy) = (Template::new(template), CK_INVALID_HANDLE);
        call!(self.f(), C_CopyObject(self.handle(), object, template.ptr(), template.count(), &raw mut copy))
            .ok()?;
        Ok(copy)
    }
    /// C_DestroyObject.
    pub fn destroy(&self, object: CK_OBJECT_HANDLE) -> Result<()> {
        call!(self.f(), C_DestroyObject(self.handle(), object)).ok()
    }
    /// C_GetObjectSize, in bytes.
    pub fn object_size(&self, object: CK_OBJECT_HANDLE) -> Result<CK_ULONG> {
        let mut size = 0;
        call!(self.f(), C_GetObjectSize(self.handle(), object, &raw mut size)).ok().map(|()| size)
    }
    /// C_SetAttributeValue.
    pub fn set(&self, object: CK_OBJECT_HANDLE, template: &[Attr]) -> Result<()> {
        let mut template = Template::new(template);
        call!(self.f(), C_SetAttributeValue(self.handle(), object, template.ptr(), template.count())).ok()
    }

    /// C_GetAttributeValue on a template as it is, so that a test sees every length the module left.
    pub fn get_raw(&self, object: CK_OBJECT_HANDLE, template: &mut [CK_ATTRIBUTE]) -> Rv {
        let count = template.len() as CK_ULONG;
        call!(self.f(), C_GetAttributeValue(self.handle(), object, template.as_mut_ptr(), count))
    }

    /// One attribute's bytes: a query for the length, then the value.
    pub fn attribute(&self, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> Result<Vec<u8>> {
        let (rv, mut values) = self.attributes(object, &[kind]);
        rv.ok()?;
        Ok(values.remove(0).expect("CKR_OK and CK_UNAVAILABLE_INFORMATION at once"))
    }
    /// Several attributes: the second call's code, and each value, or none where the module says
    /// CK_UNAVAILABLE_INFORMATION. (A module that fails the query outright gives only its code.)
    pub fn attributes(
        &self,
        object: CK_OBJECT_HANDLE,
        kinds: &[CK_ATTRIBUTE_TYPE],
    ) -> (Rv, Vec<Option<Vec<u8>>>) {
        let empty = |&type_: &_| CK_ATTRIBUTE { type_, pValue: ptr::null_mut(), ulValueLen: 0 };
        let mut rows: Vec<_> = kinds.iter().map(empty).collect();
        let query = self.get_raw(object, &mut rows);
        let partial = [CKR_OK, CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID, CKR_BUFFER_TOO_SMALL];
        if !partial.contains(&query.0) {
            return (query, vec![None; kinds.len()]);
        }
        let sizes: Vec<_> = rows.iter().map(|row| available(row.ulValueLen)).collect();
        let mut buffers: Vec<_> = sizes.iter().map(|size| vec![0u8; size.unwrap_or(0)]).collect();
        for (row, buffer) in rows.iter_mut().zip(&mut buffers) {
            row.pValue = buffer.as_mut_ptr().cast();
            row.ulValueLen = buffer.len() as CK_ULONG;
        }
        let rv = self.get_raw(object, &mut rows);
        let take = |(row, mut buffer): (&CK_ATTRIBUTE, Vec<u8>)| {
            let written = available(row.ulValueLen)?;
            assert!(
                written <= buffer.len(),
                "attribute {:#x}: {written} bytes in {}",
                row.type_,
                buffer.len()
            );
            buffer.truncate(written);
            Some(buffer)
        };
        (rv, rows.iter().zip(buffers).map(take).collect())
    }
    /// A CK_BBOOL attribute; a value of another length panics.
    pub fn attribute_bool(&self, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> Result<bool> {
        let value = self.attribute(object, kind)?;
        assert!(matches!(value[..], [0 | 1]), "attribute {kind:#x} is no CK_BBOOL: {value:?}");
        Ok(value[0] == 1)
    }
    /// A CK_ULONG attribute; a value of another length panics.
    pub fn attribute_ulong(&self, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> Result<CK_ULONG> {
        let value = self.attribute(object, kind)?;
        Ok(CK_ULONG::from_ne_bytes(
            value.try_into().unwrap_or_else(|v| panic!("{kind:#x} is no CK_ULONG: {v:?}")),
        ))
    }
    /// A template attribute (CKA_WRAP_TEMPLATE and its like): the number of rows, their lengths, then their values.
    pub fn attribute_template(&self, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> Result<Vec<Attr>> {
        let mut outer = [CK_ATTRIBUTE { type_: kind, pValue: ptr::null_mut(), ulValueLen: 0 }];
        self.get_raw(object, &mut outer).ok()?;
        let count = outer[0].ulValueLen as usize / size_of::<CK_ATTRIBUTE>();
        let mut rows = vec![CK_ATTRIBUTE::default(); count];
        outer[0].pValue = rows.as_mut_ptr().cast();
        self.get_raw(object, &mut outer).ok()?;
        let mut buffers: Vec<_> = rows.iter().map(|row| vec![0u8; row.ulValueLen as usize]).collect();
        for (row, buffer) in rows.iter_mut().zip(&mut buffers) {
            row.pValue = buffer.as_mut_ptr().cast();
        }
        self.get_raw(object, &mut outer).ok()?;
        Ok(rows.iter().zip(buffers).map(|(row, value)| Attr::bytes(row.type_, value)).collect())
    }

    /// All objects that match, by C_FindObjectsInit, C_FindObjects until it gives none, C_FindObjectsFinal.
    pub fn find(&self, template: &[Attr]) -> Result<Vec<CK_OBJECT_HANDLE>> {
        self.find_init(template)?;
        let mut found = Vec::new();
        loop {
            match self.find_next(BATCH) {
                Ok(batch) if batch.is_empty() => break,
                Ok(batch) => found.extend(batch),
                Err(rv) => {
                    let _ = self.find_final();
                    return Err(rv);
                }
            }
        }
        self.find_final().map(|()| found)
    }
    /// C_FindObjectsInit.
    pub fn find_init(&self, template: &[Attr]) -> Result<()> {
        let mut template = Template::new(template);
        call!(self.f(), C_FindObjectsInit(self.handle(), template.ptr(), template.count())).ok()
    }
    /// C_FindObjects, at most `most`.
    pub fn find_next(&self, most: usize) -> Result<Vec<CK_OBJECT_HANDLE>> {
        let (mut found, mut count) = (vec![CK_INVALID_HANDLE; most], 0);
        call!(self.f(), C_FindObjects(self.handle(), found.as_mut_ptr(), most as CK_ULONG, &raw mut count))
            .ok()?;
        assert!(count as usize <= most, "C_FindObjects gave {count} of at most {most}");
        found.truncate(count as usize);
        Ok(found)
    }
    /// C_FindObjectsFinal.
    pub fn find_final(&self) -> Result<()> {
        call!(self.f(), C_FindObjectsFinal(self.handle())).ok()
    }
}

fn available(length: CK_ULONG) -> Option<usize> {
    (length != CK_UNAVAILABLE_INFORMATION).then_some(length as usize)
}
