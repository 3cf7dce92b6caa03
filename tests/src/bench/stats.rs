//! Medians and quartiles of a few noisy samples. No means, no deviations: one disturbed round must
//! not move the result.

/// Median and quartiles, by linear interpolation between ranks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub median: f64,
    pub lower: f64,
    pub upper: f64,
}

impl Summary {
    /// `None` of nothing.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = samples.into_iter().filter(|x| x.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |quarter: usize| {
            let rank = (sorted.len().checked_sub(1)? * quarter) as f64 / 4.0;
            let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
            Some(low + (high - low) * rank.fract())
        };
        Some(Self { median: at(2)?, lower: at(1)?, upper: at(3)? })
    }
}

/// Summary of the ratios `ours[round] / theirs[round]` of the rounds in which both succeeded.
pub fn ratio(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Option<Summary> {
    Summary::of(ours.iter().zip(theirs).filter_map(|pair| match pair {
        (Some(ours), Some(theirs)) if *theirs != 0.0 => Some(ours / theirs),
        _ => None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles() {
        let table: &[(&[f64], [f64; 3])] = &[
            (&[7.0], [7.0, 7.0, 7.0]),
            (&[3.0, 1.0], [1.5, 2.0, 2.5]),
            (&[5.0, 1.0, 3.0, 2.0, 4.0], [2.0, 3.0, 4.0]),
            (&[4.0, 1.0, 2.0, 3.0], [1.75, 2.5, 3.25]),
            (&[1.0, f64::NAN, 3.0, f64::INFINITY, 2.0], [1.5, 2.0, 2.5]),
        ];
        for (samples, [lower, median, upper]) in table {
            let expected = Summary { median: *median, lower: *lower, upper: *upper };
            assert_eq!(Summary::of(samples.iter().copied()), Some(expected), "{samples:?}");
        }
        assert_eq!(Summary::of([]), None);
        assert_eq!(Summary::of([f64::NAN]), None);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The second round was slow for both, the third failed for one of them.
        let ours = [Some(2.0), Some(40.0), Some(9.0), Some(3.0)];
        let theirs = [Some(1.0), Some(20.0), None, Some(1.0)];
        assert_eq!(ratio(&ours, &theirs).map(|s| s.median), Some(2.0));
        assert_eq!(ratio(&ours, &[None; 4]), None);
        assert_eq!(ratio(&ours, &[Some(0.0); 4]), None);
    }
}
