//! Credentials that are an RSA key in a file: Google's service accounts and TransIP's key pairs.
//!
//! Pure: text in, signatures out. Reading the file and checking its mode are the shell's work.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair};
use serde_json::Value;

use crate::core::secret::Secret;

/// The form of a key file, as an entry's `key` names it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyForm {
    /// The JSON file of a service account at Google.
    Google,
    /// The private key alone, in PEM (RFC 7468).
    Pem,
}

/// A key file that was read: the key can sign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyFile {
    /// The private key in PEM.
    pub key: Secret,
    /// The names and values of what else the file says, without secrets.
    fields: Vec<(&'static str, String)>,
}

impl KeyForm {
    /// The form that an entry's `key` names: `google` or `pem`.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "google" => Some(Self::Google),
            "pem" => Some(Self::Pem),
            _ => None,
        }
    }
}

impl KeyFile {
    /// Reads `text`, the content of a file of `form`. The error says what is expected, and holds no
    /// part of a key.
    pub fn parse(text: &str, form: KeyForm) -> Result<Self, String> {
        let file = match form {
            KeyForm::Google => google(text)?,
            KeyForm::Pem => Self { key: Secret::new(text), fields: Vec::new() },
        };
        key_pair(file.key.expose())?;
        Ok(file)
    }

    /// What the file says as `name`: `client_email` and `private_key_id` in Google's.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a service account's file (docs.cloud.google.com/iam/docs/keys-create-delete); the key in it
/// is not read yet.
fn google(text: &str) -> Result<KeyFile, String> {
    const EXPECTED: &str = "expected the JSON file of a service account's key, as Google gives it";
    const FIELDS: [&str; 2] = ["client_email", "private_key_id"];
    if text.trim_start().starts_with(BEGIN) {
        return Err(format!("is a key alone; {EXPECTED}"));
    }
    let file: Value =
        serde_json::from_str(text).map_err(|_| format!("is not in JSON; {EXPECTED}"))?;
    let said = |name: &str| file.get(name).and_then(Value::as_str).map(str::to_owned);
    match said("type").as_deref() {
        Some("service_account") => {}
        Some(_) => return Err(format!("is another kind of credential; {EXPECTED}")),
        None => return Err(format!("has no `type`; {EXPECTED}")),
    }
    let needed = |name: &str| said(name).ok_or_else(|| format!("has no `{name}`; {EXPECTED}"));
    let key = Secret::new(&needed("private_key")?);
    let fields = FIELDS.into_iter().map(|name| Ok((name, needed(name)?)));
    Ok(KeyFile { key, fields: fields.collect::<Result<_, String>>()? })
}

/// The token that says `claims`, a JSON object, signed with RS256 (RFC 7519; RFC 7518, section 3.3)
/// by `key`, a private key in PEM. The error says why the key cannot sign, and holds no part of it.
pub fn jwt(claims: &str, key: &str) -> Result<String, String> {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let head = encode(br#"{"alg":"RS256","typ":"JWT"}"#);
    let text = [&head, ".", &encode(claims.as_bytes())].concat();
    let signature = encode(&signature(&RSA_PKCS1_SHA256, &text, key)?);
    Ok([&text, ".", &signature].concat())
}

/// The signature of `body` with RSA and SHA-512, in Base64, as TransIP wants it
/// (api.transip.nl/rest/docs.html, "Authentication"), by `key`, a private key in PEM. The error says
/// why the key cannot sign, and holds no part of it.
pub fn body_signature(body: &str, key: &str) -> Result<String, String> {
    Ok(STANDARD.encode(signature(&RSA_PKCS1_SHA512, body, key)?))
}

/// The beginning of every key in PEM.
const BEGIN: &str = "-----BEGIN ";

fn signature(encoding: &'static dyn RsaEncoding, text: &str, key: &str) -> Result<Vec<u8>, String> {
    let key = key_pair(key)?;
    let mut signature = vec![0; key.public().modulus_len()];
    // The signature holds no chance (RFC 8017, section 8.2): ring asks for a source, as other ways
    // to sign need one, and draws nothing.
    let source = SystemRandom::new();
    key.sign(encoding, &source, text.as_bytes(), &mut signature)
        .map_err(|_| "cannot sign with this key".to_owned())?;
    Ok(signature)
}

/// The private key in `text`, PEM with PKCS #8 or PKCS #1 inside (RFC 7468, section 10; RFC 8017,
/// appendix A.1.2).
fn key_pair(text: &str) -> Result<RsaKeyPair, String> {
    const EXPECTED: &str = "expected an RSA key in PEM, from `-----BEGIN PRIVATE KEY-----` to \
                            `-----END PRIVATE KEY-----`";
    let (_, rest) = text.split_once(BEGIN).ok_or_else(|| format!("contains no key; {EXPECTED}"))?;
    let (kind, rest) = rest.split_once("-----").unwrap_or_default();
    let (body, _) =
        rest.split_once("-----END ").ok_or_else(|| format!("has no end; {EXPECTED}"))?;
    let body: String = body.split_ascii_whitespace().collect();
    let decoded = || STANDARD.decode(&body).map_err(|_| format!("is damaged; {EXPECTED}"));
    let pair = match kind {
        "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&decoded()?),
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(&decoded()?),
        "ENCRYPTED PRIVATE KEY" => {
            return Err("is encrypted with a password; expected the key without one".to_owned());
        }
        _ => return Err(format!("contains something else; {EXPECTED}")),
    };
    pair.map_err(|error| {
        format!("contains no RSA key of 2048 to 4096 bits that can sign ({error})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example key of jwt.io, which is published with the token below.
    const KEY: &str = include_str!("published.pem");

    const CLAIMS: &str = r#"{"sub":"1234567890","name":"John Doe","admin":true,"iat":1516239022}"#;
    const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.\
        eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiYWRtaW4iOnRydWUsImlhdCI6MTUxNjIzOTAyMn0.\
        NHVaYe26MbtOYhSKkoKYdFVomg4i8ZJd8_-RU8VNbftc4TSMb4bXP3l3YlNWACwyXPGffz5aXHc6lty1Y2t4SWRqGter\
        agsVdZufDn5BlnJl9pdR_kdVFUsra2rWKEofkZeIC4yWytE58sMIihvo9H1ScmmVwBcQP6XETqYd0aSHp1gOa9RdUPDv\
        oXQ5oqygTqVtxaDr6wUFKrKItgBMzWIdNZ6y7O9E0DhEPTbE9rfBo6KTFsHAZnMg4k68CDp2woYIaXbmYTWcvbzIuHO7\
        _37GT79XdIwkm95QJ7hYC9RiwrV7mesbY4PAahERJawntho0my942XheVLmGwLMBkQ";

    /// The same key with PKCS #1 inside: what PKCS #8 wraps, without the 26 bytes of the wrapping.
    fn pkcs1() -> String {
        let body: String = KEY.lines().filter(|line| !line.starts_with('-')).collect();
        let inside = STANDARD.encode(&STANDARD.decode(body).unwrap()[26..]);
        format!("-----BEGIN RSA PRIVATE KEY-----\n{inside}\n-----END RSA PRIVATE KEY-----\n")
    }

    fn service_account() -> Value {
        serde_json::json!({
            "type": "service_account",
            "project_id": "home",
            "private_key_id": "0a1b2c",
            "private_key": KEY,
            "client_email": "homing@home.iam.gserviceaccount.com",
        })
    }

    #[test]
    fn a_token_is_the_one_that_is_published_with_the_key() {
        assert_eq!(jwt(CLAIMS, KEY).as_deref(), Ok(TOKEN));
        assert_eq!(jwt(CLAIMS, &pkcs1()).as_deref(), Ok(TOKEN));
    }

    #[test]
    fn a_body_has_the_signature_that_openssl_makes() {
        // Made with `printf %s BODY | openssl dgst -sha512 -sign KEY | base64 -w 0`.
        let body = r#"{"login":"home","nonce":"0123456789abcdef","read_only":false}"#;
        let expect = "P0IbHmjwuMCkWP0+wMhHo+FmLZfyaYcqD/qokBQGXvKA5WYOhPaBZSGzNlhw6EPXSzasFm9AWTLrrxcu2bisJoK6N2\
            IeO6tE6IE7MFq6XYcpTOlypvYalkA0Qt9EtdtYVPP9XX6Xe1rhBDJ1hXW0fHRmWlrLxVES/N7lxrbLZEnhYsmkcM0X\
            nZ0fg12FX465NTC63nUGUL7XFp6JrIxYZ1x+LT//rOMp/yLeCW8BfMkdUMWduiRQp9B5bjbvHCWeV1dvaNOmGWM+tm\
            3XS/Wz3CKZIpLnFg9iyzfHiYM0LAKQbO2jvoQO8IabnAzciz7rd/WiLR7vscdKkHN/4rlAag==";
        assert_eq!(body_signature(body, KEY).as_deref(), Ok(expect));
    }

    #[test]
    fn a_service_accounts_file_is_read() {
        let file = KeyFile::parse(&service_account().to_string(), KeyForm::Google).unwrap();
        assert_eq!(file.field("client_email"), Some("homing@home.iam.gserviceaccount.com"));
        assert_eq!(file.field("private_key_id"), Some("0a1b2c"));
        assert_eq!(file.field("private_key"), None);
        assert_eq!(jwt(CLAIMS, file.key.expose()).as_deref(), Ok(TOKEN));
        assert!(!format!("{file:?}").contains("MIIE"), "{file:?}");
        let file = KeyFile::parse(KEY, KeyForm::Pem).unwrap();
        assert_eq!(file.field("client_email"), None);
    }

    #[test]
    fn other_files_are_refused_with_what_is_expected() {
        #[track_caller]
        fn check(text: &str, form: KeyForm, begin: &str) {
            let error = KeyFile::parse(text, form).unwrap_err();
            assert!(error.starts_with(begin), "{error}");
            assert!(!error.contains("MIIE"), "{error}");
        }
        let google = |name: &str, value: Value| {
            let mut file = service_account();
            file[name] = value;
            file.to_string()
        };
        check(KEY, KeyForm::Google, "is a key alone; expected the JSON file");
        check("s3cret", KeyForm::Google, "is not in JSON; expected");
        check("{}", KeyForm::Google, "has no `type`; expected");
        check(&google("type", "authorized_user".into()), KeyForm::Google, "is another kind");
        check(&google("private_key", Value::Null), KeyForm::Google, "has no `private_key`");
        check(&google("client_email", Value::Null), KeyForm::Google, "has no `client_email`");
        check(&google("private_key", "MIIE".into()), KeyForm::Google, "contains no key; expected");

        let kind = |kind: &str| KEY.replace("PRIVATE KEY", kind);
        check("s3cret", KeyForm::Pem, "contains no key; expected an RSA key in PEM");
        check(KEY.split("-----END").next().unwrap(), KeyForm::Pem, "has no end");
        check(&KEY.replace("MIIE", "MI*E"), KeyForm::Pem, "is damaged");
        check(
            &KEY.replace("MIIE", "MIIF"),
            KeyForm::Pem,
            "contains no RSA key of 2048 to 4096 bits",
        );
        check(&kind("ENCRYPTED PRIVATE KEY"), KeyForm::Pem, "is encrypted with a password");
        check(&kind("EC PRIVATE KEY"), KeyForm::Pem, "contains something else");
        check(&kind("CERTIFICATE"), KeyForm::Pem, "contains something else");
        check(&kind("RSA PRIVATE KEY"), KeyForm::Pem, "contains no RSA key");
    }
}
