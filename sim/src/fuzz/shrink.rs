//! Shrinking a failing schedule: delta debugging over its choices (Zeller and Hildebrandt, ddmin).

/// The smallest list found by leaving out choices while `fails` holds; tries at most `tries_max` lists.
pub fn ddmin<T: Clone>(choices: &[T], tries_max: usize, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut current = choices.to_vec();
    let mut tries = 0;
    let mut size = current.len().div_ceil(2).max(1);
    loop {
        let mut index = 0;
        let mut has_shrunk = false;
        while index < current.len() {
            if tries >= tries_max {
                return current;
            }
            let mut candidate = current.clone();
            candidate.drain(index..(index + size).min(current.len()));
            tries += 1;
            if fails(&candidate) {
                current = candidate;
                has_shrunk = true;
            } else {
                index += size;
            }
        }
        if size == 1 && !has_shrunk {
            return current;
        }
        size = (size / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_choices_that_matter_are_left() {
        let choices: Vec<u32> = (0..200).collect();
        let fails = |list: &[u32]| list.contains(&17) && list.contains(&160);
        assert_eq!(ddmin(&choices, 10_000, fails), [17, 160]);
    }

    #[test]
    fn it_ends_after_the_given_number_of_tries() {
        let choices: Vec<u32> = (0..200).collect();
        let mut tries = 0;
        ddmin(&choices, 50, |_| {
            tries += 1;
            false
        });
        assert_eq!(tries, 50);
    }
}
