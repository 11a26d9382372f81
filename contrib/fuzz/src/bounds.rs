//! The bounds that hold for every input: 100 ms of this thread's CPU time, and 50 MB.
//!
//! libFuzzer measures a process, which holds its tables and its corpus; this measures what one input
//! costs.
#![expect(unsafe_code, reason = "an allocator that counts has no safe form")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustix::time::{ClockId, clock_gettime};

/// The most memory that one input may take at any moment, in bytes.
const MEMORY: usize = 50_000_000;
/// The most CPU time that one input may take, in milliseconds.
const TIME: i64 = 100;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which counts the bytes that are held.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        // SAFETY: the caller's promise about the layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the place came from `alloc` with this layout.
        unsafe { System.dealloc(place, layout) }
    }
}

/// Does `work`, and fails where it takes more than one input may.
pub fn bounded(work: impl FnOnce()) {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let begun = spent();
    work();
    let took = spent() - begun;
    let most = MOST.load(Relaxed).saturating_sub(before);
    assert!(most <= MEMORY, "{most} bytes were held at once");
    assert!(!cfg!(optimised) || took <= TIME, "{took} ms of CPU time");
}

/// The CPU time of this thread, in milliseconds.
fn spent() -> i64 {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    spent.tv_sec * 1000 + spent.tv_nsec / 1_000_000
}
