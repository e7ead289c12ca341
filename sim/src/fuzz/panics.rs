//! Machines that panic: a finding like any other, of which a fuzzer may make thousands while it makes a schedule small.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex};

/// Does something during which no panic prints anything, because whoever calls a machine catches and tells it. One that
/// nobody caught is the fuzzer's own, and is told after all.
pub fn silenced<T>(work: impl FnOnce() -> T) -> T {
    let last = Arc::new(Mutex::new(String::new()));
    let noted = last.clone();
    let hook = take_hook();
    set_hook(Box::new(move |panic| {
        *noted.lock().unwrap_or_else(|poison| poison.into_inner()) = panic.to_string();
    }));
    let outcome = catch_unwind(AssertUnwindSafe(work));
    set_hook(hook);
    outcome.unwrap_or_else(|panic| {
        eprintln!("{}", last.lock().unwrap_or_else(|poison| poison.into_inner()));
        resume_unwind(panic)
    })
}
