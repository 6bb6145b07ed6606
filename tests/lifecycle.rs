//! The library in a process: loaded, forked, finalised under load, called from exit handlers. C_Initialize
//! belongs to the process, so each test that calls it works in a child of its own.

use cryptoki_sys::*;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, ptr, thread};

/// The shared library beside this test.
fn library() -> PathBuf {
    let executable = env::current_exe().expect("a path to this test");
    let mut places = executable.ancestors().skip(1).take(2).map(|dir| dir.join("libcoffer_pkcs11.so"));
    places.find(|path| path.exists()).expect("libcoffer_pkcs11.so by the test")
}

/// An exported function, whose library stays loaded.
fn symbol<T: Copy>(name: &str) -> T {
    // SAFETY: our own library; the callers below ask for the standard's types.
    unsafe {
        let library = Box::leak(Box::new(libloading::Library::new(library()).expect("the library loads")));
        *library.get::<T>(name.as_bytes()).expect(name)
    }
}

fn functions() -> &'static CK_FUNCTION_LIST {
    let get: unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV = symbol("C_GetFunctionList");
    let mut list = ptr::null_mut();
    // SAFETY: a valid place; what comes back is a static.
    unsafe {
        assert_eq!(get(&mut list), CKR_OK);
        &*list
    }
}

/// Calls one function of the list.
macro_rules! c {
    ($list:expr, $name:ident($($arg:expr),*)) => {
        // SAFETY: the arguments are what the standard wants, or such as must be refused.
        unsafe { $list.$name.expect(stringify!($name))($($arg),*) }
    };
}

/// Runs the test `name` of this file in a child, which [`is_child`] tells.
fn in_child(name: &str) -> Output {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let configuration = dir.path().join("coffer.toml");
    std::fs::write(&configuration, format!("token_dir = {:?}\n", dir.path().join("tokens")))
        .expect("written");
    Command::new(env::current_exe().expect("a path to this test"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env("COFFER_CONF", configuration)
        .env("COFFER_LIFECYCLE_CHILD", "1")
        .output()
        .expect("the child runs")
}

fn is_child() -> bool {
    env::var_os("COFFER_LIFECYCLE_CHILD").is_some()
}

fn succeeds_in_child(name: &str) {
    let output = in_child(name);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Whether `body` is true in a forked child.
fn forked(body: impl FnOnce() -> bool) -> bool {
    // SAFETY: no other thread uses the library; the child leaves by _exit.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(!body() as i32),
            child => {
                let mut status = -1;
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                status == 0
            }
        }
    }
}

fn info(list: &CK_FUNCTION_LIST) -> CK_RV {
    let mut info = std::mem::MaybeUninit::<CK_INFO>::uninit();
    c!(list, C_GetInfo(info.as_mut_ptr()))
}

fn initialise(list: &CK_FUNCTION_LIST) -> CK_RV {
    c!(list, C_Initialize(ptr::null_mut()))
}

fn finalise(list: &CK_FUNCTION_LIST) -> CK_RV {
    c!(list, C_Finalize(ptr::null_mut()))
}

/// Initialises the library and a token in slot 0.
fn initialise_with_token(list: &CK_FUNCTION_LIST) {
    let (mut pin, mut label) = (*b"so-pin-87654321", [b' '; 32]);
    assert_eq!(initialise(list), CKR_OK);
    assert_eq!(c!(list, C_InitToken(0, pin.as_mut_ptr(), 15, label.as_mut_ptr())), CKR_OK);
}

unsafe extern "C" fn create_mutex(_: *mut *mut std::ffi::c_void) -> CK_RV {
    CKR_OK
}

unsafe extern "C" fn use_mutex(_: *mut std::ffi::c_void) -> CK_RV {
    CKR_OK
}

#[test]
fn initialises_and_ends_in_order() {
    if !is_child() {
        return succeeds_in_child("initialises_and_ends_in_order");
    }
    let list = functions();
    assert_eq!((list.version.major, list.version.minor), (2, 40));
    assert_eq!((info(list), finalise(list)), (CKR_CRYPTOKI_NOT_INITIALIZED, CKR_CRYPTOKI_NOT_INITIALIZED));

    let none = CK_C_INITIALIZE_ARGS {
        CreateMutex: None,
        DestroyMutex: None,
        LockMutex: None,
        UnlockMutex: None,
        flags: CKF_OS_LOCKING_OK,
        pReserved: ptr::null_mut(),
    };
    let four = CK_C_INITIALIZE_ARGS {
        CreateMutex: Some(create_mutex),
        DestroyMutex: Some(use_mutex),
        LockMutex: Some(use_mutex),
        UnlockMutex: Some(use_mutex),
        ..none
    };
    let mut byte = 0u8;
    for (mut args, expected) in [
        (CK_C_INITIALIZE_ARGS { UnlockMutex: None, ..four }, CKR_ARGUMENTS_BAD),
        (CK_C_INITIALIZE_ARGS { pReserved: (&raw mut byte).cast(), ..none }, CKR_ARGUMENTS_BAD),
        (CK_C_INITIALIZE_ARGS { flags: 0, ..four }, CKR_CANT_LOCK),
        (CK_C_INITIALIZE_ARGS { flags: CKF_LIBRARY_CANT_CREATE_OS_THREADS, ..none }, CKR_OK),
        (none, CKR_CRYPTOKI_ALREADY_INITIALIZED),
    ] {
        assert_eq!(c!(list, C_Initialize((&raw mut args).cast())), expected);
    }
    assert_eq!(c!(list, C_GetInfo(ptr::null_mut())), CKR_ARGUMENTS_BAD);
    assert_eq!(info(list), CKR_OK);
    assert_eq!(c!(list, C_Finalize((&raw mut byte).cast())), CKR_ARGUMENTS_BAD);
    for _ in 0..3 {
        assert_eq!((finalise(list), info(list)), (CKR_OK, CKR_CRYPTOKI_NOT_INITIALIZED));
        assert_eq!((initialise(list), info(list)), (CKR_OK, CKR_OK));
    }
}

#[test]
fn interfaces_are_found_by_name_version_and_flags() {
    let get: unsafe extern "C" fn(*mut u8, *mut CK_VERSION, *mut *mut CK_INTERFACE, CK_FLAGS) -> CK_RV =
        symbol("C_GetInterface");
    let find = |name: Option<&std::ffi::CStr>, version: Option<(u8, u8)>, flags| {
        let mut version = version.map(|(major, minor)| CK_VERSION { major, minor });
        let name = name.map_or(ptr::null_mut(), |name| name.as_ptr().cast_mut().cast());
        let version = version.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        let mut interface = ptr::null_mut();
        // SAFETY: all are NULL or valid; what comes back is a static whose list begins with its version.
        unsafe {
            match get(name, version, &mut interface, flags) {
                CKR_OK => {
                    let version = *(*interface).pFunctionList.cast::<CK_VERSION>();
                    Ok((version.major, version.minor))
                }
                refusal => Err(refusal),
            }
        }
    };
    assert_eq!(find(None, None, 0), Ok((3, 2)));
    assert_eq!(find(Some(c"PKCS 11"), None, 0), Ok((3, 2)));
    for version in [(2, 40), (3, 0), (3, 2)] {
        assert_eq!(find(Some(c"PKCS 11"), Some(version), 0), Ok(version));
        assert_eq!(find(None, Some(version), 0), Ok(version));
    }
    for version in [(3, 1), (2, 20), (4, 0)] {
        assert_eq!(find(None, Some(version), 0), Err(CKR_ARGUMENTS_BAD));
    }
    assert_eq!(find(Some(c"Vendor X"), None, 0), Err(CKR_ARGUMENTS_BAD));
    assert_eq!(find(Some(c"PKCS 1"), None, 0), Err(CKR_ARGUMENTS_BAD));
    assert_eq!(find(None, None, CKF_INTERFACE_FORK_SAFE), Err(CKR_ARGUMENTS_BAD));
}

#[test]
fn all_interfaces_are_listed() {
    let all: unsafe extern "C" fn(*mut CK_INTERFACE, *mut CK_ULONG) -> CK_RV = symbol("C_GetInterfaceList");
    let empty = CK_INTERFACE { pInterfaceName: ptr::null_mut(), pFunctionList: ptr::null_mut(), flags: 0 };
    let (mut count, mut three) = (77, [empty; 3]);
    // SAFETY: NULL, or room as `count` says.
    unsafe {
        assert_eq!((all(ptr::null_mut(), &mut count), count), (CKR_OK, 3));
        count = 2;
        assert_eq!((all(three.as_mut_ptr(), &mut count), count), (CKR_BUFFER_TOO_SMALL, 3));
        assert!(three[0].pFunctionList.is_null());
        assert_eq!((all(three.as_mut_ptr(), &mut count), count), (CKR_OK, 3));
        assert_eq!(all(three.as_mut_ptr(), ptr::null_mut()), CKR_ARGUMENTS_BAD);
    }
    assert!(three.iter().any(|one| one.pFunctionList.cast_const() == ptr::from_ref(functions()).cast()));
}

#[test]
fn a_forked_child_starts_over() {
    if !is_child() {
        return succeeds_in_child("a_forked_child_starts_over");
    }
    let (list, mut session) = (functions(), 0);
    initialise_with_token(list);
    assert_eq!(c!(list, C_OpenSession(0, CKF_SERIAL_SESSION, ptr::null_mut(), None, &mut session)), CKR_OK);
    assert!(forked(|| {
        info(list) == CKR_CRYPTOKI_NOT_INITIALIZED
            && c!(list, C_CloseSession(session)) == CKR_CRYPTOKI_NOT_INITIALIZED
            && finalise(list) == CKR_CRYPTOKI_NOT_INITIALIZED
            && initialise(list) == CKR_OK
            && c!(list, C_CloseSession(session)) == CKR_SESSION_HANDLE_INVALID
            && forked(|| info(list) == CKR_CRYPTOKI_NOT_INITIALIZED)
            && finalise(list) == CKR_OK
    }));
    assert_eq!(c!(list, C_CloseSession(session)), CKR_OK);
    assert_eq!(finalise(list), CKR_OK);
    assert!(forked(|| initialise(list) == CKR_OK));
}

#[test]
fn every_call_ends_with_a_code_while_others_finalise() {
    if !is_child() {
        return succeeds_in_child("every_call_ends_with_a_code_while_others_finalise");
    }
    let (list, done, good) = (functions(), AtomicBool::new(false), AtomicUsize::new(0));
    let work = || {
        let (mut slots, mut count, mut session, mut random) = ([0; 8], 8, 0, [0u8; 64]);
        for code in [
            c!(list, C_GetSlotList(CK_TRUE, slots.as_mut_ptr(), &mut count)),
            c!(list, C_OpenSession(0, CKF_SERIAL_SESSION, ptr::null_mut(), None, &mut session)),
            c!(list, C_GenerateRandom(session, random.as_mut_ptr(), 64)),
        ] {
            let ended = [CKR_CRYPTOKI_NOT_INITIALIZED, CKR_SESSION_HANDLE_INVALID];
            assert!(code == CKR_OK || ended.contains(&code), "{code:#x}");
            good.fetch_add((code == CKR_OK) as usize, Ordering::Relaxed);
        }
    };
    initialise_with_token(list);
    assert_eq!(finalise(list), CKR_OK);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    work();
                }
            });
        }
        for _ in 0..50 {
            assert_eq!(initialise(list), CKR_OK);
            thread::sleep(Duration::from_millis(2));
            assert_eq!(finalise(list), CKR_OK);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(good.load(Ordering::Relaxed) > 0, "no call ever came through");
}

#[test]
fn one_of_many_initialises() {
    if !is_child() {
        return succeeds_in_child("one_of_many_initialises");
    }
    let list = functions();
    let codes: Vec<CK_RV> = thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| initialise(list))).collect();
        all.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == CKR_OK).count(), 1, "{codes:x?}");
    let expected = [CKR_OK, CKR_CRYPTOKI_ALREADY_INITIALIZED];
    assert!(codes.iter().all(|code| expected.contains(code)), "{codes:x?}");
}

#[test]
fn exit_handlers_may_still_call() {
    if !is_child() {
        let output = in_child("exit_handlers_may_still_call");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("exit handler: 0x0 0x0 0x190"), "{said}");
        return;
    }
    extern "C" fn at_exit() {
        let list = functions();
        eprintln!("exit handler: {:#x} {:#x} {:#x}", info(list), finalise(list), info(list));
    }
    // Registered before the library is there, so it runs after all that the library might register.
    // SAFETY: a plain function.
    assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
    assert_eq!(initialise(functions()), CKR_OK);
}

#[test]
fn exports_the_standards_names_and_no_others() {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(library()).output();
    let Ok(output) = output else { return eprintln!("there is no nm here") };
    let text = String::from_utf8(output.stdout).expect("names");
    let names: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(names.len(), 68 + 24 + 12);
    assert!(names.iter().all(|name| name.starts_with("C_")), "{names:?}");
}
