//! Texts that are either built in or written by a user, and texts as values of TOML.

use std::borrow::Cow;

/// Text that is either built in or written by the user.
pub type Text = Cow<'static, str>;

/// `text` as a string of TOML in double quotes (TOML 1.0, section String).
pub fn toml_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            // Invisible characters, and those that change the text direction, are written as numbers.
            _ if c.is_alphanumeric() => quoted.push(c),
            _ if u32::from(c) > 0xffff => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            _ => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}
