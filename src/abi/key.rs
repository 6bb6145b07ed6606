//! Key management (section 5.18).

use crate::mechanism::Params;
use cryptoki_sys::*;

entry! {
    /// Generates a secret key.
    fn C_GenerateKey(
        call,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_PTR,
        template: CK_ATTRIBUTE_PTR,
        count: CK_ULONG,
        key: CK_OBJECT_HANDLE_PTR,
    ) {
        let session = call.session(session)?;
        let out = call.out(key)?;
        let (row, params) = call.mechanism(&session, mechanism)?;
        out.set(session.generate_key(row, params, call.template(template, count)?)?);
        Ok(())
    }

    /// Generates a key pair.
    fn C_GenerateKeyPair(
        call,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_PTR,
        public_template: CK_ATTRIBUTE_PTR,
        public_count: CK_ULONG,
        private_template: CK_ATTRIBUTE_PTR,
        private_count: CK_ULONG,
        public_key: CK_OBJECT_HANDLE_PTR,
        private_key: CK_OBJECT_HANDLE_PTR,
    ) {
        let session = call.session(session)?;
        let (public_out, private_out) = (call.out(public_key)?, call.out(private_key)?);
        let (row, params) = call.mechanism(&session, mechanism)?;
        let public = call.template(public_template, public_count)?;
        let private = call.template(private_template, private_count)?;
        let (public, private) = session.generate_key_pair(row, params, public, private)?;
        public_out.set(public);
        private_out.set(private);
        Ok(())
    }

    /// Wraps a key.
    fn C_WrapKey(
        call,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_PTR,
        wrapping_key: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
        wrapped: CK_BYTE_PTR,
        wrapped_len: CK_ULONG_PTR,
    ) {
        let session = call.session(session)?;
        let (row, params) = call.mechanism(&session, mechanism)?;
        call.output_of(wrapped, wrapped_len, |room| session.wrap_key(row, params, wrapping_key, key, room))
    }

    /// Unwraps a key.
    fn C_UnwrapKey(
        call,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_PTR,
        unwrapping_key: CK_OBJECT_HANDLE,
        wrapped: CK_BYTE_PTR,
        wrapped_len: CK_ULONG,
        template: CK_ATTRIBUTE_PTR,
        count: CK_ULONG,
        key: CK_OBJECT_HANDLE_PTR,
    ) {
        let session = call.session(session)?;
        let out = call.out(key)?;
        let (row, params) = call.mechanism(&session, mechanism)?;
        let wrapped = call.input(wrapped, wrapped_len)?;
        let template = call.template(template, count)?;
        out.set(session.unwrap_key(row, params, unwrapping_key, wrapped, template)?);
        Ok(())
    }

    /// Derives a key.
    fn C_DeriveKey(
        call,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_PTR,
        base_key: CK_OBJECT_HANDLE,
        template: CK_ATTRIBUTE_PTR,
        count: CK_ULONG,
        key: CK_OBJECT_HANDLE_PTR,
    ) {
        let session = call.session(session)?;
        let out = call.out(key)?;
        let mut params = Params::None;
        let row = call.mechanism_into(&session, mechanism, &mut params)?;
        out.set(session.derive_key(row, params, base_key, call.template(template, count)?)?);
        Ok(())
    }

    /// Makes a secret and a ciphertext that carries it to the holder of the private key.
    fn C_EncapsulateKey(
        call,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_PTR,
        public_key: CK_OBJECT_HANDLE,
        template: CK_ATTRIBUTE_PTR,
        count: CK_ULONG,
        ciphertext: CK_BYTE_PTR,
        ciphertext_len: CK_ULONG_PTR,
        key: CK_OBJECT_HANDLE_PTR,
    ) {
        let session = call.session(session)?;
        let (row, params) = call.mechanism(&session, mechanism)?;
        let template = call.template(template, count)?;
        let mut output = call.output(ciphertext, ciphertext_len)?;
        // Who asks for the length has no use for a handle yet.
        let out = if ciphertext.is_null() { None } else { Some(call.out(key)?) };
        let (answer, handle) = session.encapsulate_key(row, params, public_key, template, output.room())?;
        out.zip(handle).into_iter().for_each(|(out, handle)| out.set(handle));
        output.settle(answer)
    }

    /// Takes the secret out of a ciphertext.
    fn C_DecapsulateKey(
        call,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_PTR,
        private_key: CK_OBJECT_HANDLE,
        template: CK_ATTRIBUTE_PTR,
        count: CK_ULONG,
        ciphertext: CK_BYTE_PTR,
        ciphertext_len: CK_ULONG,
        key: CK_OBJECT_HANDLE_PTR,
    ) {
        let session = call.session(session)?;
        let out = call.out(key)?;
        let (row, params) = call.mechanism(&session, mechanism)?;
        let template = call.template(template, count)?;
        let ciphertext = call.input(ciphertext, ciphertext_len)?;
        out.set(session.decapsulate_key(row, params, private_key, template, ciphertext)?);
        Ok(())
    }

    /// Wraps a key, bound to associated data, with the tag in the parameter.
    fn C_WrapKeyAuthenticated(
        call,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_PTR,
        wrapping_key: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
        associated_data: CK_BYTE_PTR,
        associated_data_len: CK_ULONG,
        wrapped: CK_BYTE_PTR,
        wrapped_len: CK_ULONG_PTR,
    ) {
        let session = call.session(session)?;
        let (row, params) =
            call.authenticated(&session, mechanism, (associated_data, associated_data_len))?;
        call.output_of(wrapped, wrapped_len, |room| session.wrap_key(row, params, wrapping_key, key, room))
    }

    /// Unwraps a key that was bound to associated data.
    fn C_UnwrapKeyAuthenticated(
        call,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_PTR,
        unwrapping_key: CK_OBJECT_HANDLE,
        wrapped: CK_BYTE_PTR,
        wrapped_len: CK_ULONG,
        template: CK_ATTRIBUTE_PTR,
        count: CK_ULONG,
        associated_data: CK_BYTE_PTR,
        associated_data_len: CK_ULONG,
        key: CK_OBJECT_HANDLE_PTR,
    ) {
        let session = call.session(session)?;
        let out = call.out(key)?;
        let (row, params) =
            call.authenticated(&session, mechanism, (associated_data, associated_data_len))?;
        let wrapped = call.input(wrapped, wrapped_len)?;
        let template = call.template(template, count)?;
        out.set(session.unwrap_key(row, params, unwrapping_key, wrapped, template)?);
        Ok(())
    }
}
