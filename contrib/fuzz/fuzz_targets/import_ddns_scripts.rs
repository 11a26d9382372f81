//! Files of ddns-scripts, imported.
#![no_main]

use homing::import::Client;
use homing_fuzz::bounds::bounded;
use homing_fuzz::import::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bounded(|| check(
    Client::DdnsScripts,
    bytes,
    "\toption password '{}'"
)));
