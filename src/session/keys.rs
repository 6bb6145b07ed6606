//! C_GenerateKey, C_GenerateKeyPair, C_WrapKey, C_UnwrapKey, C_DeriveKey (section 5.18).

use super::operation::Answer;
use super::session::Session;
use crate::crypto::Secret;
use crate::error::{Error, Result, Rv};
use crate::mechanism::vendor::CKM_CLOUDHSM_ML_DSA_KEY_PAIR_GEN;
use crate::mechanism::{Derive, Mechanism, Params, Wanted, key};
use crate::object::template::{self, Act, Draft, Settled};
use crate::object::{Attributes, Handle, Object};
use crate::token::{Service, Use, config::Policy};
use cryptoki_sys::*;

impl Session {
    /// C_GenerateKey.
    ///
    /// # Errors
    /// What the mechanism, its parameter or the template is wrong by; CKR_SESSION_READ_ONLY;
    /// CKR_USER_NOT_LOGGED_IN.
    pub fn generate_key(
        &self,
        row: &'static Mechanism,
        params: Params,
        mut template: Attributes,
    ) -> Result<Handle> {
        let Some(generator) = row.generate else { fail!(MechanismInvalid, "{} generates no key", row.name) };
        let implied = Some((CKO_SECRET_KEY, generator.key_type()));
        let mut draft = template::build(Act::Generate, &mut template, implied, &self.rules())?;
        self.may_write(&draft)?;
        generator.generate(&params, &mut draft)?;
        let key = self.finish(row, draft, None)?;
        self.policy().judge_generation(row, &key.attributes)?;
        self.token().create(self.owner(), key)
    }

    /// C_GenerateKeyPair: the public and the private key, both or none.
    ///
    /// # Errors
    /// As [`Session::generate_key`].
    pub fn generate_key_pair(
        &self,
        row: &'static Mechanism,
        _: Params,
        mut public: Attributes,
        private: Attributes,
    ) -> Result<(Handle, Handle)> {
        let row = self.policy().pair_generator(row, &public)?;
        let Some(generator) = row.generate_pair else {
            fail!(MechanismInvalid, "{} generates no pair", row.name)
        };
        let key_type = generator.key_type();
        let rules = self.rules();
        let mut public =
            template::build(Act::Generate, &mut public, Some((CKO_PUBLIC_KEY, key_type)), &rules)
                .map_err(|error| error.within("public key"))?;
        let mut private = own_part(row, &public, private)?;
        let implied = Some((CKO_PRIVATE_KEY, key_type));
        let mut private = template::build(Act::Generate, &mut private, implied, &rules)
            .map_err(|error| error.within("private key"))?;
        self.may_write(&public)?;
        self.may_write(&private)?;
        let policy = self.policy();
        policy.judge_generation(row, &public)?;
        policy.judge_key(&public)?;
        let (public_values, private_values) = generator.generate(&public, &private)?;
        public.extend(public_values);
        private.extend(private_values);
        // A generator gives all components and what follows from them; checking them again would take longer than
        // making them.
        let public = public.settle(row.number, &[])?;
        let private = private.settle(row.number, &[])?;
        self.token().create_pair(self.owner(), public, private)
    }

    /// C_WrapKey. `out` is `None` if only the length is asked for.
    ///
    /// # Errors
    /// CKR_WRAPPING_KEY_*, CKR_KEY_UNEXTRACTABLE, CKR_KEY_NOT_WRAPPABLE, CKR_KEY_HANDLE_INVALID ...
    pub fn wrap_key(
        &self,
        row: &'static Mechanism,
        params: Params,
        wrapping_key: Handle,
        key: Handle,
        out: Option<&mut [u8]>,
    ) -> Result<Answer> {
        let Some(wrap) = row.wrap else { fail!(MechanismInvalid, "{} does not wrap", row.name) };
        let wrapping = self
            .key_for(Use::Wrap, row, &params, wrapping_key)
            .map_err(|error| wrapping_error(Use::Wrap, error))?;
        let key = self.key(key)?;
        self.may_leave(&wrapping, &key)?;
        if self.token().audits_uses() {
            self.token().record_use("be wrapped", row.name, &key)?;
        }
        let payload = match key.class() {
            CKO_SECRET_KEY => key.secret_copy()?,
            CKO_PRIVATE_KEY if wrap.takes_private_keys() => export(&key)?,
            class => fail!(KeyNotWrappable, "{} does not wrap keys of class {class:#x}", row.name),
        };
        let len = wrap.wrapped_len(&wrapping, &params, payload.len())?;
        match out {
            None => Ok(Answer::Query(len)),
            Some(out) if out.len() < len => Ok(Answer::TooSmall(len)),
            Some(out) => {
                for part in [&wrapping, &key] {
                    self.token().spend(Service::KeyManagement, part)?;
                }
                let wrapped = wrap.wrap(&wrapping, params, payload.expose())?;
                out[..wrapped.len()].copy_from_slice(&wrapped);
                Ok(Answer::Done(wrapped.len()))
            }
        }
    }

    /// Whether `key` may be wrapped with `wrapping`.
    fn may_leave(&self, wrapping: &Object, key: &Object) -> Result<()> {
        if key.is_borrowed() {
            fail!(KeyNotWrappable, "only its owner wraps a key that is shared");
        }
        if !key.is_true(CKA_EXTRACTABLE) {
            fail!(KeyUnextractable, "CKA_EXTRACTABLE of the key is not set");
        }
        if key.is_true(CKA_WRAP_WITH_TRUSTED) && !wrapping.is_true(CKA_TRUSTED) {
            fail!(
                KeyNotWrappable,
                "CKA_WRAP_WITH_TRUSTED is set on the key, CKA_TRUSTED not on the wrapping key"
            );
        }
        if let Some(wanted) = wrapping.attributes().template(CKA_WRAP_TEMPLATE)
            && !template::matches(key.attributes(), wanted)
        {
            fail!(KeyHandleInvalid, "CKA_WRAP_TEMPLATE of the wrapping key does not admit the key");
        }
        if self.policy().policy == Policy::Strict {
            if wrapping.handle() == key.handle() {
                fail!(KeyNotWrappable, "the strict policy wraps no key with itself");
            }
            if key::strength(wrapping)? < key::strength(key)? {
                fail!(WrappingKeySizeRange, "the strict policy wraps no key with a weaker one");
            }
        }
        Ok(())
    }

    /// C_UnwrapKey.
    ///
    /// # Errors
    /// CKR_UNWRAPPING_KEY_*, CKR_WRAPPED_KEY_INVALID, CKR_WRAPPED_KEY_LEN_RANGE, CKR_TEMPLATE_INCONSISTENT ...
    pub fn unwrap_key(
        &self,
        row: &'static Mechanism,
        params: Params,
        unwrapping_key: Handle,
        wrapped: &[u8],
        mut template: Attributes,
    ) -> Result<Handle> {
        let Some(wrap) = row.wrap else { fail!(MechanismInvalid, "{} does not unwrap", row.name) };
        let unwrapping = self
            .key_for(Use::Unwrap, row, &params, unwrapping_key)
            .map_err(|error| wrapping_error(Use::Unwrap, error))?;
        let own = unwrapping.attributes().template(CKA_UNWRAP_TEMPLATE);
        template::merge(Act::Unwrap, &mut template, own, &self.rules())
            .map_err(|error| error.within("CKA_UNWRAP_TEMPLATE"))?;
        let mut draft = template::build(Act::Unwrap, &mut template, None, &self.rules())?;
        self.may_write(&draft)?;
        let kind = key::kind(draft.need_ulong(CKA_CLASS)?, draft.need_ulong(CKA_KEY_TYPE)?)?;
        let values = match (kind.class, kind.import) {
            (CKO_SECRET_KEY, _) => {
                let asked = draft.ulong(CKA_VALUE_LEN).map(|len| len as usize);
                let value = wrap.unwrap(&unwrapping, params, wrapped, asked.or(kind.fixed_len))?;
                if asked.is_some_and(|asked| asked != value.len()) {
                    fail!(WrappedKeyLenRange, "CKA_VALUE_LEN is not the length of the wrapped key");
                }
                Attributes::new().with(CKA_VALUE, value)
            }
            (CKO_PRIVATE_KEY, Some(import)) if wrap.takes_private_keys() => {
                let value = wrap.unwrap(&unwrapping, params, wrapped, None)?;
                import(value.expose()).map_err(|error| error.recode(Rv::WrappedKeyInvalid))?
            }
            (class, _) => fail!(TemplateInconsistent, "CKA_CLASS: {} unwraps no class {class:#x}", row.name),
        };
        draft.extend(values);
        let key = self.finish(row, draft, None).map_err(unwrapped_error)?;
        self.token().create(self.owner(), key)
    }

    /// C_DeriveKey. `None` if the mechanism only told a length through its parameter.
    ///
    /// # Errors
    /// CKR_KEY_HANDLE_INVALID, CKR_MECHANISM_PARAM_INVALID, CKR_TEMPLATE_* ...
    pub fn derive_key(
        &self,
        row: &'static Mechanism,
        params: Params,
        base_key: Handle,
        mut template: Attributes,
    ) -> Result<Handle> {
        let Some(derive) = row.derive else { fail!(MechanismInvalid, "{} derives no key", row.name) };
        let base = self.lent_key_for(Use::Derive, row, &params, base_key)?;
        let derived = self.derive_from(&base, row, derive, params, &mut template);
        self.give_back(base);
        derived
    }

    fn derive_from(
        &self,
        base: &Object,
        row: &'static Mechanism,
        derive: &dyn Derive,
        params: Params,
        template: &mut Attributes,
    ) -> Result<Handle> {
        let own = base.attributes().template(CKA_DERIVE_TEMPLATE);
        template::merge(Act::Derive, template, own, &self.rules())
            .map_err(|error| error.within("CKA_DERIVE_TEMPLATE"))?;
        if derive.gives_data() {
            return self.derive_data(derive, params, base, template);
        }
        if self.rules().strict {
            template::inherit(template, &[base.attributes()])?;
        }
        let (draft, wanted) = self.new_secret(Act::Derive, template)?;
        let value = derive.derive(base, params, wanted, &|handle| self.other(handle))?;
        self.create_secret(row, draft, value, Some(base))
    }

    /// A derivation into an object of class CKO_DATA, private unless the template says otherwise. Data has no
    /// CKA_SENSITIVE, so under the strict policy none comes of a sensitive key.
    fn derive_data(
        &self,
        derive: &dyn Derive,
        params: Params,
        base: &Object,
        template: &mut Attributes,
    ) -> Result<Handle> {
        template.set_default(CKA_CLASS, CKO_DATA);
        template.set_default(CKA_PRIVATE, true);
        if template.ulong(CKA_CLASS) != Some(CKO_DATA) || template.has(CKA_VALUE) {
            fail!(TemplateInconsistent, "the mechanism gives the value of an object of class CKO_DATA");
        }
        if self.rules().strict && base.attributes().is_true(CKA_SENSITIVE) {
            fail!(TemplateInconsistent, "CKA_CLASS: data would disclose what comes of a sensitive key");
        }
        let len = template.ulong(CKA_VALUE_LEN).map(|len| len as usize);
        template.remove(CKA_VALUE_LEN);
        let mut draft = template::build(Act::Derive, template, None, &self.rules())?;
        self.may_write(&draft)?;
        let wanted = Wanted { key_type: CKK_GENERIC_SECRET, len };
        let value = derive.derive(base, params, wanted, &|handle| self.other(handle))?;
        draft.set(CKA_VALUE, value.expose());
        self.token().create(self.owner(), draft.settle(CK_UNAVAILABLE_INFORMATION, &[])?)
    }

    /// The draft of a secret that a derivation or a KEM is to give, and what is wanted of its value. A template that
    /// says nothing else asks for a generic secret.
    pub(super) fn new_secret<'a>(
        &self,
        act: Act,
        template: &'a mut Attributes,
    ) -> Result<(Draft<'a>, Wanted)> {
        template.set_default(CKA_CLASS, CKO_SECRET_KEY);
        if template.ulong(CKA_CLASS) == Some(CKO_SECRET_KEY) {
            template.set_default(CKA_KEY_TYPE, CKK_GENERIC_SECRET);
        }
        let draft = template::build(act, template, None, &self.rules())?;
        self.may_write(&draft)?;
        let len = draft.ulong(CKA_VALUE_LEN).map(|len| len as usize);
        let wanted = match (draft.need_ulong(CKA_CLASS)?, draft.ulong(CKA_KEY_TYPE)) {
            (CKO_SECRET_KEY, Some(key_type)) => {
                let fixed = key::kind(CKO_SECRET_KEY, key_type)?.fixed_len;
                if let (Some(len), Some(fixed)) = (len, fixed)
                    && len != fixed
                {
                    fail!(TemplateInconsistent, "CKA_VALUE_LEN: keys of this type have {fixed} bytes");
                }
                Wanted { key_type, len: len.or(fixed) }
            }
            (class, _) => fail!(TemplateInconsistent, "CKA_CLASS: {class:#x} cannot be derived"),
        };
        Ok((draft, wanted))
    }

    /// Makes the object of a derived secret.
    pub(super) fn create_secret(
        &self,
        row: &'static Mechanism,
        mut draft: Draft<'_>,
        value: Secret,
        base: Option<&Object>,
    ) -> Result<Handle> {
        draft.set(CKA_VALUE, value);
        let key = self.finish(row, draft, base)?;
        self.token().create(self.owner(), key)
    }

    /// Checks a new key's components, adds what follows from them, and writes down where it came from.
    fn finish(
        &self,
        row: &'static Mechanism,
        mut draft: Draft<'_>,
        base: Option<&Object>,
    ) -> Result<Settled> {
        let kind = key::kind(draft.need_ulong(CKA_CLASS)?, draft.need_ulong(CKA_KEY_TYPE)?)?;
        (kind.complete)(&mut draft)?;
        self.policy().judge_key(&draft)?;
        draft.settle(row.number, base.map(Object::attributes).as_slice())
    }
}

/// The private template less what repeats the public one: CloudHSM's ML-DSA pairs are told their parameter set in
/// both, where the standard's rule is that only the public one names it.
fn own_part(row: &'static Mechanism, public: &Attributes, mut private: Attributes) -> Result<Attributes> {
    if row.number == CKM_CLOUDHSM_ML_DSA_KEY_PAIR_GEN
        && let Some(set) = private.remove(CKA_PARAMETER_SET)
        && public.value(CKA_PARAMETER_SET) != Some(&set)
    {
        fail!(TemplateInconsistent, "CKA_PARAMETER_SET: another than the public key's");
    }
    Ok(private)
}

/// A private key as PKCS#8.
fn export(key: &Object) -> Result<Secret> {
    let key_type = key.key_type().unwrap_or(CK_UNAVAILABLE_INFORMATION);
    match key::kind(key.class(), key_type)?.export {
        Some(export) => export(key),
        None => fail!(KeyNotWrappable, "keys of type {key_type:#x} have no form to be wrapped in"),
    }
}

/// Whatever an unwrapped value is wrong by is one code, lest a caller learn from the difference what a blob that
/// he changed has become.
fn unwrapped_error(error: Error) -> Error {
    match error.rv() {
        Rv::KeySizeRange | Rv::AttributeValueInvalid => error.recode(Rv::WrappedKeyInvalid),
        _ => error,
    }
}

/// C_WrapKey and C_UnwrapKey have words of their own for a wrong wrapping key.
fn wrapping_error(usage: Use, error: Error) -> Error {
    let rv = match (usage, error.rv()) {
        (Use::Wrap, Rv::KeyHandleInvalid) => Rv::WrappingKeyHandleInvalid,
        (Use::Wrap, Rv::KeySizeRange) => Rv::WrappingKeySizeRange,
        (Use::Wrap, Rv::KeyTypeInconsistent) => Rv::WrappingKeyTypeInconsistent,
        (_, Rv::KeyHandleInvalid) => Rv::UnwrappingKeyHandleInvalid,
        (_, Rv::KeySizeRange) => Rv::UnwrappingKeySizeRange,
        (_, Rv::KeyTypeInconsistent) => Rv::UnwrappingKeyTypeInconsistent,
        (_, rv) => rv,
    };
    error.recode(rv)
}
