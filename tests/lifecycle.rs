//! C_Initialize to C_Finalize, fork and exit (sections 5.4, 6.6 and 6.7): every call ends with a code, at any moment.

mod common;

use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Module, Rv, Session};
use std::path::Path;
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The user's session with the token of `label`, in a library that may have been initialised anew.
fn session(module: Module, label: &str) -> Session {
    let slot = module.slot_by_label(label).expect("the token is there");
    let session = module.open_session(slot, true).expect("C_OpenSession");
    session.login(CKU_USER, USER_PIN).expect("C_Login");
    session
}

fn token_aes(label: &str) -> Vec<Attr> {
    vec![
        Attr::ulong(CKA_VALUE_LEN, 16),
        Attr::bool(CKA_TOKEN, true),
        Attr::bool(CKA_ENCRYPT, true),
        Attr::label(label),
    ]
}

const AES_KEY_GEN: CK_MECHANISM_TYPE = CKM_AES_KEY_GEN;

#[test]
fn c_initialize_judges_its_arguments() {
    if in_child("c_initialize_judges_its_arguments", &[]) {
        return;
    }
    unsafe extern "C" fn make(_: *mut *mut std::ffi::c_void) -> CK_RV {
        CKR_GENERAL_ERROR
    }
    unsafe extern "C" fn use_it(_: *mut std::ffi::c_void) -> CK_RV {
        CKR_GENERAL_ERROR
    }
    let module = load().module;
    let arguments = |mutexes: bool, flags: CK_FLAGS| CK_C_INITIALIZE_ARGS {
        CreateMutex: mutexes.then_some(make),
        DestroyMutex: mutexes.then_some(use_it),
        LockMutex: mutexes.then_some(use_it),
        UnlockMutex: mutexes.then_some(use_it),
        flags,
        pReserved: ptr::null_mut(),
    };
    for mut fine in [
        arguments(false, 0),
        arguments(false, CKF_OS_LOCKING_OK),
        arguments(true, CKF_OS_LOCKING_OK),
        arguments(false, CKF_LIBRARY_CANT_CREATE_OS_THREADS | CKF_OS_LOCKING_OK),
    ] {
        module.init_with(&mut fine).expect("C_Initialize");
        assert_eq!(module.init_with(&mut fine), Err(Rv(CKR_CRYPTOKI_ALREADY_INITIALIZED)));
        assert_eq!(module.init_null(), Err(Rv(CKR_CRYPTOKI_ALREADY_INITIALIZED)));
        module.finalize().expect("C_Finalize");
    }
    assert_eq!(module.init_with(&mut arguments(true, 0)), Err(Rv(CKR_CANT_LOCK)));
    let mut some = arguments(true, CKF_OS_LOCKING_OK);
    some.UnlockMutex = None;
    assert_eq!(module.init_with(&mut some), Err(Rv(CKR_ARGUMENTS_BAD)));
    let mut reserved = arguments(false, CKF_OS_LOCKING_OK);
    reserved.pReserved = ptr::from_mut(&mut reserved).cast();
    assert_eq!(module.init_with(&mut reserved), Err(Rv(CKR_ARGUMENTS_BAD)));

    module.init_null().expect("C_Initialize(NULL)");
    let finalize = module.v2_40().C_Finalize.expect("C_Finalize");
    let mut anything = 0u8;
    // SAFETY: an argument that must not be there; nothing is read from it.
    assert_eq!(unsafe { finalize((&raw mut anything).cast()) }, CKR_ARGUMENTS_BAD);
    module.info().expect("still initialised");
    module.finalize().expect("C_Finalize");
    assert_eq!(module.finalize(), Err(Rv(CKR_CRYPTOKI_NOT_INITIALIZED)));
}

/// Calls everything but what works without C_Initialize, with zeros for arguments.
fn call_all(module: Module) -> Vec<CK_RV> {
    type Any =
        unsafe extern "C" fn(usize, usize, usize, usize, usize, usize, usize, usize, usize, usize) -> CK_RV;
    let list = module.v3_2().expect("3.2");
    let always = [
        list.C_Initialize.map(|f| f as usize),
        list.C_GetFunctionList.map(|f| f as usize),
        list.C_GetInterface.map(|f| f as usize),
        list.C_GetInterfaceList.map(|f| f as usize),
    ];
    // SAFETY: a version padded to a pointer, then function pointers alone.
    let entries = unsafe { std::slice::from_raw_parts(ptr::from_ref(list).cast::<usize>(), 105) };
    let entries = entries[1..].iter().filter(|entry| !always.contains(&Some(**entry)));
    // SAFETY: the caller cleans the stack, so arguments beyond a function's own do no harm.
    entries
        .map(|entry| unsafe { std::mem::transmute::<usize, Any>(*entry)(0, 0, 0, 0, 0, 0, 0, 0, 0, 0) })
        .collect()
}

#[test]
fn without_c_initialize_every_function_says_so() {
    if in_child("without_c_initialize_every_function_says_so", &[]) {
        return;
    }
    let module = load().module;
    assert_eq!(call_all(module), [CKR_CRYPTOKI_NOT_INITIALIZED; 100]);
    module.init().expect("C_Initialize");
    module.finalize().expect("C_Finalize");
    assert_eq!(call_all(module), [CKR_CRYPTOKI_NOT_INITIALIZED; 100]);
}

#[test]
fn it_starts_over_twenty_times() {
    if in_child("it_starts_over_twenty_times", &[]) {
        return;
    }
    let TestToken { module, label, session: first, .. } = TestToken::new();
    first.generate_key(&Mechanism::new(AES_KEY_GEN), &token_aes("stays")).expect("C_GenerateKey");
    let mut handle = first.leave();
    for round in 0..20 {
        module.finalize().expect("C_Finalize");
        module.init().expect("C_Initialize");
        let old = Session::from_handle(module, handle);
        assert_eq!(old.info().err(), Some(Rv(CKR_SESSION_HANDLE_INVALID)), "round {round}");
        old.leave();
        let slot = module.slot_by_label(&label).expect("the token is there");
        let session = module.open_session(slot, true).expect("C_OpenSession");
        assert_eq!(session.state(), Ok(CKS_RW_PUBLIC_SESSION), "C_Finalize logs out");
        assert_eq!(Session::from_handle(module, handle).info().err(), Some(Rv(CKR_SESSION_HANDLE_INVALID)));
        session.login(CKU_USER, USER_PIN).expect("C_Login");
        session.create_object(&[Attr::class(CKO_DATA), Attr::label("goes")]).expect("a session object");
        assert_eq!(session.find(&[Attr::label("stays")]).expect("C_FindObjects").len(), 1);
        assert_eq!(session.find(&[Attr::label("goes")]).expect("C_FindObjects").len(), 1);
        handle = session.leave();
    }
}

fn compile(arguments: &[&str], source: &str, out: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(c_compiler())
        .args(["-Wall", "-Wextra", "-Werror", "-I"])
        .arg(root.join("include"))
        .args(["-o"])
        .args([out, &root.join("tests/lifecycle").join(source)])
        .args(arguments)
        .output()
        .expect("cc runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn calls_from_exit_handlers_and_destructors_come_back() {
    let token = TestToken::public();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (program, other) = (dir.path().join("exit"), dir.path().join("libother.so"));
    compile(&["-rdynamic", "-ldl", "-lpthread"], "exit.c", &program);
    compile(&["-shared", "-fPIC"], "other.c", &other);
    let limit = "60";
    let output = Command::new("timeout")
        .arg(limit)
        .args(runner())
        .args([&program, &library(), &other])
        .output()
        .expect("timeout runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().count(), 5, "{said}");
    token.session.info().expect("the token is as it was");
}

/// Runs `body` in a forked child and says how that ended: 0 if `body` came back, 101 if it panicked, and by signal
/// SIGALRM if it hung.
fn forked(body: impl FnOnce()) -> i32 {
    // SAFETY: the child keeps to the module, memory and panics, and leaves by _exit.
    match unsafe { libc::fork() } {
        -1 => panic!("fork"),
        0 => {
            // SAFETY: no argument can be wrong.
            unsafe { libc::alarm(30) };
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // SAFETY: as above.
            unsafe { libc::_exit(if ended.is_ok() { 0 } else { 101 }) }
        }
        child => {
            let mut status = -1;
            // SAFETY: a child of ours and an address to write to.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            status
        }
    }
}

/// What a child may expect of a library that its parent has initialised.
fn child_starts_over(module: Module, inherited: &Session, label: &str) {
    assert_eq!(inherited.info().err(), Some(Rv(CKR_CRYPTOKI_NOT_INITIALIZED)));
    assert_eq!(inherited.sign_once(b"data").err(), Some(Rv(CKR_CRYPTOKI_NOT_INITIALIZED)));
    assert_eq!(module.finalize(), Err(Rv(CKR_CRYPTOKI_NOT_INITIALIZED)));
    module.init().expect("C_Initialize in the child");
    assert_eq!(inherited.info().err(), Some(Rv(CKR_SESSION_HANDLE_INVALID)));
    let own = session(module, label);
    let key = own.find(&[Attr::label("shared")]).expect("C_FindObjects")[0];
    own.encrypt(&Mechanism::new(CKM_AES_ECB), key, &[7; 16]).expect("C_Encrypt");
    let made =
        own.generate_key(&Mechanism::new(AES_KEY_GEN), &token_aes("the child's")).expect("C_GenerateKey");
    own.destroy(made).expect("C_DestroyObject");
    own.close().expect("C_CloseSession");
    module.finalize().expect("C_Finalize in the child");
}

#[test]
fn a_child_starts_over_and_the_parent_goes_on() {
    if in_child("a_child_starts_over_and_the_parent_goes_on", &[]) {
        return;
    }
    let token = TestToken::new();
    let (module, parent) = (token.module, &token.session);
    parent.generate_key(&Mechanism::new(AES_KEY_GEN), &token_aes("shared")).expect("C_GenerateKey");
    let sha256 = Mechanism::new(CKM_SHA256);
    for round in 0..5 {
        parent.digest_init(&sha256).expect("C_DigestInit");
        parent.digest_update(b"before the fork, ").expect("C_DigestUpdate");
        let status = forked(|| child_starts_over(module, parent, &token.label));
        assert_eq!(status, 0, "round {round}");
        parent.digest_update(b"after it").expect("C_DigestUpdate");
        let whole = parent.digest_final().expect("C_DigestFinal");
        assert_eq!(parent.digest(&sha256, b"before the fork, after it"), Ok(whole));
        assert_eq!(parent.find(&[Attr::label("the child's")]), Ok(vec![]));
        assert_eq!(parent.state(), Ok(CKS_RW_USER_FUNCTIONS));
    }
    // Two random generators that began as one must not say the same.
    let mut ends = [0; 2];
    // SAFETY: room for two.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    let status = forked(|| {
        module.init().expect("C_Initialize");
        let random = session(module, &token.label).random(32).expect("C_GenerateRandom");
        // SAFETY: as many bytes as said.
        assert_eq!(unsafe { libc::write(ends[1], random.as_ptr().cast(), 32) }, 32);
    });
    assert_eq!(status, 0);
    let mut childs = [0u8; 32];
    // SAFETY: as many bytes as said.
    assert_eq!(unsafe { libc::read(ends[0], childs.as_mut_ptr().cast(), 32) }, 32);
    assert_ne!(parent.random(32).expect("C_GenerateRandom"), childs);
}

#[test]
fn forks_while_other_threads_write_harm_nobody() {
    if in_child("forks_while_other_threads_write_harm_nobody", &[]) {
        return;
    }
    let token = TestToken::new();
    let (module, aes) = (token.module, Mechanism::new(AES_KEY_GEN));
    token.session.generate_key(&aes, &token_aes("shared")).expect("C_GenerateKey");
    let done = AtomicBool::new(false);
    let written = AtomicU64::new(0);
    let rounds = if std::env::var_os("COFFER_LONG").is_some() { 400 } else { 12 };
    thread::scope(|scope| {
        for writer in 0..3 {
            let (token, done, written, aes) = (&token, &done, &written, &aes);
            scope.spawn(move || {
                let session = token.rw();
                while !done.load(Ordering::Relaxed) {
                    let label = format!("writer {writer}");
                    let key = session.generate_key(aes, &token_aes(&label)).expect("C_GenerateKey");
                    session.encrypt(&Mechanism::new(CKM_AES_ECB), key, &[0; 4096]).expect("C_Encrypt");
                    session.digest(&Mechanism::new(CKM_SHA256), &[0; 4096]).expect("C_Digest");
                    session.destroy(key).expect("C_DestroyObject");
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let stop = Stop(&done);
        for round in 0..rounds {
            thread::sleep(Duration::from_micros(500 * (round % 7)));
            let status = forked(|| child_starts_over(module, &token.session, &token.label));
            assert_eq!(status, 0, "round {round}");
        }
        drop(stop);
    });
    assert!(written.into_inner() > 0);
    let left = token.session.find(&[Attr::bool(CKA_TOKEN, true)]).expect("C_FindObjects");
    assert_eq!(left.len(), 1, "what is left is the shared key");
}

/// AWS-LC looks for forks under locks, at every draw of random bytes.
#[test]
fn forks_while_other_threads_draw_random_bytes_harm_nobody() {
    if in_child("forks_while_other_threads_draw_random_bytes_harm_nobody", &[]) {
        return;
    }
    let token = TestToken::new();
    let done = AtomicBool::new(false);
    let ecdsa = Mechanism::new(CKM_ECDSA);
    let p256 = [Attr::bytes(CKA_EC_PARAMS, b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")];
    let pair = || Mechanism::new(CKM_EC_KEY_PAIR_GEN);
    let rounds = if std::env::var_os("COFFER_LONG").is_some() { 1000 } else { 150 };
    thread::scope(|scope| {
        for drawer in 0..3 {
            let (token, done, ecdsa, p256) = (&token, &done, &ecdsa, &p256);
            scope.spawn(move || {
                let session = token.rw();
                let sign = [Attr::bool(CKA_SIGN, true)];
                let (_, private) =
                    session.generate_key_pair(&pair(), p256, &sign).expect("C_GenerateKeyPair");
                while !done.load(Ordering::Relaxed) {
                    match drawer {
                        0 => session.sign(ecdsa, private, &[7; 32]).map(drop).expect("C_Sign"),
                        // More than the thread's store gives.
                        _ => session.random(600).map(drop).expect("C_GenerateRandom"),
                    }
                }
            });
        }
        let stop = Stop(&done);
        for round in 0..rounds {
            let status = forked(|| {
                token.module.init().expect("C_Initialize in the child");
                session(token.module, &token.label).random(600).expect("C_GenerateRandom in the child");
            });
            assert_eq!(status, 0, "round {round}");
        }
        drop(stop);
    });
}

/// Tells the threads of a scope to end, also when the test fails: the scope waits for them.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Codes that a call may end with while the library is being finalised and initialised: sessions end with it, and their
/// objects with them.
const SENT_HOME: [CK_RV; 4] = [
    CKR_CRYPTOKI_NOT_INITIALIZED,
    CKR_SESSION_HANDLE_INVALID,
    CKR_OBJECT_HANDLE_INVALID,
    CKR_KEY_HANDLE_INVALID,
];

/// A round of everything; how many calls said CKR_OK. Another code than those of `SENT_HOME` is a failure.
fn work(module: Module, slot: CK_SLOT_ID) -> Result<u64, Rv> {
    let session = module.open_session(slot, true)?;
    session.random(64)?;
    session.digest(&Mechanism::new(CKM_SHA256), &[1; 1000])?;
    let template =
        [Attr::ulong(CKA_VALUE_LEN, 32), Attr::bool(CKA_PRIVATE, false), Attr::bool(CKA_ENCRYPT, true)];
    let key = session.generate_key(&Mechanism::new(AES_KEY_GEN), &template)?;
    session.encrypt(&Mechanism::bytes(CKM_AES_CBC_PAD, &[2; 16]), key, &[3; 5000])?;
    session.find(&[Attr::class(CKO_SECRET_KEY)])?;
    session.destroy(key)?;
    session.close()?;
    Ok(7)
}

#[test]
fn every_call_ends_while_another_thread_finalises() {
    if in_child("every_call_ends_while_another_thread_finalises", &[]) {
        return;
    }
    let TestToken { module, slot, session, .. } = TestToken::new();
    session.leave();
    let (done, good, refused) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let rounds = if std::env::var_os("COFFER_LONG").is_some() { 3000 } else { 60 };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    match work(module, slot) {
                        Ok(calls) => good.fetch_add(calls, Ordering::Relaxed),
                        Err(rv) if SENT_HOME.contains(&rv.0) => refused.fetch_add(1, Ordering::Relaxed),
                        Err(other) => panic!("{other}"),
                    };
                }
            });
        }
        let _stop = Stop(&done);
        for round in 0..rounds {
            thread::sleep(Duration::from_micros(700 * (round % 5)));
            let begun = Instant::now();
            module.finalize().expect("C_Finalize");
            assert!(begun.elapsed() < Duration::from_secs(10), "C_Finalize took {:?}", begun.elapsed());
            module.init().expect("C_Initialize");
        }
        while good.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
    });
    assert!(refused.into_inner() > 0, "no call ever met C_Finalize");
    let session = module.open_session(slot, false).expect("C_OpenSession");
    assert_eq!(session.find(&[]), Ok(vec![]), "session objects of a session that is gone");
}

#[test]
fn of_many_that_initialise_one_does() {
    if in_child("of_many_that_initialise_one_does", &[]) {
        return;
    }
    let module = load().module;
    for _ in 0..10 {
        let codes: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| module.init())).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(codes.iter().filter(|code| code.is_ok()).count(), 1, "{codes:?}");
        let rest = codes.iter().filter(|code| **code == Err(Rv(CKR_CRYPTOKI_ALREADY_INITIALIZED)));
        assert_eq!(rest.count(), 7, "{codes:?}");
        module.finalize().expect("C_Finalize");
    }
}

#[test]
fn a_storm_of_signals_interrupts_nothing() {
    if in_child("a_storm_of_signals_interrupts_nothing", &[]) {
        return;
    }
    static SIGNALS: AtomicU64 = AtomicU64::new(0);
    extern "C" fn count(_: libc::c_int) {
        SIGNALS.fetch_add(1, Ordering::Relaxed);
    }
    let token = TestToken::new();
    // SAFETY: all fields may be zero; without SA_RESTART, system calls give EINTR.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as *const () as usize;
        assert_eq!(libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut()), 0);
        let every = libc::timeval { tv_sec: 0, tv_usec: 1000 };
        let timer = libc::itimerval { it_interval: every, it_value: every };
        assert_eq!(libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()), 0);
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(800) {
        let session = token.rw();
        let key =
            session.generate_key(&Mechanism::new(AES_KEY_GEN), &token_aes("storm")).expect("C_GenerateKey");
        session.set(key, &[Attr::label("calm")]).expect("C_SetAttributeValue");
        session.encrypt(&Mechanism::new(CKM_AES_ECB), key, &[0; 1 << 16]).expect("C_Encrypt");
        assert_eq!(session.find(&[Attr::label("calm")]), Ok(vec![key]));
        session.random(1 << 16).expect("C_GenerateRandom");
        session.destroy(key).expect("C_DestroyObject");
    }
    token.module.finalize().expect("C_Finalize");
    token.module.init().expect("C_Initialize");
    session(token.module, &token.label).close().expect("C_CloseSession");
    token.session.leave();
    assert!(SIGNALS.load(Ordering::Relaxed) > 100, "{SIGNALS:?} signals");
}

/// Has the kernel end the process when this thread starts another one.
#[cfg(target_arch = "x86_64")]
fn die_of_new_threads() {
    // Goes on `jt` further behind if it is that call, else `jf`.
    let is = |call: libc::c_long, jt, jf| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt,
        jf,
        k: call as u32,
    };
    let ret = |k| libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k };
    // The number of the system call comes first in what a filter sees.
    let load =
        libc::sock_filter { code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, jt: 0, jf: 0, k: 0 };
    let mut filter = [
        load,
        is(libc::SYS_clone, 1, 0),
        is(libc::SYS_clone3, 0, 1),
        ret(libc::SECCOMP_RET_KILL_PROCESS),
        ret(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: a filter of that length, read before the call comes back.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
}

/// CKF_LIBRARY_CANT_CREATE_OS_THREADS (section 5.4): a login, which otherwise opens objects on all cores, keeps to one.
#[cfg(target_arch = "x86_64")]
#[test]
fn no_thread_is_started_where_none_may_be() {
    if in_child("no_thread_is_started_where_none_may_be", &[]) {
        return;
    }
    let token = TestToken::new();
    for number in 0..400 {
        let template = token_aes(&format!("key {number}"));
        token.session.generate_key(&Mechanism::new(AES_KEY_GEN), &template).expect("C_GenerateKey");
    }
    let log_in_with = |flags: CK_FLAGS| {
        let status = forked(|| {
            // SAFETY: zeros are no functions, no flags and nothing reserved.
            let mut arguments: CK_C_INITIALIZE_ARGS = unsafe { std::mem::zeroed() };
            arguments.flags = flags;
            token.module.init_with(&mut arguments).expect("C_Initialize");
            die_of_new_threads();
            let session = session(token.module, &token.label);
            assert_eq!(session.find(&[Attr::class(CKO_SECRET_KEY)]).expect("C_FindObjects").len(), 400);
            session.close().expect("C_CloseSession");
            token.module.finalize().expect("C_Finalize");
        });
        (libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)), status)
    };
    assert_eq!(log_in_with(CKF_OS_LOCKING_OK | CKF_LIBRARY_CANT_CREATE_OS_THREADS), (None, 0));
    let cores = thread::available_parallelism().expect("a number").get();
    if cores > 1 {
        assert_eq!(log_in_with(CKF_OS_LOCKING_OK).0, Some(libc::SIGSYS), "the filter sees threads");
    }
}
