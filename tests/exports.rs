//! What the shared library shows to the loader: its symbols, its function lists, and how it stands beside others.

mod common;

use common::*;
use pkcs11_conformance::client::{Mechanism, Module};
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_void};
use std::path::Path;
use std::process::Command;
use std::ptr;

/// Every function, as the header that everybody includes has it in its lists.
fn names_in_header() -> BTreeSet<String> {
    let rows = include_str!("../include/pkcs11.h").lines().flat_map(|line| line.split("F(").skip(1));
    let names = rows.filter(|row| row.starts_with("C_")).filter_map(|row| row.split(',').next());
    names.map(String::from).collect()
}

fn exported() -> BTreeSet<String> {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(library()).output().expect("nm runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().filter_map(|line| line.split_whitespace().last()).map(String::from).collect()
}

/// The pointers of a function list, after its version.
fn pointers<T>(list: &'static T) -> &'static [*const c_void] {
    let words = size_of::<T>() / size_of::<*const c_void>();
    // SAFETY: a version padded to a pointer's size, then pointers alone.
    let words = unsafe { std::slice::from_raw_parts(ptr::from_ref(list).cast(), words) };
    &words[1..]
}

/// The file and the symbol an address belongs to.
fn owner(address: *const c_void) -> (String, String) {
    // SAFETY: all fields may be zero.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: an address, and where to write.
    assert_ne!(unsafe { libc::dladdr(address, &raw mut info) }, 0, "{address:?} is in no library");
    let text = |at: *const libc::c_char| match at.is_null() {
        true => String::new(),
        // SAFETY: NUL-terminated, since it is not NULL.
        false => unsafe { CStr::from_ptr(at) }.to_string_lossy().into_owned(),
    };
    (text(info.dli_fname), text(info.dli_sname))
}

fn open(path: &Path, flags: libc::c_int) -> *mut c_void {
    let name = CString::new(path.to_str().expect("a path in UTF-8")).expect("a path without NUL");
    // SAFETY: a NUL-terminated path; constructors run, as they must.
    let handle = unsafe { libc::dlopen(name.as_ptr(), flags) };
    if handle.is_null() {
        // SAFETY: after a failure, the loader's text.
        panic!("{}: {:?}", path.display(), unsafe { CStr::from_ptr(libc::dlerror()) });
    }
    handle
}

#[test]
fn the_library_exports_the_functions_of_the_standard_and_nothing_else() {
    let exported = exported();
    assert_eq!(exported, names_in_header());
    assert_eq!(exported.len(), 104);
}

#[test]
fn the_lists_are_full_and_of_three_versions() {
    let module = load().module;
    let (v2, v30, v32) = (module.v2_40(), module.v3_0().expect("3.0"), module.v3_2().expect("3.2"));
    assert_eq!((v2.version.major, v2.version.minor), (2, 40));
    assert_eq!((v30.version.major, v30.version.minor), (3, 0));
    assert_eq!((v32.version.major, v32.version.minor), (3, 2));
    let lists = [pointers(v2), pointers(v30), pointers(v32)];
    assert_eq!(lists.map(<[_]>::len), [68, 92, 104]);
    for list in lists {
        assert!(list.iter().all(|entry| !entry.is_null()));
        // Each list begins with the one before it.
        assert_eq!(list, &lists[2][..list.len()]);
        let distinct: BTreeSet<_> = list.iter().collect();
        assert_eq!(distinct.len(), list.len(), "two entries lead to one function");
    }
    let in_list: BTreeSet<String> = lists[2].iter().map(|entry| owner(*entry).1).collect();
    assert_eq!(in_list, names_in_header());
}

/// Name, version and flags asked for; the answer's code and the version of the list.
fn ask(name: Option<&CStr>, version: Option<(u8, u8)>, flags: CK_FLAGS) -> (CK_RV, Option<(u8, u8)>) {
    let get = load().module.get_interface().expect("C_GetInterface");
    let name = name.map_or(ptr::null_mut(), |name| name.as_ptr().cast_mut().cast());
    let mut version = version.map(|(major, minor)| CK_VERSION { major, minor });
    let version = version.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
    let mut found: *mut CK_INTERFACE = ptr::null_mut();
    // SAFETY: NULL or live values.
    let rv = unsafe { get(name, version, &raw mut found, flags) };
    // SAFETY: not NULL, so an interface whose list begins with a version.
    let says = (!found.is_null()).then(|| unsafe { *(*found).pFunctionList.cast::<CK_VERSION>() });
    (rv, says.map(|version| (version.major, version.minor)))
}

#[test]
fn c_getinterface_gives_what_is_asked_for() {
    let standard = Some(c"PKCS 11");
    assert_eq!(ask(None, None, 0), (CKR_OK, Some((3, 2))), "the default");
    assert_eq!(ask(standard, None, 0), (CKR_OK, Some((3, 2))));
    for version in [(2, 40), (3, 0), (3, 2)] {
        assert_eq!(ask(standard, Some(version), 0), (CKR_OK, Some(version)));
        assert_eq!(ask(None, Some(version), 0), (CKR_OK, Some(version)));
    }
    assert_eq!(ask(Some(c"Vendor Coffer"), None, 0), (CKR_OK, Some((1, 0))));
    for (name, version, flags) in [
        (None, Some((1, 0)), 0),
        (Some(c"PKCS 12"), None, 0),
        (Some(c"PKCS 11 "), None, 0),
        (Some(c""), None, 0),
        (standard, Some((3, 1)), 0),
        (standard, Some((2, 20)), 0),
        (standard, None, CKF_INTERFACE_FORK_SAFE),
    ] {
        assert_eq!(ask(name, version, flags), (CKR_ARGUMENTS_BAD, None), "{name:?} {version:?} {flags}");
    }
    // SAFETY: NULL is an answer's place that there is none.
    let rv = unsafe {
        (load().module.get_interface().expect("C_GetInterface"))(
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            0,
        )
    };
    assert_eq!(rv, CKR_ARGUMENTS_BAD);
}

#[test]
fn c_getinterfacelist_keeps_the_two_call_rule() {
    let list = load().module.v3_0().expect("3.0").C_GetInterfaceList.expect("C_GetInterfaceList");
    let mut rows = [CK_INTERFACE::default(); 5];
    let mut count = 2;
    // SAFETY: room for as many as said.
    assert_eq!(unsafe { list(rows.as_mut_ptr(), &raw mut count) }, CKR_BUFFER_TOO_SMALL);
    assert_eq!(count, 4);
    assert!(rows.iter().all(|row| row.pInterfaceName.is_null()), "written although there was no room");
    count = 5;
    // SAFETY: as above.
    assert_eq!(unsafe { list(rows.as_mut_ptr(), &raw mut count) }, CKR_OK);
    assert_eq!(count, 4);
    // SAFETY: NULL is a place that there is none.
    assert_eq!(unsafe { list(ptr::null_mut(), ptr::null_mut()) }, CKR_ARGUMENTS_BAD);
    let names: Vec<_> = load().module.interfaces().expect("interfaces").into_iter().map(|i| i.name).collect();
    assert_eq!(names, ["PKCS 11", "PKCS 11", "PKCS 11", "Vendor Coffer"]);
}

#[test]
fn another_module_in_the_global_scope_does_not_take_its_functions_over() {
    if in_child("another_module_in_the_global_scope_does_not_take_its_functions_over", &[]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (source, impostor) = (dir.path().join("impostor.c"), dir.path().join("libimpostor.so"));
    let functions: String = names_in_header()
        .iter()
        .map(|name| format!("unsigned long {name}(void) {{ return 0x99; }}\n"))
        .collect();
    std::fs::write(&source, functions).expect("a source file");
    let status =
        Command::new(c_compiler()).args(["-shared", "-fPIC", "-o"]).args([&impostor, &source]).status();
    assert!(status.expect("cc runs").success());
    open(&impostor, libc::RTLD_NOW | libc::RTLD_GLOBAL);
    let module = load().module;
    for entry in pointers(module.v3_2().expect("3.2")) {
        let (file, name) = owner(*entry);
        assert!(file.ends_with("libcoffer_pkcs11.so"), "{name} is {file}'s");
    }
    module.init().expect("C_Initialize");
}

#[test]
fn it_works_beside_the_systems_libcrypto() {
    if in_child("it_works_beside_the_systems_libcrypto", &[]) {
        return;
    }
    let Some(libcrypto) = ["libcrypto.so.3", "libcrypto.so.1.1"].iter().find_map(|name| {
        let name = CString::new(*name).expect("no NUL");
        // SAFETY: a NUL-terminated name.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        (!handle.is_null()).then_some(handle)
    }) else {
        eprintln!("no libcrypto on this system");
        return;
    };
    // SAFETY: the symbol has had this type in all versions.
    let sha256: unsafe extern "C" fn(*const u8, usize, *mut u8) -> *mut u8 = unsafe {
        let at = libc::dlsym(libcrypto, c"SHA256".as_ptr());
        assert!(!at.is_null());
        std::mem::transmute(at)
    };
    open(&library(), libc::RTLD_NOW | libc::RTLD_GLOBAL);
    let token = TestToken::new();
    let ours = token.session.digest(&Mechanism::new(CKM_SHA256), b"beside").expect("C_Digest");
    let mut theirs = [0; 32];
    // SAFETY: as many bytes as said, and room for a digest.
    unsafe { sha256(b"beside".as_ptr(), 6, theirs.as_mut_ptr()) };
    assert_eq!(ours, theirs);
    assert!(owner(sha256 as *const c_void).0.contains("libcrypto"));
}

/// The number of lines of /proc/self/maps, and bytes of resident memory.
fn footprint() -> (usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux").lines().count();
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = statm.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
    (maps, pages * 4096)
}

#[test]
fn it_can_be_loaded_and_let_go_a_hundred_times() {
    if in_child("it_can_be_loaded_and_let_go_a_hundred_times", &[]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    // SAFETY: no other thread reads the environment of this child.
    unsafe { std::env::set_var("COFFER_CONF", Settings::current().write(dir.path())) };
    let round = || {
        let handle = open(&library(), libc::RTLD_NOW | libc::RTLD_LOCAL);
        let mut list = ptr::null_mut();
        // SAFETY: the symbol's type is the standard's; the loader keeps what is linked with -z nodelete.
        let module = unsafe {
            let get = libc::dlsym(handle, c"C_GetFunctionList".as_ptr());
            let get: CK_C_GetFunctionList = std::mem::transmute(get);
            assert_eq!(get.expect("C_GetFunctionList")(&raw mut list), CKR_OK);
            Module::linked(&*list, None)
        };
        // A thread that ends after dlclose, with all that the library keeps for a thread.
        let (loaded, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            module.init().expect("C_Initialize");
            let slot = module.slots(true).expect("C_GetSlotList")[0];
            module.info().expect("C_GetInfo");
            module.token_info(slot).expect("C_GetTokenInfo");
            module.finalize().expect("C_Finalize");
            let _ = wait.recv();
        });
        // SAFETY: opened above.
        assert_eq!(unsafe { libc::dlclose(handle) }, 0);
        loaded.send(()).expect("the thread waits");
        thread.join().expect("the thread ends");
    };
    (0..10).for_each(|_| round());
    let before = footprint();
    (0..90).for_each(|_| round());
    let after = footprint();
    assert!(after.0 <= before.0 + 8, "{} mappings, then {}", before.0, after.0);
    // An emulator's own memory would be among it.
    let judged = runner().is_empty();
    assert!(!judged || after.1 <= before.1 + (2 << 20), "{} bytes, then {}", before.1, after.1);
}
