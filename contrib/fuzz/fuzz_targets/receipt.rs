//! Receipts: what is read is written and read the same again, and proves nothing that did not stand in it.
#![no_main]

use homing::core::token::upkeep::Proof;
use homing::receipt::fuzzing::{parse, text};
use homing_fuzz::bounds::bounded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bounded(|| {
    let Ok(file) = std::str::from_utf8(bytes) else { return };
    let Ok(receipt) = parse(file) else { return };
    // Moments are written in whole seconds, so that the second reading is the one to compare with.
    let written = text(&receipt);
    let again = parse(&written).expect("what was written is a receipt");
    assert_eq!(text(&again), written);
    assert_eq!(parse(&text(&again)), Ok(again.clone()));
    assert_eq!(
        (&again.id, &again.duties, &again.beyond),
        (&receipt.id, &receipt.duties, &receipt.beyond)
    );
    assert_eq!(again.ids().collect::<Vec<_>>(), receipt.ids().collect::<Vec<_>>());
    for duty in &receipt.duties {
        for is_wide in [false, true] {
            let proof = receipt.proof(&duty.host, &receipt.server, is_wide);
            assert_eq!(again.proof(&duty.host, &again.server, is_wide), proof);
            if matches!(proof, Proof::Narrow | Proof::NarrowToZone(_)) {
                assert!(receipt.proven.is_some() && receipt.beyond.is_none());
                assert!(receipt.revoked.is_none());
            }
        }
    }
}));
