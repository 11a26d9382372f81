//! The known word nearest to a mistyped one.
//!
//! Holds no list of words itself; called by code that refuses a command, an option, a key or a name.

/// The word of `known` that `typed` most likely means; `None` when none is near.
///
/// Near means that one begins with the other (from three letters on), or that at most a third of
/// the letters were missed, added, exchanged or swapped with a neighbour. Leading hyphens and
/// case do not count. Among equally near words the one that `typed` begins wins, then the first.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // No known word is as long, and the work grows with the length.
    const LONGEST: usize = 64;
    let letters = |word: &str| -> Vec<char> {
        word.trim_start_matches('-').chars().flat_map(char::to_lowercase).take(LONGEST).collect()
    };
    let typed = letters(typed);
    let distance = |word: &str| {
        let word = letters(word);
        let (shorter, longer) = (typed.len().min(word.len()), typed.len().max(word.len()));
        let begins = shorter >= 3 && typed[..shorter] == word[..shorter];
        let distance = if begins { (longer - shorter).min(1) } else { edits(&typed, &word) };
        // People omit the end of a word more often than they add one.
        let adds = begins && word.len() < longer;
        (shorter > 1 && distance <= (longer / 3).max(1)).then_some((distance, adds))
    };
    let near = known.into_iter().filter_map(|word| Some((distance(word)?, word)));
    near.min_by_key(|(rank, _)| *rank).map(|(_, word)| word)
}

/// What to do about the name `typed`, which is none of `known`: the one that it most likely means, else
/// `otherwise`.
pub fn correction<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
    otherwise: impl Into<String>,
) -> String {
    nearest(typed, known).map_or_else(|| otherwise.into(), |meant| format!("did you mean {meant}?"))
}

/// The letters and digits of `text`, in lower case: how names are compared when case and the signs
/// between letters do not count.
pub fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// How many letters have to be added, removed, exchanged or swapped with a neighbour (the optimal
/// string alignment distance).
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let exchanged = above[j] + usize::from(x != y);
            let mut least = exchanged.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 8] =
        ["check", "status", "--once", "--help", "--config", "providers", "--all", "--allow-subnet"];

    #[track_caller]
    fn check(typed: &str, expect: Option<&str>) {
        assert_eq!(nearest(typed, KNOWN), expect, "{typed}");
    }

    #[test]
    fn slips_of_the_fingers_are_understood() {
        check("chekc", Some("check"));
        check("staus", Some("status"));
        check("once", Some("--once"));
        check("help", Some("--help"));
        check("--conf", Some("--config"));
        check("CHECK", Some("check"));
        check("provider", Some("providers"));
        check("--allow", Some("--allow-subnet"));
        check("--alll", Some("--all"));
    }

    #[test]
    fn what_is_far_from_everything_is_not_guessed() {
        check("", None);
        check("x", None);
        check("frobnicate", None);
    }

    #[test]
    fn only_letters_and_digits_are_compared() {
        assert_eq!([plain("No-IP"), plain("3322.org"), plain("-")], ["noip", "3322org", ""]);
    }

    #[test]
    fn endless_words_cost_no_more_than_long_ones() {
        check(&"x".repeat(10_000_000), None);
    }
}
