//! Mail: a message in the form in which a program such as `sendmail -t` takes it on its input.
//!
//! No value can add a header or a line: addresses are checked by [`address`], and everything else is
//! encoded (RFC 5322, RFC 2047, RFC 2045).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::message::Message;
use crate::core::time::Timestamp;
use crate::core::wire::calendar::rfc822;

/// The most bytes of text in one encoded word, which has at most 75 characters (RFC 2047, section 2).
const WORD: usize = 45;

/// The most characters in a line of an encoded body (RFC 2045, section 6.8).
const LINE: usize = 76;

/// Checks that `text` is the address of a mailbox as a header may hold it; the error is the problem.
///
/// A local part and a domain or an account of this machine, in visible ASCII without the signs that
/// structure a header (RFC 5322, section 3.2.3).
pub fn address(text: &str) -> Result<(), &'static str> {
    let is_of_atom = |byte: u8| byte.is_ascii_graphic() && !b"()<>[]:;,\\\"".contains(&byte);
    let parts = text.split('@').count();
    let is_whole = !text.starts_with(['@', '-']) && !text.ends_with('@');
    if text.is_empty() || parts > 2 || !is_whole || !text.bytes().all(is_of_atom) {
        return Err("is not the address of a mailbox; write it like \"me@example.com\"");
    }
    Ok(())
}

/// The mail with `message` to `to`, from `from` or else whom the program puts there, written at `now`.
pub fn text(message: &Message, to: &[String], from: Option<&str>, now: Timestamp) -> String {
    let mut mail = String::new();
    if let Some(from) = from {
        mail.push_str(&format!("From: {from}\n"));
    }
    mail.push_str(&format!("To: {}\n", to.join(",\n ")));
    mail.push_str(&format!("Subject: {}\n", encoded(&format!("Homing: {}", message.title))));
    mail.push_str(&format!("Date: {}\n", rfc822(now)));
    // No answer such as "I am on holiday" (RFC 3834, section 5).
    mail.push_str("Auto-Submitted: auto-generated\n");
    mail.push_str("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n");
    mail.push_str("Content-Transfer-Encoding: base64\n\n");
    let body = STANDARD.encode(message.text.replace('\n', "\r\n") + "\r\n");
    for line in body.as_bytes().chunks(LINE) {
        mail.push_str(&String::from_utf8_lossy(line));
        mail.push('\n');
    }
    mail
}

/// `text` as the value of a header: as it is where it is plain, else in encoded words.
fn encoded(text: &str) -> String {
    const LONGEST: usize = 60;
    let is_plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if text.len() <= LONGEST && text.bytes().all(is_plain) && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = vec![String::new()];
    for c in text.chars() {
        if words.last().is_some_and(|word| word.len() + c.len_utf8() > WORD) {
            words.push(String::new());
        }
        words.last_mut().into_iter().for_each(|word| word.push(c));
    }
    let word = |word: &String| format!("=?utf-8?B?{}?=", STANDARD.encode(word));
    words.iter().map(word).collect::<Vec<_>>().join("\n ")
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::event;
    use super::*;

    #[test]
    fn a_mail_has_the_headers_of_its_values_and_no_other() {
        let message =
            Message::about(&[event("a.example.com", "why\r\nBcc: x@evil.example")], &rfc822);
        let to = ["me@example.com".to_owned(), "you@example.com".to_owned()];
        let mail = text(&message.unwrap(), &to, Some("h@example.com"), Timestamp::from_secs(1));
        let (head, body) = mail.split_once("\n\n").unwrap();
        assert_eq!(
            head,
            "From: h@example.com\nTo: me@example.com,\n you@example.com\n\
             Subject: Homing: a.example.com is rejected\nDate: Thu, 01 Jan 1970 00:00:01 +0000\n\
             Auto-Submitted: auto-generated\nMIME-Version: 1.0\n\
             Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64"
        );
        assert!(body.lines().all(|line| line.len() <= LINE) && !body.contains("Bcc"), "{body}");
        let body = STANDARD.decode(body.replace('\n', "")).unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains("a.example.com has not been up to date since "), "{body}");
        assert!(body.ends_with("\r\nFix: replace the token.\r\n"), "{body}");
    }

    #[test]
    fn a_subject_is_one_value_whatever_it_holds() {
        assert_eq!(encoded("a.example is rejected"), "a.example is rejected");
        let wrong = encoded("a\r\nBcc: x");
        assert!(wrong.starts_with("=?utf-8?B?") && !wrong.contains("Bcc"), "{wrong}");
        let long = encoded(&"ü".repeat(100));
        assert!(long.lines().all(|line| line.len() <= 76 && line.trim().ends_with("?=")), "{long}");
        assert_eq!(long.lines().count(), 5);
        assert!(encoded("=?utf-8?Q?x?=").starts_with("=?utf-8?B?"));
    }

    #[test]
    fn only_an_address_is_one() {
        for right in ["me@example.com", "root", "a+b@sub.example.com", "o'neill@example.com"] {
            assert_eq!(address(right), Ok(()), "{right}");
        }
        for wrong in [
            "",
            "a b@example.com",
            "a@b@c",
            "a@",
            "@a",
            "-oQ/tmp",
            "a@b.example, c@d.example",
            "a@b.example\nBcc: c@d.example",
            "Me <me@example.com>",
            "m\u{fc}@example.com",
        ] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
