//! Runs each case in a process of its own.
//!
//! The parent never loads the module: a child does, for one case, and says by a pipe what came. So a module's crash,
//! abort, exit or endless loop is that case's verdict, and no case sees what another left in memory.

use crate::case::{Case, Finding, Level, Policy, Verdict, glob};
use crate::context::{Context, Target};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// What to run, on what.
pub struct Suite {
    /// The module and its token.
    pub target: Target,
    /// By which rules.
    pub policy: Policy,
    /// Only cases whose id matches.
    pub only: String,
    /// How long a case may take.
    pub patience: Duration,
}

/// What a child says to its parent.
#[derive(Serialize, Deserialize)]
struct Word {
    verdict: Verdict,
    got: String,
    note: String,
}

impl Suite {
    /// Whether the case is to be run.
    pub fn wants(&self, case: &Case) -> bool {
        glob(&self.only, &case.id) && case.only.is_none_or(|policy| policy == self.policy)
    }

    /// Runs the cases; `seen` hears each finding as it comes.
    ///
    /// # Errors
    /// A sentence when the token cannot be prepared: then nothing can be said of the module.
    pub fn run(&self, cases: &[Case], mut seen: impl FnMut(&Finding)) -> Result<Vec<Finding>, String> {
        self.prepare()?;
        let mut findings = Vec::new();
        for case in cases.iter().filter(|case| self.wants(case)) {
            let finding = self.judge(case);
            seen(&finding);
            findings.push(finding);
            if case.destructive && self.target.may_init {
                self.prepare()?;
            }
        }
        Ok(findings)
    }

    /// Makes the token anew where that is allowed; elsewhere sees that the user can log in.
    fn prepare(&self) -> Result<(), String> {
        let word = self.child(false, || match self.target.prepare() {
            Ok(()) => Word { verdict: Verdict::Pass, got: String::new(), note: String::new() },
            Err(why) => Word { verdict: Verdict::Fail, got: why, note: String::new() },
        });
        if word.verdict == Verdict::Pass { Ok(()) } else { Err(format!("{} {}", word.got, word.note)) }
    }

    fn judge(&self, case: &Case) -> Finding {
        let word = if case.destructive && !self.target.may_init {
            let note = "it spoils the token, which --init would allow".into();
            Word { verdict: Verdict::NotRun, got: String::new(), note }
        } else {
            self.child(case.exits, || self.in_child(case))
        };
        Finding {
            id: case.id.clone(),
            chapter: case.chapter,
            does: case.does.clone(),
            want: case.want(self.policy).words(),
            got: word.got,
            verdict: word.verdict,
            note: word.note,
        }
    }

    fn in_child(&self, case: &Case) -> Word {
        let context = match Context::prepare(&self.target, self.policy, case.level) {
            Ok(context) => context,
            Err(why) => {
                return Word {
                    verdict: Verdict::Fail,
                    got: why,
                    note: format!("preparing {:?}", case.level),
                };
            }
        };
        let (verdict, got, note) = case.judge(self.policy, (case.run)(&context));
        if case.level != Level::Loaded {
            context.clean();
        }
        Word { verdict, got, note }
    }

    /// Runs `work` in a child; `exits`: the child ends by exit() and not at once.
    fn child(&self, exits: bool, work: impl FnOnce() -> Word) -> Word {
        let (reader, writer) = pipe();
        // SAFETY: the child uses memory, files and the module only, and never returns from this function.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                drop(reader);
                be_quiet();
                let word = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Word {
                    verdict: Verdict::Fail,
                    got: words(panic.as_ref()),
                    note: "seen by the client".into(),
                });
                let text = serde_json::to_vec(&word).unwrap_or_default();
                let _ = std::fs::File::from(writer).write_all(&text);
                // SAFETY: both end the process.
                unsafe { if exits { libc::exit(0) } else { libc::_exit(0) } }
            }
            child => {
                drop(writer);
                self.hear(child, reader)
            }
        }
    }

    /// Waits for the child's word and end.
    fn hear(&self, child: libc::pid_t, reader: OwnedFd) -> Word {
        let (file, deadline) = (std::fs::File::from(reader), Instant::now() + self.patience);
        let hung = !readable_until_end(&file, deadline);
        let status = wait(child, if hung { Instant::now() } else { deadline });
        let Some(status) = status.filter(|_| !hung) else {
            let note = format!("no answer in {} s", self.patience.as_secs());
            return Word { verdict: Verdict::Hang, got: String::new(), note };
        };
        let mut said = Vec::new();
        let _ = (&file).read_to_end(&mut said);
        if libc::WIFSIGNALED(status) {
            let got = signal_name(libc::WTERMSIG(status));
            return Word { verdict: Verdict::Crash, got, note: String::new() };
        }
        serde_json::from_slice(&said).unwrap_or_else(|_| Word {
            verdict: Verdict::Crash,
            got: format!("the process ended itself with {}", libc::WEXITSTATUS(status)),
            note: String::new(),
        })
    }
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: room for both ends.
    let failed = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0;
    assert!(!failed, "pipe: {}", std::io::Error::last_os_error());
    // SAFETY: fresh descriptors that nothing else owns.
    unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) }
}

/// A child's crash is a verdict: it should leave no core file and no message of the panic hook.
fn be_quiet() {
    std::panic::set_hook(Box::new(|_| {}));
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain system calls in a fresh child.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        let nowhere = libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY);
        libc::dup2(nowhere, 1);
        libc::dup2(nowhere, 2);
    }
}

/// Waits until every writer is gone; false if that lasts past the deadline. A word fits into the pipe's own buffer.
fn readable_until_end(file: &std::fs::File, deadline: Instant) -> bool {
    use std::os::fd::AsRawFd;
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).as_millis() as libc::c_int;
        let mut poll = libc::pollfd { fd: file.as_raw_fd(), events: 0, revents: 0 };
        // SAFETY: one descriptor.
        let events = unsafe { libc::poll(&raw mut poll, 1, left) };
        if events > 0 {
            return true;
        }
        if left == 0 {
            return false;
        }
    }
}

/// The child's status, or none if it had to be killed at the deadline.
fn wait(child: libc::pid_t, deadline: Instant) -> Option<libc::c_int> {
    let mut status = 0;
    loop {
        // SAFETY: our own child.
        match unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } {
            0 if Instant::now() < deadline => std::thread::sleep(Duration::from_micros(200)),
            0 => {
                // SAFETY: as above; the second call reaps it.
                unsafe {
                    libc::kill(child, libc::SIGKILL);
                    libc::waitpid(child, &raw mut status, 0);
                }
                return None;
            }
            _ => return Some(status),
        }
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).into())).unwrap_or_else(|| "a panic".into())
}

fn signal_name(signal: libc::c_int) -> String {
    match signal {
        libc::SIGSEGV => "SIGSEGV".into(),
        libc::SIGABRT => "SIGABRT".into(),
        libc::SIGBUS => "SIGBUS".into(),
        libc::SIGILL => "SIGILL".into(),
        libc::SIGFPE => "SIGFPE".into(),
        libc::SIGKILL => "SIGKILL".into(),
        other => format!("signal {other}"),
    }
}
