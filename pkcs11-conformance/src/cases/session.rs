//! Session management (section 5.6): states, login, what ends with what.

use super::slot::wrong;
use crate::case::{Case, Level, Outcome, Setup, Stop};
use crate::client::{Attr, Mechanism, Rv, Session};
use crate::context::{Context, FINE, expect, that};
use cryptoki_sys::*;

const CHAPTER: &str = "5.6 Sessions";

pub fn cases() -> Vec<Case> {
    let at = |level: Level| {
        move |id, does, want: &'static [CK_RV], run: fn(&Context) -> Outcome| {
            Case::new(id, CHAPTER, does, want, run).level(level)
        }
    };
    let (ready, public, user) = (at(Level::Initialised), at(Level::Public), at(Level::User));
    let mut cases = vec![
        ready(
            "session.parallel",
            "opens a session without CKF_SERIAL_SESSION",
            &[CKR_SESSION_PARALLEL_NOT_SUPPORTED],
            |x| Ok(x.module.open_session_flags(x.slot, CKF_RW_SESSION).map_or_else(|rv| rv, |_| Rv(CKR_OK))),
        ),
        ready("session.handles", "opens a hundred sessions: handles are not 0 and differ", &[CKR_OK], |x| {
            let sessions = (0..100).map(|_| x.open(true)).collect::<Result<Vec<_>, _>>()?;
            let mut handles: Vec<_> = sessions.iter().map(Session::handle).collect();
            handles.sort_unstable();
            handles.dedup();
            that(handles.len() == 100 && handles[0] != CK_INVALID_HANDLE, "a handle is 0 or came twice")?;
            FINE
        }),
        ready("session.close-twice", "closes a session twice", &[CKR_SESSION_HANDLE_INVALID], |x| {
            let session = x.open(true)?;
            let again = Session::from_handle(x.module, session.handle());
            session.close().setup("C_CloseSession")?;
            Ok(Rv::of(&again.close()))
        }),
        ready(
            "session.close-all",
            "uses a session after C_CloseAllSessions",
            &[CKR_SESSION_HANDLE_INVALID],
            |x| {
                let session = x.open(true)?;
                x.module.close_all_sessions(x.slot).setup("C_CloseAllSessions")?;
                Ok(Rv::of(&session.info()))
            },
        ),
        public(
            "session.state-shared",
            "logs in by one session and reads the state of another",
            &[CKR_OK],
            |x| {
                let (rw, ro) = (x.open(true)?, x.open(false)?);
                is(&rw, CKS_RW_PUBLIC_SESSION)?;
                is(&ro, CKS_RO_PUBLIC_SESSION)?;
                x.s().login(CKU_USER, &x.target.pin).setup("C_Login")?;
                is(&rw, CKS_RW_USER_FUNCTIONS)?;
                is(&ro, CKS_RO_USER_FUNCTIONS)?;
                is(&x.open(false)?, CKS_RO_USER_FUNCTIONS)?;
                rw.logout().setup("C_Logout")?;
                is(x.s(), CKS_RW_PUBLIC_SESSION)?;
                FINE
            },
        ),
        public("session.state-so", "logs in as SO and reads the state", &[CKR_OK], |x| {
            x.s().login(CKU_SO, x.so_pin()?).setup("C_Login")?;
            is(x.s(), CKS_RW_SO_FUNCTIONS)?;
            FINE
        }),
        public(
            "session.last-close-logs-out",
            "closes the last session after login and opens another",
            &[CKR_OK],
            |x| {
                x.s().login(CKU_USER, &x.target.pin).setup("C_Login")?;
                x.module.close_all_sessions(x.slot).setup("C_CloseAllSessions")?;
                is(&x.open(true)?, CKS_RW_PUBLIC_SESSION)?;
                FINE
            },
        ),
        user("session.login-twice", "logs in twice", &[CKR_USER_ALREADY_LOGGED_IN], |x| {
            Ok(Rv::of(&x.s().login(CKU_USER, &x.target.pin)))
        }),
        user(
            "session.login-other",
            "logs in as SO while the user is",
            &[CKR_USER_ANOTHER_ALREADY_LOGGED_IN],
            |x| Ok(Rv::of(&x.s().login(CKU_SO, x.so_pin()?))),
        ),
        public(
            "session.login-wrong-pin",
            "logs in with a wrong PIN, then with the right one",
            &[CKR_OK],
            |x| {
                expect("the wrong PIN", &x.s().login(CKU_USER, &wrong(&x.target.pin)), &[CKR_PIN_INCORRECT])?;
                Ok(Rv::of(&x.s().login(CKU_USER, &x.target.pin)))
            },
        ),
        public(
            "session.login-user-type",
            "logs in as a user type nobody knows",
            &[CKR_USER_TYPE_INVALID],
            |x| Ok(Rv::of(&x.s().login(77, &x.target.pin))),
        ),
        user(
            "session.login-context",
            "logs in for a context without an operation",
            &[CKR_OPERATION_NOT_INITIALIZED],
            |x| Ok(Rv::of(&x.s().login(CKU_CONTEXT_SPECIFIC, &x.target.pin))),
        ),
        public(
            "session.logout-nobody",
            "logs out when nobody is logged in",
            &[CKR_USER_NOT_LOGGED_IN],
            |x| Ok(Rv::of(&x.s().logout())),
        ),
        public(
            "session.so-with-read-only",
            "logs in as SO beside a read-only session",
            &[CKR_SESSION_READ_ONLY_EXISTS],
            |x| {
                let _ro = x.open(false)?;
                Ok(Rv::of(&x.s().login(CKU_SO, x.so_pin()?)))
            },
        ),
        public(
            "session.read-only-with-so",
            "opens a read-only session beside the SO",
            &[CKR_SESSION_READ_WRITE_SO_EXISTS],
            |x| {
                x.s().login(CKU_SO, x.so_pin()?).setup("C_Login")?;
                Ok(x.module.open_session(x.slot, false).map_or_else(|rv| rv, |_| Rv(CKR_OK)))
            },
        ),
        user(
            "session.read-only-token-object",
            "creates a token object in a read-only session",
            &[CKR_SESSION_READ_ONLY],
            |x| {
                let data = [&[Attr::class(CKO_DATA)][..], &x.on_token()].concat();
                Ok(Rv::of(&x.open(false)?.create_object(&data)))
            },
        ),
        user(
            "session.read-only-destroy",
            "destroys a token object in a read-only session",
            &[CKR_SESSION_READ_ONLY],
            |x| {
                let data = [&[Attr::class(CKO_DATA)][..], &x.on_token()].concat();
                let object = x.s().create_object(&data).setup("C_CreateObject")?;
                Ok(Rv::of(&x.open(false)?.destroy(object)))
            },
        ),
        user(
            "session.read-only-set",
            "sets an attribute of a token object in a read-only session",
            &[CKR_SESSION_READ_ONLY],
            |x| {
                let data = [&[Attr::class(CKO_DATA)][..], &x.on_token()].concat();
                let object = x.s().create_object(&data).setup("C_CreateObject")?;
                Ok(Rv::of(&x.open(false)?.set(object, &[Attr::bytes(CKA_VALUE, b"new")])))
            },
        ),
        user(
            "session.read-only-session-object",
            "creates a session object in a read-only session",
            &[CKR_OK],
            |x| {
                Ok(Rv::of(
                    &x.open(false)?.create_object(&[Attr::class(CKO_DATA), Attr::bool(CKA_TOKEN, false)]),
                ))
            },
        ),
        public(
            "session.public-private-object",
            "creates a private object without login",
            &[CKR_USER_NOT_LOGGED_IN],
            |x| {
                let data =
                    [Attr::class(CKO_DATA), Attr::bool(CKA_TOKEN, false), Attr::bool(CKA_PRIVATE, true)];
                Ok(Rv::of(&x.s().create_object(&data)))
            },
        ),
        user("session.so-private-object", "creates a private object as SO", &[CKR_USER_NOT_LOGGED_IN], |x| {
            x.s().logout().setup("C_Logout")?;
            x.s().login(CKU_SO, x.so_pin()?).setup("C_Login")?;
            let data = [Attr::class(CKO_DATA), Attr::bool(CKA_TOKEN, false), Attr::bool(CKA_PRIVATE, true)];
            Ok(Rv::of(&x.s().create_object(&data)))
        }),
        user(
            "session.objects-die-with-it",
            "reads a session object after its session was closed",
            &[CKR_OBJECT_HANDLE_INVALID],
            |x| {
                let other = x.open(true)?;
                let data = [Attr::class(CKO_DATA), Attr::bool(CKA_TOKEN, false)];
                let object = other.create_object(&data).setup("C_CreateObject")?;
                x.s().attribute(object, CKA_CLASS).setup("C_GetAttributeValue from another session")?;
                other.close().setup("C_CloseSession")?;
                Ok(Rv::of(&x.s().attribute(object, CKA_CLASS)))
            },
        ),
        user(
            "session.logout-hides-private",
            "uses the handle of a private object after logout",
            &[CKR_OBJECT_HANDLE_INVALID],
            |x| {
                let private = [Attr::class(CKO_DATA), Attr::bool(CKA_PRIVATE, true)];
                let object =
                    x.s().create_object(&[&private[..], &x.on_token()].concat()).setup("C_CreateObject")?;
                x.s().logout().setup("C_Logout")?;
                Ok(Rv::of(&x.s().attribute(object, CKA_CLASS)))
            },
        ),
        user(
            "session.logout-finds-no-private",
            "looks for a private token object after logout",
            &[CKR_OK],
            |x| {
                let private = [Attr::class(CKO_DATA), Attr::bool(CKA_PRIVATE, true)];
                x.s().create_object(&[&private[..], &x.on_token()].concat()).setup("C_CreateObject")?;
                that(x.s().find(&x.on_token()).setup("find")?.len() == 1, "not found while logged in")?;
                x.s().logout().setup("C_Logout")?;
                that(x.s().find(&x.on_token()).setup("find")?.is_empty(), "found after logout")?;
                FINE
            },
        ),
        user(
            "session.private-session-object-dies",
            "looks for a private session object after logout and login",
            &[CKR_OBJECT_HANDLE_INVALID],
            |x| {
                let private =
                    [Attr::class(CKO_DATA), Attr::bool(CKA_PRIVATE, true), Attr::bool(CKA_TOKEN, false)];
                let object = x.s().create_object(&private).setup("C_CreateObject")?;
                x.s().logout().setup("C_Logout")?;
                x.s().login(CKU_USER, &x.target.pin).setup("C_Login")?;
                Ok(Rv::of(&x.s().attribute(object, CKA_CLASS)))
            },
        ),
        user(
            "session.key-use-in-another",
            "uses one session's session key in another session",
            &[CKR_OK],
            |x| {
                x.need(CKM_AES_ECB, CKF_ENCRYPT)?;
                let key = x.aes(16, &[Attr::bool(CKA_ENCRYPT, true)]).setup("C_GenerateKey")?;
                Ok(Rv::of(&x.open(true)?.encrypt(&Mechanism::new(CKM_AES_ECB), key, &[0; 16])))
            },
        ),
        public(
            "session.parallel-functions",
            "calls C_GetFunctionStatus and C_CancelFunction",
            &[CKR_FUNCTION_NOT_PARALLEL],
            |x| {
                expect("C_GetFunctionStatus", &x.s().function_status(), &[CKR_FUNCTION_NOT_PARALLEL])?;
                Ok(Rv::of(&x.s().cancel_function()))
            },
        ),
        public("session.random", "draws random bytes twice", &[CKR_OK], |x| {
            let (a, b) =
                (x.s().random(64).setup("C_GenerateRandom")?, x.s().random(64).setup("C_GenerateRandom")?);
            that(a != b && a != [0; 64], "the bytes are the same")?;
            FINE
        }),
        public("session.random-none", "draws no random bytes", &[CKR_OK, CKR_ARGUMENTS_BAD], |x| {
            Ok(Rv::of(&x.s().random(0)))
        }),
        public("session.random-large", "draws a mebibyte of random bytes", &[CKR_OK], |x| {
            Ok(Rv::of(&x.s().random(1 << 20)))
        }),
        public("session.seed", "seeds the random generator", &[CKR_OK, CKR_RANDOM_SEED_NOT_SUPPORTED], |x| {
            Ok(Rv::of(&x.s().seed_random(b"a seed that adds something")))
        }),
        public("session.fork-random", "draws random bytes in parent and forked child", &[CKR_OK], |x| {
            // A child that continues the parent's generator repeats the parent's keys.
            let (child, parent) = (fork_random(x)?, x.s().random(32).setup("C_GenerateRandom")?);
            that(child != parent, "the child draws the parent's bytes")?;
            FINE
        }),
    ];
    cases.push(
        Case::new("session.login-user", CHAPTER, "logs in by C_LoginUser without a name", &[CKR_OK], |x| {
            Ok(Rv::of(&x.s().login_user(CKU_USER, "", &x.target.pin))).and_then(lacking)
        })
        .level(Level::Public),
    );
    cases
}

fn lacking(rv: Rv) -> Outcome {
    if rv == Rv::ABSENT || rv == CKR_FUNCTION_NOT_SUPPORTED {
        Err(Stop::NotOffered(rv.to_string()))
    } else {
        Ok(rv)
    }
}

fn is(session: &Session, want: CK_STATE) -> Result<(), Stop> {
    let state = session.state().setup("C_GetSessionInfo")?;
    that(state == want, format!("state {state} and not {want}"))
}

/// 32 random bytes drawn in a forked child, or nothing where the child may not use the module without C_Initialize: then
/// those after it.
fn fork_random(x: &Context) -> Result<Vec<u8>, Stop> {
    let mut ends = [0; 2];
    // SAFETY: the child draws, writes and ends itself.
    unsafe {
        that(libc::pipe(ends.as_mut_ptr()) == 0, "pipe")?;
        let child = libc::fork();
        if child == 0 {
            libc::alarm(10);
            let drawn = x.s().random(32).or_else(|_| {
                x.module.init()?;
                x.module.open_session(x.slot, true)?.random(32)
            });
            let bytes = drawn.unwrap_or_default();
            libc::write(ends[1], bytes.as_ptr().cast(), bytes.len());
            libc::_exit(0);
        }
        libc::close(ends[1]);
        let mut bytes = vec![0u8; 32];
        let got = libc::read(ends[0], bytes.as_mut_ptr().cast(), 32);
        libc::waitpid(child, std::ptr::null_mut(), 0);
        that(got == 32, "the forked child drew nothing")?;
        Ok(bytes)
    }
}
