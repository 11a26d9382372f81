//! Checks which parts of web addresses hold no secret, so that they may be shown.
//!
//! Guesses: any part that is not known as harmless counts as secret. Called by the clients' readers.

/// Parameters that have the same meaning at every server that knows them, and hold no secret.
pub(super) const FIXED: [&str; 6] = ["system", "wildcard", "mx", "backmx", "offline", "url"];

/// Whether no part of `path` is a secret: each is a usual word, the name of a script, or very short.
pub(super) fn is_harmless_path(path: &str) -> bool {
    const TOO_SHORT: usize = 3;
    path.split('/').all(|part| match &*part.to_ascii_lowercase() {
        "address" | "addr" | "api" | "cgi-bin" | "checkip" | "checkip.html" | "client" | "ddns"
        | "dyndns" | "dyndns2" | "dynamic" | "dynip" | "dyndns-update" | "get_ip" | "getip"
        | "host" | "hosts" | "html" | "index.html" | "ip.html" | "ip.txt" | "ipcheck" | "ipv4"
        | "ipv6" | "json" | "myip" | "nic" | "plain" | "public" | "raw" | "remote"
        | "remoteaddr" | "route" | "show" | "status" | "text" | "update" | "updater" | "upd"
        | "whatismyip" | "what-is-my-ip" | "xdyndnsserver" => true,
        part => {
            let ends = [".php", ".cgi", ".pl", ".asp", ".aspx"];
            let script = ends.iter().find_map(|end| part.strip_suffix(end));
            part.len() <= TOO_SHORT && part.chars().all(|c| c.is_ascii_alphanumeric())
                || script.is_some_and(|name| !is_mixed(name) && is_word(name))
        }
    })
}

/// The parameters of `query`; `None` when it has other than the fixed ones, which may be secrets.
pub(super) fn harmless_query(query: &str) -> Option<String> {
    let is_harmless = |parameter: &&str| {
        let pair = parameter.split_once('=');
        pair.is_some_and(|(name, value)| FIXED.contains(&name) && is_fixed(value))
    };
    let parameters: Vec<_> = query.split('&').filter(|parameter| !parameter.is_empty()).collect();
    parameters.iter().all(is_harmless).then(|| parameters.join("&"))
}

/// Whether a word is long and has letters and digits, as tokens have.
fn is_mixed(part: &str) -> bool {
    const SHORTEST: usize = 12;
    let has = |kind: fn(&u8) -> bool| part.bytes().any(|byte| kind(&byte));
    part.len() >= SHORTEST && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
}

/// Whether the value of a fixed parameter is a plain word.
pub(super) fn is_fixed(value: &str) -> bool {
    is_word(value) && !is_mixed(value)
}

/// Whether `text` is one word, like the name of a host or parameter.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
