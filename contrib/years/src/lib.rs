//! The simulation of years (`tests/years.rs`), optimised:
//!
//! ```sh
//! cargo test --manifest-path contrib/years/Cargo.toml -- --nocapture
//! HOMING_YEARS=1000000 cargo test --manifest-path contrib/years/Cargo.toml -- --nocapture
//! ```

#[cfg(test)]
#[path = "../../../tests"]
mod tests {
    pub mod years;

    pub mod support {
        pub mod chance;
    }
}

#[cfg(test)]
use self::tests::{support, years};
