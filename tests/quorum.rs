//! Approvals by several users: what takes them is refused to every caller without them, whichever function is used, and
//! each is good once.

mod common;

use common::coffer::Coffer;
use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv, Session};

const REGISTRATION: CK_ULONG = 0;
const USER: CK_ULONG = 1;
const QUORUM: CK_ULONG = 2;
const KEY_MANAGEMENT: CK_ULONG = 3;
const KEY_USAGE: CK_ULONG = 4;
const MANAGE: CK_ATTRIBUTE_TYPE = coffer_pkcs11::object::CKA_COFFER_MANAGE_QUORUM;
const USE: CK_ATTRIBUTE_TYPE = coffer_pkcs11::object::CKA_COFFER_USE_QUORUM;
const REJECTED: Rv = Rv(CKR_FUNCTION_REJECTED);

/// Keys that users approve with. They are here to the test alone: approvers keep them outside of the token.
struct Signer {
    public: Vec<u8>,
    private: CK_OBJECT_HANDLE,
}

impl Signer {
    fn new(session: &Session) -> Signer {
        let public = [
            Attr::ulong(CKA_MODULUS_BITS, 2048),
            Attr::bytes(CKA_PUBLIC_EXPONENT, [1, 0, 1]),
            Attr::bool(CKA_PRIVATE, false),
        ];
        let private = [Attr::bool(CKA_PRIVATE, false), Attr::bool(CKA_SIGN, true)];
        let maker = Mechanism::new(CKM_RSA_PKCS_KEY_PAIR_GEN);
        let (public, private) = session.generate_key_pair(&maker, &public, &private).expect("a pair");
        let public = session.attribute(public, CKA_PUBLIC_KEY_INFO).expect("CKA_PUBLIC_KEY_INFO");
        Signer { public, private }
    }

    fn sign(&self, session: &Session, asked: &[u8]) -> Vec<u8> {
        session.sign(&Mechanism::new(CKM_SHA256_RSA_PKCS), self.private, asked).expect("C_Sign")
    }

    /// Registered for whoever is logged in.
    fn register(&self, session: &Session) {
        let asked = session.request_approval(REGISTRATION, 0).expect("RequestApproval");
        let signature = self.sign(session, &asked);
        session.register_approver(&self.public, &signature).expect("RegisterApprover");
    }
}

fn as_user<T>(token: &TestToken, kind: CK_USER_TYPE, name: &str, act: impl FnOnce(&Session) -> T) -> T {
    token.session.login_user(kind, name, &format!("{name}-password")).expect("C_LoginUser");
    let done = act(&token.session);
    token.session.logout().expect("C_Logout");
    done
}

fn as_so<T>(token: &TestToken, act: impl FnOnce(&Session, &Coffer) -> T) -> T {
    token.session.login(CKU_SO, SO_PIN).expect("C_Login");
    let done = act(&token.session, &Coffer::new(&token.session));
    token.session.logout().expect("C_Logout");
    done
}

/// A token with the users alice, bob and carol, and the SO sue.
fn token() -> TestToken {
    let token = TestToken::public();
    as_so(&token, |_, coffer| {
        for name in ["alice", "bob", "carol"] {
            coffer.create(CKU_USER, name, &format!("{name}-password")).expect("CreateUser");
        }
        coffer.create(CKU_SO, "sue", "sue-password").expect("CreateUser");
    });
    token
}

#[test]
fn two_sos_change_users_together() {
    let token = token();
    let session = &token.session;
    let [admin, sue, stranger] = std::array::from_fn(|_| Signer::new(session));
    as_so(&token, |session, _| {
        // Nothing takes two before two can give it, and no key counts whose private half nobody has shown.
        assert_eq!(session.set_quorum_value(USER, 2), Err(Rv(CKR_ACTION_PROHIBITED)));
        let asked = session.request_approval(REGISTRATION, 0).expect("RequestApproval");
        let foreign = stranger.sign(session, &asked);
        assert_eq!(session.register_approver(&admin.public, &foreign), Err(Rv(CKR_SIGNATURE_INVALID)));
        admin.register(session);
        let again = admin.sign(session, &asked);
        assert_eq!(session.register_approver(&admin.public, &again), Err(Rv(CKR_ARGUMENTS_BAD)), "once");
        for value in [0, 9, CK_ULONG::MAX] {
            assert_eq!(session.set_quorum_value(USER, value), Err(Rv(CKR_ARGUMENTS_BAD)), "{value}");
        }
        assert_eq!(session.set_quorum_value(KEY_USAGE, 1), Err(Rv(CKR_ARGUMENTS_BAD)));
    });
    as_user(&token, CKU_SO, "sue", |session| sue.register(session));
    as_user(&token, CKU_USER, "alice", |session| {
        stranger.register(session);
        assert_eq!(session.set_quorum_value(USER, 1), Err(Rv(CKR_USER_NOT_LOGGED_IN)));
        assert_eq!(session.request_approval(USER, 0), Err(Rv(CKR_USER_NOT_LOGGED_IN)));
    });
    as_so(&token, |session, _| {
        session.set_quorum_value(USER, 2).expect("SetQuorumValue");
        session.set_quorum_value(QUORUM, 2).expect("SetQuorumValue");
        assert_eq!(session.quorum_value(USER), Ok(2));
        assert_eq!(session.set_quorum_value(USER, 1), Err(REJECTED), "not taken back by one");
    });

    // Every way to change a user, PKCS#11's own among them.
    as_so(&token, |session, coffer| {
        assert_eq!(coffer.create(CKU_USER, "dave", "dave-password"), Err(REJECTED));
        assert_eq!(coffer.delete(CKU_USER, "carol"), Err(REJECTED));
        assert_eq!(coffer.set_pin(CKU_USER, "alice", "another-password"), Err(REJECTED));
        assert_eq!(coffer.set_type(CKU_SO, "carol", "another-password"), Err(REJECTED));
        assert_eq!(coffer.unlock(CKU_USER, "alice"), Err(REJECTED));
        assert_eq!(session.init_pin("another-password"), Err(REJECTED));
        session.set_pin(SO_PIN, SO_PIN).expect("one's own PIN is one's own");
    });
    token.session.login_user(CKU_USER, "alice", "alice-password").expect("nothing was changed");
    token.session.logout().expect("C_Logout");

    as_so(&token, |session, coffer| {
        let asked = session.request_approval(USER, 0).expect("RequestApproval");
        let show = |kind, name: &str, by: &Signer| {
            session.add_approval(&asked, kind, name, &by.sign(session, &asked))
        };
        show(CKU_SO, "admin", &admin).expect("AddApproval");
        show(CKU_SO, "admin", &admin).expect("the same once more");
        assert_eq!(coffer.create(CKU_USER, "dave", "dave-password"), Err(REJECTED), "one is not two");
        assert_eq!(show(CKU_SO, "sue", &stranger), Err(Rv(CKR_SIGNATURE_INVALID)));
        assert_eq!(show(CKU_USER, "alice", &stranger), Err(Rv(CKR_ACTION_PROHIBITED)), "no SO");
        assert_eq!(show(CKU_SO, "nobody", &sue), Err(Rv(CKR_ARGUMENTS_BAD)));
        let mut other = asked.clone();
        other[40] ^= 1;
        let signature = sue.sign(session, &other);
        assert_eq!(session.add_approval(&other, CKU_SO, "sue", &signature), Err(Rv(CKR_ARGUMENTS_BAD)));
        assert_eq!(session.set_quorum_value(USER, 1), Err(REJECTED), "another service");
        show(CKU_SO, "sue", &sue).expect("AddApproval");
        let waiting = session.approvals().expect("ListApprovals");
        assert_eq!((waiting.len(), waiting[0].given, waiting[0].required), (1, 2, 2));
        assert_eq!(coffer.create(CKU_USER, "alice", "pin-pin-pin"), Err(REJECTED), "there is one");
        coffer.create(CKU_USER, "dave", "dave-password").expect("what failed has spent nothing");
        assert_eq!(coffer.create(CKU_USER, "erin", "erin-password"), Err(REJECTED), "once");
        assert!(session.approvals().expect("ListApprovals").is_empty());
    });

    // An approval is for one user, and for one login of it.
    let asked = as_so(&token, |session, _| {
        let asked = session.request_approval(USER, 0).expect("RequestApproval");
        for (name, by) in [("admin", &admin), ("sue", &sue)] {
            session.add_approval(&asked, CKU_SO, name, &by.sign(session, &asked)).expect("AddApproval");
        }
        asked
    });
    as_so(&token, |_, coffer| assert_eq!(coffer.delete(CKU_USER, "dave"), Err(REJECTED)));
    as_user(&token, CKU_SO, "sue", |session| {
        let signature = sue.sign(session, &asked);
        assert_eq!(session.add_approval(&asked, CKU_SO, "sue", &signature), Err(Rv(CKR_ARGUMENTS_BAD)));
        session.delete_approvals(false).expect("her own, of which there are none");
        assert_eq!(session.approvals().expect("ListApprovals").len(), 1);
        session.delete_approvals(true).expect("DeleteApprovals");
    });

    // Nor does it end with too few left to approve anything.
    as_so(&token, |session, coffer| {
        let asked = session.request_approval(USER, 0).expect("RequestApproval");
        for (name, by) in [("admin", &admin), ("sue", &sue)] {
            session.add_approval(&asked, CKU_SO, name, &by.sign(session, &asked)).expect("AddApproval");
        }
        assert_eq!(coffer.delete(CKU_SO, "sue"), Err(Rv(CKR_ACTION_PROHIBITED)));
        assert_eq!(coffer.set_type(CKU_USER, "sue", "sue-password"), Err(Rv(CKR_ACTION_PROHIBITED)));
        coffer.delete(CKU_USER, "dave").expect("DeleteUser");
    });
}

fn aes(label: &str, guards: &[Attr]) -> Vec<Attr> {
    let yes = [CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_ENCRYPT, CKA_DECRYPT, CKA_DERIVE];
    let mut template = vec![Attr::ulong(CKA_VALUE_LEN, 32), Attr::label(label)];
    template.extend(yes.map(|attribute| Attr::bool(attribute, true)));
    template.extend([CKA_WRAP, CKA_UNWRAP].map(|attribute| Attr::bool(attribute, true)));
    template.extend_from_slice(guards);
    template
}

#[test]
fn a_key_that_two_of_its_users_use_and_manage_together() {
    let token = token();
    let session = &token.session;
    let [alice, bob, carol] = std::array::from_fn(|_| Signer::new(session));
    for (name, signer) in [("alice", &alice), ("bob", &bob), ("carol", &carol)] {
        as_user(&token, CKU_USER, name, |session| signer.register(session));
    }
    let make = Mechanism::new(CKM_AES_KEY_GEN);
    let cbc = Mechanism::bytes(CKM_AES_CBC_PAD, &[7; 16]);
    let wrap = Mechanism::new(CKM_AES_KEY_WRAP_KWP);
    let guards = [Attr::ulong(MANAGE, 2), Attr::ulong(USE, 2)];
    as_user(&token, CKU_USER, "alice", |session| {
        let refused = |attr: Attr| {
            let kind = attr.kind;
            let template: Vec<_> =
                aes("no", &guards).into_iter().filter(|there| there.kind != kind).chain([attr]).collect();
            session.generate_key(&make, &template).map(drop)
        };
        let inconsistent = Err(Rv(CKR_TEMPLATE_INCONSISTENT));
        for attribute in [CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE] {
            assert_eq!(refused(Attr::bool(attribute, false)), inconsistent, "{attribute:#x}");
        }
        assert_eq!(refused(Attr::ulong(USE, 9)), Err(Rv(CKR_ATTRIBUTE_VALUE_INVALID)));

        let key = session.generate_key(&make, &aes("k", &guards)).expect("C_GenerateKey");
        session.share(key, "bob").expect("whoever makes a key shares it");
        let other = session.generate_key(&make, &aes("other", &[])).expect("C_GenerateKey");
        assert_eq!(session.encrypt(&cbc, key, b"x").map(drop), Err(REJECTED));
        assert_eq!(session.wrap(&wrap, other, key).map(drop), Err(REJECTED), "out of the token");
        assert_eq!(session.wrap(&wrap, key, other).map(drop), Err(REJECTED), "with it");
        let copied = session.copy(key, &[Attr::label("a copy")]).map(drop);
        assert_eq!(copied, Err(Rv(CKR_ACTION_PROHIBITED)));
        assert_eq!(session.set(key, &[Attr::bool(CKA_EXTRACTABLE, false)]), Err(REJECTED));
        assert_eq!(session.set(key, &[Attr::ulong(USE, 0)]), Err(Rv(CKR_ATTRIBUTE_READ_ONLY)));
        let own = session.request_approval(KEY_USAGE, 0);
        assert_eq!(own, Err(Rv(CKR_ARGUMENTS_BAD)), "which key?");
    });
    as_user(&token, CKU_USER, "alice", |session| {
        let key = session.find(&[Attr::label("k")]).expect("C_FindObjects")[0];
        assert_eq!(session.share(key, "carol"), Err(REJECTED), "at another login");
        assert_eq!(session.unshare(key, "bob"), Err(Rv(CKR_ACTION_PROHIBITED)), "two are to be left");
    });
    as_user(&token, CKU_USER, "bob", |session| {
        let key = session.find(&[Attr::label("k")]).expect("C_FindObjects")[0];
        assert_eq!(session.encrypt(&cbc, key, b"x").map(drop), Err(REJECTED));
        let asked = session.request_approval(KEY_USAGE, key).expect("RequestApproval");
        let show =
            |name: &str, by: &Signer| session.add_approval(&asked, CKU_USER, name, &by.sign(session, &asked));
        show("bob", &bob).expect("one's own counts");
        assert_eq!(show("carol", &carol), Err(Rv(CKR_ACTION_PROHIBITED)), "the key is not shared with her");
        assert_eq!(session.encrypt(&cbc, key, b"x").map(drop), Err(REJECTED));
        show("alice", &alice).expect("AddApproval");
        let his = session.generate_key(&make, &aes("his", &[])).expect("C_GenerateKey");
        assert_eq!(session.wrap(&wrap, key, his).map(drop), Err(REJECTED), "another service");
        session.encrypt(&cbc, key, b"x").expect("two have approved");
        assert_eq!(session.encrypt(&cbc, key, b"x").map(drop), Err(REJECTED), "once");
    });
    as_user(&token, CKU_USER, "alice", |session| {
        let [key, other] =
            ["k", "other"].map(|label| session.find(&[Attr::label(label)]).expect("C_FindObjects")[0]);
        let approved = |service| {
            let asked = session.request_approval(service, key).expect("RequestApproval");
            for (name, by) in [("alice", &alice), ("bob", &bob)] {
                session.add_approval(&asked, CKU_USER, name, &by.sign(session, &asked)).expect("AddApproval");
            }
        };
        approved(KEY_MANAGEMENT);
        let wrapped = session.wrap(&wrap, other, key).expect("asking for the length spends nothing");
        assert_eq!(wrapped.len(), 40);
        assert_eq!(session.wrap(&wrap, other, key).map(drop), Err(REJECTED), "once");
        approved(KEY_MANAGEMENT);
        session.share(key, "carol").expect("ShareObject");
        approved(KEY_MANAGEMENT);
        session.unshare(key, "bob").expect("two are left");
        session.destroy(key).expect("destroying takes no approval");

        // A key that is only to be used by two is not wrapped out or shared by one either.
        let used = session.generate_key(&make, &aes("used", &guards[1..])).expect("C_GenerateKey");
        assert_eq!(session.wrap(&wrap, other, used).map(drop), Err(REJECTED));
        assert_eq!(session.set(used, &[Attr::label("mine")]), Err(REJECTED));
    });
}
