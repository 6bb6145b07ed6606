//! Object management (section 5.7).

use super::entry::is_cloudhsm;
use crate::object::template;
use cryptoki_sys::*;

entry! {
    /// Creates an object.
    fn C_CreateObject(
        call,
        session: CK_SESSION_HANDLE,
        template: CK_ATTRIBUTE_PTR,
        count: CK_ULONG,
        object: CK_OBJECT_HANDLE_PTR,
    ) {
        let session = call.session(session)?;
        let out = call.out(object)?;
        out.set(session.create_object(call.template(template, count)?)?);
        Ok(())
    }

    /// Copies an object, with changes.
    fn C_CopyObject(
        call,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        template: CK_ATTRIBUTE_PTR,
        count: CK_ULONG,
        copy: CK_OBJECT_HANDLE_PTR,
    ) {
        let session = call.session(session)?;
        let out = call.out(copy)?;
        out.set(session.copy_object(object, &call.template(template, count)?)?);
        Ok(())
    }

    /// Destroys an object.
    fn C_DestroyObject(call, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) {
        call.module().destroy_object(session, object)
    }

    /// Tells an object's size in bytes.
    fn C_GetObjectSize(call, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, size: CK_ULONG_PTR) {
        let session = call.session(session)?;
        let out = call.out(size)?;
        out.set(session.object_size(object)? as CK_ULONG);
        Ok(())
    }

    /// Reads attributes.
    fn C_GetAttributeValue(
        call,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        attributes: CK_ATTRIBUTE_PTR,
        count: CK_ULONG,
    ) {
        let session = call.session(session)?;
        let (object, rules) = (session.object(object)?, session.rules());
        call.answer_template(attributes, count, |attribute| template::value(&object, attribute, &rules))
    }

    /// Changes attributes.
    fn C_SetAttributeValue(
        call,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        template: CK_ATTRIBUTE_PTR,
        count: CK_ULONG,
    ) {
        call.session(session)?.set_attributes(object, &call.template(template, count)?)
    }

    /// Begins a search.
    fn C_FindObjectsInit(call, session: CK_SESSION_HANDLE, template: CK_ATTRIBUTE_PTR, count: CK_ULONG) {
        call.session(session)?.find_init(&call.search_template(template, count)?)
    }

    /// Gives the next objects. CloudHSM's clients pass NULL for the array to hear how many there are.
    fn C_FindObjects(
        call,
        session: CK_SESSION_HANDLE,
        objects: CK_OBJECT_HANDLE_PTR,
        most: CK_ULONG,
        count: CK_ULONG_PTR,
    ) {
        let session = call.session(session)?;
        let (out, most) = (call.out(count)?, usize::try_from(most).unwrap_or(usize::MAX));
        if objects.is_null() && is_cloudhsm(&session) {
            out.set(session.find_count(most)? as CK_ULONG);
            return Ok(());
        }
        call.out(objects)?;
        let found = session.find(most)?;
        call.put(objects, &found);
        out.set(found.len() as CK_ULONG);
        Ok(())
    }

    /// Ends a search.
    fn C_FindObjectsFinal(call, session: CK_SESSION_HANDLE) {
        call.session(session)?.find_final()
    }
}
