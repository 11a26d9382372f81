//! Key files in BIND's form, as `tsig-keygen` writes them and `nsupdate -k` reads them (named.conf(5),
//! the statement `key`).
//!
//! Pure: text in, a key out, and a key as text. Reading the file and checking its mode are the
//! shell's work.

use std::fmt;

use super::dns::Name;
use super::tsig::{Algorithm, TsigKey};
use crate::core::secret::Secret;

/// Why a text is no key file; never holds any part of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyFileError {
    /// The key's hash is not known here.
    Algorithm,
    /// There is no statement `key`, or it is not complete.
    Form,
    /// The key's name is not valid.
    Name,
    /// The secret is not in Base64, or empty.
    Secret,
    /// There are several keys.
    Several,
}

/// The one key in `text`, with its secret in Base64.
pub fn parse(text: &str) -> Result<(TsigKey, Secret), KeyFileError> {
    let mut words = Words { rest: text };
    let mut found = None;
    while let Some(word) = words.next_word()? {
        if word == ";" {
            continue;
        }
        if word != "key" {
            return Err(KeyFileError::Form);
        }
        if found.replace(statement(&mut words)?).is_some() {
            return Err(KeyFileError::Several);
        }
    }
    found.ok_or(KeyFileError::Form)
}

/// The text of the file that holds `key` with its secret in Base64.
pub fn text(key: &TsigKey, secret: &Secret) -> String {
    format!(
        "key \"{}\" {{\n\talgorithm {};\n\tsecret \"{}\";\n}};\n",
        key.name,
        key.algorithm,
        secret.expose()
    )
}

/// Whether `text` is a secret in Base64 (RFC 4648, section 4).
pub fn is_secret(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    !body.is_empty()
        && text.len().is_multiple_of(4)
        && text.len() - body.len() <= 2
        && body.bytes().all(plain)
}

/// Reads the rest of a statement after the word `key`.
fn statement(words: &mut Words<'_>) -> Result<(TsigKey, Secret), KeyFileError> {
    let name = Name::from_text(words.needed()?).ok_or(KeyFileError::Name)?;
    words.expect("{")?;
    let (mut algorithm, mut secret) = (None, None);
    loop {
        match words.needed()? {
            "algorithm" => {
                let known = words.needed()?.parse().map_err(|()| KeyFileError::Algorithm)?;
                algorithm = Some(known);
            }
            "secret" => {
                let text = words.needed()?;
                secret = Some(Secret::new(text)).filter(|_| is_secret(text));
                if secret.is_none() {
                    return Err(KeyFileError::Secret);
                }
            }
            "}" => break,
            _ => return Err(KeyFileError::Form),
        }
        words.expect(";")?;
    }
    let algorithm: Algorithm = algorithm.ok_or(KeyFileError::Form)?;
    Ok((TsigKey { name, algorithm }, secret.ok_or(KeyFileError::Form)?))
}

/// The words of a file: quoted text is one word, and so is each of `{`, `}` and `;`.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn next_word(&mut self) -> Result<Option<&'a str>, KeyFileError> {
        self.skip_blank()?;
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let (word, rest) = quoted.split_once('"').ok_or(KeyFileError::Form)?;
            self.rest = rest;
            return Ok(Some(word));
        }
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let ends = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"' | '#');
        let length = match self.rest.find(ends) {
            Some(0) => first.len_utf8(),
            Some(length) => length,
            None => self.rest.len(),
        };
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(Some(word))
    }

    /// Skips white space and the three kinds of comment.
    fn skip_blank(&mut self) -> Result<(), KeyFileError> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.split_once("*/").ok_or(KeyFileError::Form)?.1;
            } else {
                return Ok(());
            }
        }
    }

    fn needed(&mut self) -> Result<&'a str, KeyFileError> {
        self.next_word()?.ok_or(KeyFileError::Form)
    }

    fn expect(&mut self, word: &str) -> Result<(), KeyFileError> {
        if self.needed()? == word { Ok(()) } else { Err(KeyFileError::Form) }
    }
}

/// Writes what is wrong with the file, and what to do, in words that follow its path.
impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Algorithm => {
                "names an algorithm that Homing does not know; use hmac-sha256, hmac-sha384, \
                 hmac-sha512 or hmac-sha1"
            }
            Self::Form => {
                "is not a key file; write it as `tsig-keygen NAME` prints it: key \"NAME\" { \
                    algorithm hmac-sha256; secret \"…\"; };"
            }
            Self::Name => "has an invalid key name",
            Self::Secret => "contains a secret that is not Base64; copy it completely",
            Self::Several => "contains several keys; keep only the host's",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATED: &str =
        "key \"dev1\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0\";\n};\n";

    #[test]
    fn what_tsig_keygen_prints_is_read_and_written_alike() {
        let (key, secret) = parse(GENERATED).unwrap();
        assert_eq!((key.name.to_string(), key.algorithm), ("dev1".to_owned(), Algorithm::Sha256));
        assert_eq!(secret.expose(), "c2VjcmV0");
        assert_eq!(text(&key, &secret), GENERATED);
    }

    #[test]
    fn comments_quotes_order_and_white_space_do_not_matter() {
        let odd = "# made by hand\n// really\n/* twice\n */key dev1.example.com.{secret c2VjcmV0;\
                   algorithm\nHMAC-SHA512 ; } ; # end";
        let (key, secret) = parse(odd).unwrap();
        assert_eq!(key.name.to_string(), "dev1.example.com");
        assert_eq!((key.algorithm, secret.expose()), (Algorithm::Sha512, "c2VjcmV0"));
    }

    #[test]
    fn what_is_no_key_file_is_told_by_its_flaw() {
        for (text, flaw) in [
            ("", KeyFileError::Form),
            ("c2VjcmV0", KeyFileError::Form),
            ("key dev1 { secret \"c2VjcmV0\"; };", KeyFileError::Form),
            ("key dev1 { algorithm hmac-sha256; };", KeyFileError::Form),
            ("key dev1 { algorithm hmac-sha256; secret \"c2VjcmV0\"", KeyFileError::Form),
            ("key dev1 { algorithm hmac-sha256; secret \"c2VjcmV0;\n};", KeyFileError::Form),
            ("/* key", KeyFileError::Form),
            ("key \"a b\" { algorithm hmac-sha256; secret \"c2VjcmV0\"; };", KeyFileError::Name),
            ("key dev1 { algorithm hmac-md5; secret \"c2VjcmV0\"; };", KeyFileError::Algorithm),
            ("key dev1 { algorithm hmac-sha256; secret \"c2VjcmV\"; };", KeyFileError::Secret),
            ("key dev1 { algorithm hmac-sha256; secret \"\"; };", KeyFileError::Secret),
        ] {
            assert_eq!(parse(text), Err(flaw), "{text}");
        }
        assert_eq!(parse(&GENERATED.repeat(2)), Err(KeyFileError::Several));
    }
}
