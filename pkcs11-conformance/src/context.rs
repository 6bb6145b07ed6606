//! What a case finds: the loaded module, its token, a session, and short ways to make keys.

use crate::case::{Level, Policy, Setup, Stop};
use crate::client::{Attr, Mechanism, Module, Result as Called, Rv, Session, text};
use cryptoki_sys::*;
use std::path::PathBuf;

/// The module to judge and its token.
#[derive(Clone, Debug)]
pub struct Target {
    /// The shared library.
    pub module: PathBuf,
    /// The slot, by number.
    pub slot: Option<CK_SLOT_ID>,
    /// The slot, by the label of its token; also the label that a new token gets.
    pub label: Option<String>,
    /// The SO's PIN, if it is known.
    pub so_pin: Option<String>,
    /// The user's PIN.
    pub pin: String,
    /// Whether the token may be initialised, and all on it lost.
    pub may_init: bool,
}

/// The label of a token that the suite made.
const LABEL: &str = "pkcs11-conformance";

impl Target {
    fn label(&self) -> &str {
        self.label.as_deref().unwrap_or(LABEL)
    }

    /// Makes the token and its user, where that is allowed; then the user must be able to log in.
    ///
    /// # Errors
    /// A sentence that names the failed call.
    pub fn prepare(&self) -> Result<(), String> {
        let module = Module::load(&self.module)?;
        module.init().map_err(|rv| format!("C_Initialize: {rv}"))?;
        if self.may_init {
            self.make_token(module)?;
        }
        let slot = self.find(module)?;
        let session = module.open_session(slot, true).map_err(|rv| format!("C_OpenSession: {rv}"))?;
        session.login(CKU_USER, &self.pin).map_err(|rv| format!("C_Login: {rv}"))?;
        let _ = module.finalize();
        Ok(())
    }

    fn make_token(&self, module: Module) -> Result<(), String> {
        let so_pin = self.so_pin.as_deref().ok_or("--init needs --so-pin")?;
        // A token of an earlier run is made again; otherwise the given slot is taken, or the first without a token.
        let slot = module.slot_by_label(self.label()).or(self.slot).or_else(|| {
            let free = |&slot: &CK_SLOT_ID| {
                module.token_info(slot).map_or(true, |info| info.flags & CKF_TOKEN_INITIALIZED == 0)
            };
            module.slots(false).ok()?.into_iter().find(free)
        });
        let slot = slot.ok_or("no slot to initialise")?;
        module.init_token(slot, so_pin, self.label()).map_err(|rv| format!("C_InitToken: {rv}"))?;
        let slot = module.slot_by_label(self.label()).unwrap_or(slot);
        let session = module.open_session(slot, true).map_err(|rv| format!("C_OpenSession: {rv}"))?;
        session.login(CKU_SO, so_pin).map_err(|rv| format!("C_Login of the SO: {rv}"))?;
        session.init_pin(&self.pin).map_err(|rv| format!("C_InitPIN: {rv}"))?;
        session.logout().map_err(|rv| format!("C_Logout: {rv}"))
    }

    fn find(&self, module: Module) -> Result<CK_SLOT_ID, String> {
        let by_label = || module.slot_by_label(self.label());
        let slot = if self.may_init || self.label.is_some() { by_label() } else { self.slot };
        slot.or_else(|| self.label.is_none().then(|| module.slots(true).ok()?.first().copied()).flatten())
            .ok_or_else(|| format!("no token with the label {:?}", self.label()))
    }
}

/// What a case works with.
pub struct Context {
    /// The module.
    pub module: Module,
    /// The token's slot; 0 before C_Initialize.
    pub slot: CK_SLOT_ID,
    /// How the token is reached.
    pub target: Target,
    /// By which rules the case is judged.
    pub policy: Policy,
    session: Option<Session>,
    level: Level,
}

impl Context {
    /// Loads the module and goes as far as the level says.
    ///
    /// # Errors
    /// A sentence that names the failed call.
    pub fn prepare(target: &Target, policy: Policy, level: Level) -> Result<Context, String> {
        let module = Module::load(&target.module)?;
        let mut context = Context { module, slot: 0, target: target.clone(), policy, session: None, level };
        if level == Level::Loaded {
            return Ok(context);
        }
        module.init().map_err(|rv| format!("C_Initialize: {rv}"))?;
        context.slot = target.find(module)?;
        if level == Level::Initialised {
            return Ok(context);
        }
        let session = module.open_session(context.slot, true).map_err(|rv| format!("C_OpenSession: {rv}"))?;
        if level == Level::User {
            session.login(CKU_USER, &target.pin).map_err(|rv| format!("C_Login: {rv}"))?;
        }
        context.session = Some(session);
        Ok(context)
    }

    /// Destroys the token objects that carry the suite's label.
    pub fn clean(&self) {
        let Ok(session) = self.module.open_session(self.slot, true) else { return };
        let _ = session.login(CKU_USER, &self.target.pin);
        for object in session.find(&[Attr::bool(CKA_TOKEN, true), Attr::label(LABEL)]).unwrap_or_default() {
            let _ = session.destroy(object);
        }
    }

    /// The session of levels `Public` and `User`.
    pub fn s(&self) -> &Session {
        self.session.as_ref().unwrap_or_else(|| panic!("level {:?} has no session", self.level))
    }

    /// Another session.
    pub fn open(&self, rw: bool) -> Result<Session, Stop> {
        self.module.open_session(self.slot, rw).setup("C_OpenSession")
    }

    /// The SO's PIN.
    pub fn so_pin(&self) -> Result<&str, Stop> {
        self.target.so_pin.as_deref().ok_or_else(|| Stop::NotOffered("no --so-pin was given".into()))
    }

    /// Whether C_GetMechanismInfo has the mechanism with these flags.
    pub fn offers(&self, mechanism: CK_MECHANISM_TYPE, flags: CK_FLAGS) -> bool {
        self.module.mechanism_info(self.slot, mechanism).is_ok_and(|info| info.flags & flags == flags)
    }

    /// Stops the case unless the module offers the mechanism.
    pub fn need(&self, mechanism: CK_MECHANISM_TYPE, flags: CK_FLAGS) -> Result<(), Stop> {
        if self.offers(mechanism, flags) {
            return Ok(());
        }
        Err(Stop::NotOffered(format!("mechanism {mechanism:#x} with flags {flags:#x}")))
    }

    /// The first of the mechanisms that the module offers with these flags.
    pub fn first(
        &self,
        mechanisms: &[CK_MECHANISM_TYPE],
        flags: CK_FLAGS,
    ) -> Result<CK_MECHANISM_TYPE, Stop> {
        let found = mechanisms.iter().copied().find(|&m| self.offers(m, flags));
        found.ok_or_else(|| Stop::NotOffered(format!("none of {mechanisms:x?} with flags {flags:#x}")))
    }

    /// A session AES key of `length` bytes with these attributes besides.
    pub fn aes(&self, length: CK_ULONG, attrs: &[Attr]) -> Called<CK_OBJECT_HANDLE> {
        let mut template = vec![Attr::bool(CKA_TOKEN, false), Attr::ulong(CKA_VALUE_LEN, length)];
        template.extend_from_slice(attrs);
        self.s().generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template)
    }

    /// Creates a session secret key of that type and value.
    pub fn import(&self, kind: CK_KEY_TYPE, value: &[u8], attrs: &[Attr]) -> Called<CK_OBJECT_HANDLE> {
        let mut template =
            vec![Attr::class(CKO_SECRET_KEY), Attr::key_type(kind), Attr::bytes(CKA_VALUE, value)];
        template.push(Attr::bool(CKA_TOKEN, false));
        template.extend_from_slice(attrs);
        self.s().create_object(&template)
    }

    /// A session RSA key pair.
    pub fn rsa(
        &self,
        bits: CK_ULONG,
        public: &[Attr],
        private: &[Attr],
    ) -> Called<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
        let size = [Attr::ulong(CKA_MODULUS_BITS, bits), Attr::bytes(CKA_PUBLIC_EXPONENT, [1, 0, 1])];
        self.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &size, public, private)
    }

    /// A session EC key pair; `oid` is DER.
    pub fn ec(
        &self,
        oid: &[u8],
        public: &[Attr],
        private: &[Attr],
    ) -> Called<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
        self.pair(CKM_EC_KEY_PAIR_GEN, &[Attr::bytes(CKA_EC_PARAMS, oid)], public, private)
    }

    /// A session key pair.
    pub fn pair(
        &self,
        mechanism: CK_MECHANISM_TYPE,
        domain: &[Attr],
        public: &[Attr],
        private: &[Attr],
    ) -> Called<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
        let session = [Attr::bool(CKA_TOKEN, false)];
        let public = [&session, domain, public].concat();
        let private = [&session, private].concat();
        self.s().generate_key_pair(&Mechanism::new(mechanism), &public, &private)
    }

    /// A token object's two attributes by which [`Context::clean`] finds it.
    pub fn on_token(&self) -> Vec<Attr> {
        vec![Attr::bool(CKA_TOKEN, true), Attr::label(LABEL)]
    }

    /// The token's flags.
    pub fn token_flags(&self) -> Result<CK_FLAGS, Stop> {
        self.module.token_info(self.slot).setup("C_GetTokenInfo").map(|info| info.flags)
    }

    /// The token's label.
    pub fn token_label(&self) -> Result<String, Stop> {
        self.module.token_info(self.slot).setup("C_GetTokenInfo").map(|info| text(&info.label))
    }
}

/// Attributes that are all CK_TRUE.
pub fn yes(kinds: &[CK_ATTRIBUTE_TYPE]) -> Vec<Attr> {
    kinds.iter().map(|&kind| Attr::bool(kind, true)).collect()
}

/// The DER of P-256's object identifier.
pub const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// Stops the case unless the step gave one of these codes.
pub fn expect<T>(step: &str, got: &Called<T>, want: &[CK_RV]) -> Result<(), Stop> {
    let rv = Rv::of(got);
    if want.contains(&rv.0) {
        return Ok(());
    }
    let want: Vec<_> = want.iter().map(|&code| Rv(code).to_string()).collect();
    Err(Stop::Wrong(format!("{step}: {rv} and not {}", want.join(" or "))))
}

/// Stops the case unless that is so.
pub fn that(so: bool, otherwise: impl Into<String>) -> Result<(), Stop> {
    if so { Ok(()) } else { Err(Stop::Wrong(otherwise.into())) }
}

/// The code of a case whose every step was as it should be.
pub const FINE: crate::case::Outcome = Ok(Rv(CKR_OK));
