//! Words of a Reed-Solomon code, and packed bits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_core::{binary, code};

fuzz_target!(|data: &[u8]| {
    let mut bits = vec![0; data.len() * 8];
    binary::unpack(&mut bits, data).unwrap();
    assert!(bits.iter().all(|&w| w == 0 || w == u64::MAX));

    let Some((&[degree, most, width], rest)) = data.split_first_chunk() else { return };
    // Small numbers meet each other more often.
    let width = 1 + width as usize % 8;
    let numbers: Vec<u64> =
        rest.chunks_exact(width).map(|b| b.iter().rev().fold(0, |value, &b| value << 8 | b as u64)).collect();
    let (points, values) = numbers.split_at(numbers.len() / 2);
    if let Ok(Some(wrong)) = code::errors(points, values, degree as usize, most as usize) {
        assert!(wrong.len() <= most as usize && wrong.iter().all(|&i| i < points.len()));
        assert!(2 * wrong.len() <= points.len().saturating_sub(degree as usize + 1));
    }
});
