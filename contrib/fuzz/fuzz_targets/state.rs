//! State files: what is saved reads back equal, and damage never makes more of it.
#![no_main]

use homing::core::memory::Memory;
use homing::core::time::Timestamp;
use homing::state::{memory_in, write_text};
use homing_fuzz::bounds::bounded;
use homing_fuzz::bytes::Bytes;
use homing_fuzz::example;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| bounded(|| {
    let mut input = Bytes(input);
    let (how, place, count) = (input.byte(), input.long(), usize::from(input.word()));
    // The example is damaged where the rest is no state.
    let text = input.text();
    let memory = memory_in(&text).unwrap_or_else(|_| example::memory());
    let saved = bytes(&memory);
    let kept = std::str::from_utf8(&saved).expect("a state is text");
    assert_eq!(memory_in(kept).as_ref(), Ok(&memory));
    assert_eq!(bytes(&memory), saved);
    let place = usize::try_from(place).unwrap_or_default() % saved.len();
    match how % 4 {
        0 => {
            let mut flipped = saved.clone();
            flipped[place] ^= 1 << (count % 8);
            check_flipped(&flipped, &memory);
        }
        1 => {
            // The last line break says nothing.
            let is_whole = place + 1 == saved.len();
            let read = as_text(&saved[..place]);
            assert_eq!(read, is_whole.then_some(memory), "a beginning alone is no state");
        }
        2 => {
            let mut blank = saved.clone();
            let end = blank.len().min(place + 1 + count);
            blank[place..end].fill(if how & 4 == 0 { 0 } else { 0xff });
            assert!(as_text(&blank).is_none(), "a blank block is no state");
        }
        _ => {
            // A clock that goes back never makes anything newer than it is.
            let mut clamped = memory.clone();
            let now = Timestamp::from_secs(u64::from(u32::try_from(place).unwrap_or_default()));
            clamped.clamp(now);
            let confirmed = |memory: &Memory| {
                let entries = memory.hosts.values();
                let records = entries.flat_map(|entry| entry.families.iter().map(|(_, it)| it));
                records.filter_map(|record| Some(record.set.as_ref()?.confirmed)).max()
            };
            assert!(confirmed(&clamped) <= Some(now).max(None) || confirmed(&clamped).is_none());
            let mut again = clamped.clone();
            assert!(!again.clamp(now), "a second time changes nothing");
            assert_eq!(again, clamped);
        }
    }
}));

fn as_text(bytes: &[u8]) -> Option<Memory> {
    memory_in(std::str::from_utf8(bytes).ok()?).ok()
}

/// One bit is another one: it is noticed, or stood in what is allowed to be lost.
fn check_flipped(bytes: &[u8], memory: &Memory) {
    let Some(found) = as_text(bytes) else { return };
    let services = memory.services.clone();
    assert_eq!(Memory { services, ..found }, *memory, "a bit changed what is known");
}

fn bytes(memory: &Memory) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_text(memory, &mut bytes).expect("a list of bytes takes everything");
    bytes
}
