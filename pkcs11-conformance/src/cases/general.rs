//! General-purpose functions (section 5.4), function lists (section 5.1) and fork.

use super::entry::{FUNCTIONS, Words};
use crate::case::{Case, Level, Outcome, Setup, Stop};
use crate::client::{Rv, call, text};
use crate::context::{Context, FINE, expect, that};
use cryptoki_sys::*;
use std::ptr;

const CHAPTER: &str = "5.4 General purpose";

pub fn cases() -> Vec<Case> {
    let loaded = |id, does, want: &'static [CK_RV], run: fn(&Context) -> Outcome| {
        Case::new(id, CHAPTER, does, want, run).level(Level::Loaded)
    };
    let ready = |id, does, want: &'static [CK_RV], run: fn(&Context) -> Outcome| {
        Case::new(id, CHAPTER, does, want, run).level(Level::Initialised)
    };
    let mut cases = vec![
        ready("general.init-twice", "initialises a second time", &[CKR_CRYPTOKI_ALREADY_INITIALIZED], |x| {
            Ok(Rv::of(&x.module.init()))
        }),
        loaded("general.init-null", "initialises with NULL arguments", &[CKR_OK], |x| {
            Ok(Rv::of(&x.module.init_null()))
        }),
        loaded("general.init-reserved", "initialises with pReserved set", &[CKR_ARGUMENTS_BAD], |x| {
            let mut args = CK_C_INITIALIZE_ARGS { pReserved: ptr::dangling_mut(), ..Default::default() };
            Ok(Rv::of(&x.module.init_with(&mut args)))
        }),
        loaded("general.init-half-mutexes", "gives one mutex function of four", &[CKR_ARGUMENTS_BAD], |x| {
            let mut args = CK_C_INITIALIZE_ARGS { CreateMutex: Some(no_mutex), ..Default::default() };
            Ok(Rv::of(&x.module.init_with(&mut args)))
        }),
        loaded(
            "general.init-no-threads",
            "forbids the library to make threads",
            &[CKR_OK, CKR_NEED_TO_CREATE_THREADS],
            |x| {
                let flags = CKF_LIBRARY_CANT_CREATE_OS_THREADS | CKF_OS_LOCKING_OK;
                let mut args = CK_C_INITIALIZE_ARGS { flags, ..Default::default() };
                Ok(Rv::of(&x.module.init_with(&mut args)))
            },
        ),
        loaded(
            "general.finalize-first",
            "finalises without having initialised",
            &[CKR_CRYPTOKI_NOT_INITIALIZED],
            |x| Ok(Rv::of(&x.module.finalize())),
        ),
        ready("general.finalize-reserved", "finalises with pReserved set", &[CKR_ARGUMENTS_BAD], |x| {
            Ok(call!(x.module.v2_40(), C_Finalize(ptr::dangling_mut())))
        }),
        ready("general.init-again", "finalises and initialises ten times", &[CKR_OK], |x| {
            for _ in 0..10 {
                x.module.finalize().setup("C_Finalize")?;
                x.module.init().setup("C_Initialize")?;
            }
            Ok(Rv::of(&x.module.slots(true)))
        }),
        ready(
            "general.finalize-ends-sessions",
            "uses a session of before C_Finalize",
            &[CKR_SESSION_HANDLE_INVALID],
            |x| {
                let old = x.open(true)?;
                x.module.finalize().setup("C_Finalize")?;
                x.module.init().setup("C_Initialize")?;
                Ok(Rv::of(&old.info()))
            },
        ),
        ready(
            "general.info",
            "reads C_GetInfo: a known version, no flags, fields padded with blanks",
            &[CKR_OK],
            info,
        ),
        loaded("general.list-2-40", "reads the version of C_GetFunctionList's list", &[CKR_OK], |x| {
            let version = x.module.v2_40().version;
            // A caller that sees 3.x here reads entries that a 2.40 list does not have.
            that(
                (version.major, version.minor) <= (2, 40),
                format!("it says {}.{}", version.major, version.minor),
            )?;
            FINE
        }),
        loaded("general.list-is-full", "looks for NULL in the function lists", &[CKR_OK], no_null_entries),
        loaded("general.list-null", "asks C_GetFunctionList to write to NULL", &[CKR_ARGUMENTS_BAD], |x| {
            Ok(call!(x.module.v2_40(), C_GetFunctionList(ptr::null_mut())))
        }),
        loaded(
            "general.interfaces",
            "lists the interfaces: \"PKCS 11\", none twice, the default first asked",
            &[CKR_OK],
            interfaces,
        ),
        loaded("general.interface-default", "asks for the default interface (NULL, NULL)", &[CKR_OK], |x| {
            Ok(get_interface(x, None, None)?.0)
        }),
        loaded("general.interface-unknown-name", "asks for an interface nobody has", &REFUSALS, |x| {
            Ok(get_interface(x, Some(c"No such interface"), None)?.0)
        }),
        loaded("general.interface-unknown-version", "asks for \"PKCS 11\" 9.9", &REFUSALS, |x| {
            Ok(get_interface(x, Some(c"PKCS 11"), Some((9, 9)))?.0)
        }),
        ready("general.fork", "asks C_GetSlotList in a forked child", &[CKR_CRYPTOKI_NOT_INITIALIZED], |x| {
            in_fork(|| Rv::of(&x.module.slots(true)))
        }),
        ready("general.fork-init", "initialises in a forked child and lists slots", &[CKR_OK], |x| {
            in_fork(|| match x.module.init() {
                Err(rv) if rv != CKR_CRYPTOKI_ALREADY_INITIALIZED => rv,
                _ => Rv::of(&x.module.slots(true)),
            })
        }),
        ready(
            "general.fork-parent",
            "goes on in the parent after a child has come and gone",
            &[CKR_OK],
            |x| {
                let session = x.open(true)?;
                let _ = in_fork(|| Rv::of(&x.module.init()))?;
                session.info().setup("C_GetSessionInfo")?;
                Ok(Rv::of(&session.random(16)))
            },
        ),
        ready("general.exit", "ends the process without C_Finalize", &[CKR_OK], |x| {
            x.open(true)?.leave();
            FINE
        })
        .exits(),
        ready("general.exit-finalised", "ends the process after C_Finalize", &[CKR_OK], |x| {
            Ok(Rv::of(&x.module.finalize()))
        })
        .exits(),
        ready(
            "general.event",
            "asks for a slot event without waiting",
            &[CKR_NO_EVENT, CKR_OK, CKR_FUNCTION_NOT_SUPPORTED],
            |x| Ok(Rv::of(&x.module.wait_for_slot_event(CKF_DONT_BLOCK))),
        ),
    ];
    // Every function before C_Initialize.
    cases.extend(FUNCTIONS.iter().map(|function| {
        let does = format!("calls {} before C_Initialize", function.name);
        Case::new(
            format!("general.not-init.{}", function.name),
            CHAPTER,
            does,
            &[CKR_CRYPTOKI_NOT_INITIALIZED],
            |x| {
                function
                    .call(&x.module, &room())
                    .ok_or_else(|| Stop::NotOffered(format!("{} is in no list", function.name)))
            },
        )
        .level(Level::Loaded)
    }));
    cases
}

const REFUSALS: [CK_RV; 4] =
    [CKR_ARGUMENTS_BAD, CKR_FUNCTION_FAILED, CKR_FUNCTION_NOT_SUPPORTED, CKR_GENERAL_ERROR];

/// Words that are fit to be an address to write to or a length to read.
fn room() -> Words {
    let place = Box::leak(Box::new([0usize; 512]));
    [place.as_mut_ptr() as usize; 10]
}

unsafe extern "C" fn no_mutex(_: *mut *mut std::ffi::c_void) -> CK_RV {
    CKR_OK
}

fn info(x: &Context) -> Outcome {
    let info = x.module.info().setup("C_GetInfo")?;
    let version = (info.cryptokiVersion.major, info.cryptokiVersion.minor);
    that(
        [(2, 20), (2, 30), (2, 40), (3, 0), (3, 1), (3, 2)].contains(&version),
        format!("cryptokiVersion {version:?}"),
    )?;
    that(info.flags == 0, format!("flags {:#x}", info.flags))?;
    for field in [&info.manufacturerID, &info.libraryDescription] {
        that(!field.contains(&0), format!("{:?} has a NUL instead of blanks", text(field)))?;
    }
    FINE
}

fn no_null_entries(x: &Context) -> Outcome {
    for function in FUNCTIONS.iter().filter(|function| function.is_listed(&x.module)) {
        that(function.exists(&x.module), format!("NULL for {}", function.name))?;
    }
    FINE
}

fn interfaces(x: &Context) -> Outcome {
    let rows = x.module.interfaces().setup("C_GetInterfaceList")?;
    for (at, row) in rows.iter().enumerate() {
        let same =
            |other: &&crate::client::Interface| (&other.name, other.version) == (&row.name, row.version);
        that(!rows[..at].iter().any(|other| same(&other)), format!("{row:?} twice"))?;
    }
    that(rows.iter().any(|row| row.name == "PKCS 11"), format!("no \"PKCS 11\" in {rows:?}"))?;
    for row in rows.iter().filter(|row| row.name == "PKCS 11") {
        let (rv, version) = get_interface(x, Some(c"PKCS 11"), Some(row.version))?;
        expect("C_GetInterface", &rv.ok(), &[CKR_OK])?;
        that(version == row.version, format!("asked for {:?}, got {version:?}", row.version))?;
    }
    FINE
}

/// C_GetInterface: the code, and the version of the list it led to.
fn get_interface(
    x: &Context,
    name: Option<&std::ffi::CStr>,
    version: Option<(u8, u8)>,
) -> Result<(Rv, (u8, u8)), Stop> {
    let get = x.module.get_interface().ok_or_else(|| Stop::NotOffered("no C_GetInterface".into()))?;
    let mut wanted = version.map(|(major, minor)| CK_VERSION { major, minor });
    let name = name.map_or(ptr::null_mut(), |name| name.as_ptr().cast_mut().cast());
    let mut found: *mut CK_INTERFACE = ptr::null_mut();
    let version = wanted.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
    // SAFETY: a NUL-terminated name or NULL, a version or NULL, and an address to write to.
    let rv = Rv(unsafe { get(name, version, &raw mut found, 0) });
    if rv != CKR_OK {
        return Ok((rv, (0, 0)));
    }
    that(!found.is_null(), "CKR_OK and NULL")?;
    // SAFETY: CKR_OK means an interface, whose list begins with its version.
    let version = unsafe { *(*found).pFunctionList.cast::<CK_VERSION>() };
    Ok((rv, (version.major, version.minor)))
}

/// Calls the module in a forked child of this process.
fn in_fork(work: impl FnOnce() -> Rv) -> Outcome {
    let mut ends = [0; 2];
    // SAFETY: room for both ends; the child ends itself at once after its word.
    unsafe {
        that(libc::pipe(ends.as_mut_ptr()) == 0, "pipe")?;
        let child = libc::fork();
        if child == 0 {
            libc::alarm(10);
            let rv = work().0;
            libc::write(ends[1], (&raw const rv).cast(), size_of::<CK_RV>());
            libc::_exit(0);
        }
        libc::close(ends[1]);
        let mut rv: CK_RV = 0;
        let got = libc::read(ends[0], (&raw mut rv).cast(), size_of::<CK_RV>());
        let mut status = 0;
        libc::waitpid(child, &raw mut status, 0);
        that(got == size_of::<CK_RV>() as isize, format!("the forked child died (status {status:#x})"))?;
        Ok(Rv(rv))
    }
}
