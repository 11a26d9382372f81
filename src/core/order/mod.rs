//! Lists, maps and sets in order, with code that all types of values share.
//!
//! Each kind of value that the standard library sorts costs about four kilobytes of machine code, and
//! each kind of B-tree about six; Homing has some twenty kinds of short lists and forty of maps and sets.

mod map;
mod set;

use std::cmp::Ordering;

pub use self::map::SortedMap;
pub use self::set::SortedSet;

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

/// Where an item is in an ordered list of `count`, or where it belongs; `compare` compares the item of
/// the list at an index with it. The end is tried first: lists are mostly made in order.
fn place(count: usize, compare: &dyn Fn(usize) -> Ordering) -> Result<usize, usize> {
    let (mut from, mut to) = (0, count);
    let mut at = count.saturating_sub(1);
    while from < to {
        match compare(at) {
            Ordering::Equal => return Ok(at),
            Ordering::Less => from = at + 1,
            Ordering::Greater => to = at,
        }
        at = from + (to - from) / 2;
    }
    Err(from)
}

/// For each index of the sorted list, the index at which its item is now.
fn sources(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut sources: Vec<usize> = (0..count).collect();
    sources.sort_by(|one, other| compare(*one, *other));
    sources
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

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

    /// Every series of five steps with four keys: a step adds, removes or fills the entry of a key.
    #[test]
    fn maps_and_sets_are_what_the_standard_librarys_are() {
        const STEPS: u32 = 5;
        for series in 0..12_u32.pow(STEPS) {
            let (mut map, mut set) = (SortedMap::new(), SortedSet::new());
            let (mut expect, mut expect_set) = (BTreeMap::new(), BTreeSet::new());
            for at in 0..STEPS {
                let step = series / 12_u32.pow(at) % 12;
                let key = step % 4;
                match step / 4 {
                    0 => {
                        assert_eq!(map.insert(key, at), expect.insert(key, at));
                        assert_eq!(set.insert(key), expect_set.insert(key));
                    }
                    1 => {
                        assert_eq!(map.remove(&key), expect.remove(&key));
                        assert_eq!(set.remove(&key), expect_set.remove(&key));
                    }
                    _ => assert_eq!(map.entry(key).or_insert(at), expect.entry(key).or_insert(at)),
                }
                assert_eq!(map.get(&key), expect.get(&key));
                assert_eq!(set.contains(&key), expect_set.contains(&key));
            }
            assert!(map.iter().eq(&expect) && set.iter().eq(&expect_set), "series {series}");
            let below = |key: &u32| *key < 2;
            let few = set.iter().copied().filter(below).collect::<SortedSet<_>>();
            let rest = &set - &few;
            assert!(
                (&few - &set).is_empty() && (&few & &rest).is_empty() && (&rest & &set) == rest
            );
        }
    }

    #[test]
    fn entries_may_come_in_any_order_and_the_last_of_a_key_counts() {
        let entries = [(2, 'a'), (1, 'b'), (2, 'c'), (0, 'd'), (1, 'e')];
        let map = SortedMap::from(entries);
        assert!(map.iter().eq(&BTreeMap::from(entries)));
        assert!(SortedSet::from(entries).iter().eq(&BTreeSet::from(entries)));
        let text = serde_json::to_string(&map).unwrap();
        assert_eq!(text, r#"{"0":"d","1":"e","2":"c"}"#);
        assert_eq!(serde_json::from_str::<SortedMap<u8, char>>(&text).unwrap().len(), 3);
        assert!(serde_json::from_str::<SortedSet<u8>>("[2,1,2]").unwrap().iter().eq(&[1, 2]));
    }
}
