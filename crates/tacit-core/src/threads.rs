//! Splitting rows of an output over threads:  out = out_0 | out_1 | ... | out_(t-1), each part by one thread.

use std::cell::Cell;
use std::num::NonZero;
use std::ops::Range;
use std::sync::{Mutex, OnceLock, PoisonError};

/// How many threads a kernel may use: `TACIT_THREADS` if set, else what the machine has; read once.
pub fn threads() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let asked = std::env::var("TACIT_THREADS").ok().and_then(|v| v.parse().ok());
        let machine = || std::thread::available_parallelism().map_or(1, NonZero::get);
        asked.filter(|&n| n > 0).unwrap_or_else(machine)
    })
}

/// How many parts `rows` make if each must have at least `min_rows`.
fn parts(rows: usize, min_rows: usize) -> usize {
    (rows / min_rows.max(1)).clamp(1, threads())
}

thread_local! {
    /// Whether this thread works on a part already: then it does not split again.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Calls `work(first_row, part)` for parts of `out`, whole rows of `row` elements each.
pub fn for_rows<T: Send>(out: &mut [T], row: usize, min_rows: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    if out.is_empty() || row == 0 {
        return;
    }
    let rows = out.len() / row;
    let count = if BUSY.get() { 1 } else { parts(rows, min_rows) };
    if count == 1 {
        return work(0, out);
    }
    let each = rows.div_ceil(count);
    std::thread::scope(|scope| {
        let mut pieces = out.chunks_mut(each * row).enumerate();
        let first = pieces.next();
        for (i, piece) in pieces {
            let work = &work;
            scope.spawn(move || {
                BUSY.set(true);
                work(i * each, piece);
            });
        }
        if let Some((_, piece)) = first {
            BUSY.set(true);
            work(0, piece);
            BUSY.set(false);
        }
    });
}

/// As [`for_rows`], with work that may fail.
pub fn try_rows<E: Send>(
    out: &mut [u64],
    row: usize,
    min_rows: usize,
    work: impl Fn(usize, &mut [u64]) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let failure = Mutex::new(None);
    for_rows(out, row, min_rows, |first, part| {
        if let Err(e) = work(first, part) {
            failure.lock().unwrap_or_else(PoisonError::into_inner).replace(e);
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// `work` on ranges that partition `0..rows`, results in order.
pub fn map_ranges<T: Send>(rows: usize, min_rows: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let each = rows.div_ceil(parts(rows, min_rows)).max(1);
    let mut results: Vec<Option<T>> = (0..rows.div_ceil(each).max(1)).map(|_| None).collect();
    for_rows(&mut results, 1, 1, |first, slots| {
        for (i, slot) in slots.iter_mut().enumerate() {
            let begin = (first + i) * each;
            *slot = Some(work(begin..rows.min(begin + each)));
        }
    });
    results.into_iter().flatten().collect()
}

/// `work` on each item, over threads; the first error, if there is any.
pub(crate) fn each<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let parts = map_ranges(items.len(), 1, |range| items[range].iter().map(&work).collect::<Result<Vec<_>, _>>());
    Ok(parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_visited_once() {
        for rows in 0..20 {
            let mut out = vec![0usize; rows * 3];
            for_rows(&mut out, 3, 1, |first, part| {
                for (i, v) in part.iter_mut().enumerate() {
                    *v += first * 3 + i + 1;
                }
            });
            assert!(out.iter().enumerate().all(|(i, &v)| v == i + 1));
            let ranges = map_ranges(rows, 2, |r| r);
            assert_eq!(ranges.iter().map(|r| r.len()).sum::<usize>(), rows);
        }
    }
}
