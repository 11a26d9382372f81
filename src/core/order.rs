//! Sorting, with code that all types of values share.
//!
//! Each kind of value that the standard library sorts costs about four kilobytes of machine code, and
//! Homing sorts some twenty kinds of short lists.

use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Sorts `items` by their own order; equal ones keep their order.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

/// Sorts `items` by the key that `key` returns; equal ones keep their order.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |one, other| key(one).cmp(&key(other)));
}

/// Sorts `items` by `compare`; equal ones keep their order.
pub fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    if items.len() < 2 {
        return;
    }
    let mut sources =
        sources(items.len(), &|one: usize, other: usize| compare(&items[one], &items[other]));
    // Swaps follow each cycle of the permutation: the item at `to` belongs at the end of the cycle.
    for start in 0..items.len() {
        let mut to = start;
        loop {
            let from = std::mem::replace(&mut sources[to], to);
            if from == start {
                break;
            }
            items.swap(to, from);
            to = from;
        }
    }
}

/// The set of `items`. The standard library's `collect` sorts them first, with a sort of its own.
pub fn distinct<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    set.extend(items);
    set
}

/// For each index of the sorted list, the index at which its item is now.
fn sources(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut sources: Vec<usize> = (0..count).collect();
    sources.sort_by(|one, other| compare(*one, *other));
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_sorted_as_the_standard_library_does_it() {
        // Every list of up to six digits below four, each with the index that it begins at.
        for length in 0..=6_u32 {
            for number in 0..4_usize.pow(length) {
                let digit = |place: u32| (number / 4_usize.pow(place)) % 4;
                let list: Vec<(usize, u32)> = (0..length).map(|at| (digit(at), at)).collect();
                let (mut ours, mut expect) = (list.clone(), list);
                sort_by_key(&mut ours, |(digit, _)| std::cmp::Reverse(*digit));
                expect.sort_by_key(|(digit, _)| std::cmp::Reverse(*digit));
                assert_eq!(ours, expect);
                sort(&mut ours);
                expect.sort_unstable();
                assert_eq!(ours, expect);
            }
        }
    }
}
