//! Key files and files with one secret: what is read is written and read the same again.
#![no_main]

use homing::config::secret::one_line;
use homing::core::wire::key_file::{is_secret, parse, text};
use homing::core::wire::tsig::Algorithm;
use homing_fuzz::bounds::bounded;
use homing_fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bounded(|| {
    let mut bytes = Bytes(bytes);
    match bytes.byte() % 3 {
        0 => check_line(bytes.rest()),
        1 => check(&bytes.text()),
        _ => {
            let algorithm = bytes.one_of(&Algorithm::ALL);
            let name = String::from_utf8_lossy(bytes.short()).into_owned();
            let secret = bytes.text();
            check(&format!("key \"{name}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};"));
        }
    }
}));

fn check(file: &str) {
    let (key, secret) = match parse(file) {
        Ok(found) => found,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(is_secret(secret.expose()));
    assert!(file.contains(secret.expose()), "the secret is not in the file");
    assert!(!format!("{key:?} {secret:?}").contains(secret.expose()) || secret.expose().len() < 12);
    assert_eq!(parse(&text(&key, &secret)), Ok((key, secret)));
}

fn check_line(bytes: &[u8]) {
    let Ok(secret) = one_line(bytes) else { return };
    let line = secret.expose();
    assert!(!line.is_empty() && line.trim() == line && !line.chars().any(char::is_control));
    assert!(bytes.starts_with(line.as_bytes()), "the secret is not the file's first line");
    let again = one_line(&[line.as_bytes(), b"\r\n"].concat());
    assert_eq!(again.as_ref(), Ok(&secret));
}
