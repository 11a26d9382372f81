//! Chance that is the same in every run.

/// A stream of random numbers (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// The stream of that number that a seed has: two of them share nothing.
    pub fn of(seed: u64, stream: u64) -> Self {
        let mut seeds = Self(seed);
        let begin = seeds.next();
        Self(begin ^ Self(stream.wrapping_add(1)).next().rotate_left(17))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `most`, which is not zero.
    pub fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// What the shell draws for the core.
    #[expect(clippy::cast_precision_loss, reason = "a million steps are enough")]
    pub fn spread(&mut self) -> f64 {
        self.below(1_000_001) as f64 / 1e6
    }
}
