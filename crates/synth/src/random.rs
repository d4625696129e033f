//! Random draws that depend on nothing but a seed, a subject and an index.
//!
//! Row 4,711 of a file is the same whatever was generated before it, on whichever thread: each
//! row has a generator of its own. Only IEEE additions, multiplications and square roots are
//! used, so the bytes are the same on every platform; `exp` and `ln` of the system are refused
//! for that reason. What is drawn from these numbers is decided in `deal` and `entity`.

use std::sync::LazyLock;

use rand::Rng as _;
use rand_pcg::Mcg128Xsl64;

/// What a generator is for: rows of different subjects share no numbers.
#[derive(Debug, Clone, Copy)]
pub enum Subject {
    Deal = 1,
    Account,
    Lead,
    Activity,
    Survey,
    Ticket,
    Night,
    Spend,
    User,
}

/// The random numbers of one row.
#[derive(Debug)]
pub struct Draw {
    generator: Mcg128Xsl64,
}

impl Draw {
    pub fn new(seed: u64, subject: Subject, index: u64) -> Self {
        let first = scramble(seed.wrapping_add(scramble(((subject as u64) << 56) ^ index)));
        let second = scramble(first ^ 0x9E37_79B9_7F4A_7C15);
        Self { generator: Mcg128Xsl64::new((u128::from(first) << 64) | u128::from(second)) }
    }

    /// A number from 0 to `count` - 1; 0 when `count` is 0.
    pub fn below(&mut self, count: u64) -> u64 {
        ((u128::from(self.generator.next_u64()) * u128::from(count)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low).max(0) as u64 + 1) as i64
    }

    /// True `per_mille` times in a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of the values.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }

    /// A factor around 1 whose logarithm is bell-shaped with standard deviation `sigma`.
    pub fn log_normal(&mut self, sigma: f64) -> f64 {
        let bits = self.generator.next_u64();
        let sum = (bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) + ((bits >> 32) & 0xFFFF) + (bits >> 48);
        // The sum of four uniforms has variance 1/3, hence the square root of three.
        let bell = (sum as f64 - 131_070.0) / 65_536.0 * 1.732_050_807_568_877_2;
        power_of_two(bell * sigma * std::f64::consts::LOG2_E)
    }
}

/// Spreads a number over all 64 bits (the finaliser of SplitMix64).
pub fn scramble(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// 2^(i/1024) for i below 1024, from square roots only.
static ROOTS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let mut halvings = [0.0; 10];
    let mut root = 2.0f64;
    for slot in &mut halvings {
        root = root.sqrt();
        *slot = root;
    }
    let entry = |index: usize| -> f64 {
        (0..10).filter(|bit| index >> (9 - bit) & 1 == 1).fold(1.0, |product, bit| product * halvings[bit])
    };
    (0..1024).map(entry).collect()
});

/// 2 to the power of `exponent`, the same on every machine.
fn power_of_two(exponent: f64) -> f64 {
    let whole = exponent.floor().clamp(-1000.0, 1000.0);
    let scaled = (exponent - whole).clamp(0.0, 0.999_999_999) * 1024.0;
    let rest = (scaled - scaled.floor()) / 1024.0 * std::f64::consts::LN_2;
    let scale = f64::from_bits(((1023 + whole as i64) as u64) << 52);
    ROOTS[scaled as usize] * (1.0 + rest + rest * rest / 2.0) * scale
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn powers_agree_with_the_system() {
        for step in -4000..4000 {
            let exponent = f64::from(step) / 321.0;
            assert!((power_of_two(exponent) / exponent.exp2() - 1.0).abs() < 1e-9, "at {exponent}");
        }
    }

    #[test]
    fn draws_are_spread_and_rows_are_independent() {
        let mut counts = [0u32; 10];
        let mut sum = 0.0;
        for index in 0..20_000 {
            let mut draw = Draw::new(7, Subject::Deal, index);
            counts[draw.below(10) as usize] += 1;
            sum += draw.log_normal(0.5);
        }
        assert!(counts.iter().all(|count| (1_800..2_200).contains(count)), "{counts:?}");
        // The mean of a log-normal factor is exp(sigma^2 / 2) = 1.133.
        assert!((sum / 20_000.0 - 1.133).abs() < 0.02, "{}", sum / 20_000.0);
        assert_eq!(Draw::new(1, Subject::Lead, 0).below(u64::MAX), Draw::new(1, Subject::Lead, 0).below(u64::MAX));
        assert_ne!(Draw::new(1, Subject::Lead, 0).below(u64::MAX), Draw::new(1, Subject::Account, 0).below(u64::MAX));
    }
}
