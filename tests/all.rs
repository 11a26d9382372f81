//! Every file of tests, as one program: a file is a module here, and `cargo test --test all rails::`
//! runs one of them. What a build without features says is tested in `left_out.rs`, a program of its
//! own.

mod support;

#[cfg(feature = "tokens")]
mod audit;
#[cfg(feature = "tokens")]
mod bad_input;
mod by_hand;
#[cfg(all(feature = "import", feature = "tokens"))]
mod cli;
#[cfg(feature = "tokens")]
mod cloudflare_tokens;
#[cfg(feature = "landlock")]
mod confined;
mod cron;
mod days;
mod days_outside;
mod docs;
mod exchanges;
#[cfg(feature = "tokens")]
mod folders;
mod gateway;
mod gone;
mod hints;
#[cfg(feature = "tokens")]
mod host_credentials;
mod hours;
mod http;
#[cfg(feature = "import")]
mod import;
#[cfg(feature = "init")]
mod init;
mod installer;
mod kernel;
#[cfg(feature = "tokens")]
mod key_tokens;
mod layers;
mod lines;
mod luci;
mod many;
mod memory;
#[cfg(all(feature = "cloud", feature = "tokens"))]
mod moto;
mod network;
#[cfg(feature = "tokens")]
mod new_secrets;
#[cfg(feature = "pages")]
mod notify;
#[cfg(all(feature = "import", feature = "tokens"))]
mod obstacles;
mod openwrt;
#[cfg(all(feature = "import", feature = "tokens"))]
mod others_files;
mod outside;
#[cfg(feature = "tokens")]
mod own_token;
#[cfg(feature = "manual")]
mod pages;
mod places;
mod played;
mod power;
mod powerdns;
#[cfg(feature = "tokens")]
mod powers;
mod programs;
mod protocols;
#[cfg(feature = "tokens")]
mod rails;
#[cfg(feature = "tokens")]
mod rails_hosts;
mod readme;
mod records;
#[cfg(feature = "name-servers")]
mod refused;
mod renumbered;
mod reports;
mod requests;
#[cfg(feature = "name-servers")]
mod rfc2136;
#[cfg(feature = "tokens")]
mod rounds;
#[cfg(all(feature = "cloud", feature = "tokens"))]
mod route53_keys;
mod sandbox;
#[cfg(feature = "manual")]
mod schema;
#[cfg(all(feature = "pages", feature = "tokens"))]
mod screens;
mod secrets;
mod services;
#[cfg(feature = "name-servers")]
mod silent;
mod supervised;
#[cfg(feature = "tokens")]
mod token_files;
#[cfg(feature = "tokens")]
mod token_input;
#[cfg(feature = "tokens")]
mod tokens;
mod units;
#[cfg(feature = "name-servers")]
mod verify;
mod virtual_time;
mod waits;
mod words;
mod years;

#[test]
fn every_file_of_tests_is_a_module_here() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let all = std::fs::read_to_string(directory.join("all.rs")).expect("it is this file");
    for entry in std::fs::read_dir(directory).expect("it is this file's") {
        let name = entry.expect("it can be read").file_name().into_string().expect("plain names");
        let Some(name) = name.strip_suffix(".rs") else { continue };
        let is_program = ["all", "left_out"].contains(&name);
        assert!(
            is_program || all.contains(&format!("mod {name};\n")),
            "tests/{name}.rs is not run"
        );
    }
}
