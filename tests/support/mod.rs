//! What several files of tests share, built once: homes, name servers, networks, and the two
//! pretended providers of `contrib`.

#[cfg(feature = "tokens")]
pub mod account;
pub mod chance;
pub mod clock;
pub mod home;
pub mod line;
pub mod name_servers;
pub mod netns;
pub mod power;
#[expect(clippy::duplicate_mod, reason = "the two pretended servers share some of their parts")]
#[path = "../../contrib/rails/server/mod.rs"]
pub mod rails;
pub mod router;
#[path = "../../contrib/sandbox/server/mod.rs"]
pub mod sandbox;
pub mod snapshot;
pub mod sources;
pub mod tls;
#[cfg(feature = "tokens")]
pub mod token_desk;
pub mod virtual_clock;

/// Checks every case, several at once; most of what a run of Homing does is waiting.
#[cfg(feature = "tokens")]
pub fn in_parallel<T: Sync>(cases: &[T], check: impl Fn(&T) + Sync) {
    use std::sync::atomic::{AtomicUsize, Ordering};

    const AT_ONCE: usize = 12;
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            check(case);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
}
