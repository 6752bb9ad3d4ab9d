//! A function of a count as a table of integers: every value where it bends, then rungs in equal ratios with straight
//! lines between them.

/// Counts up to here are tabulated one by one: decode batches, where a single sequence is seen.
const EXACT: u64 = 512;

/// Each further rung is so much higher: one sixteenth keeps a smooth bend within 0.1 %.
const RUNGS_PER_DOUBLING: u64 = 16;

/// The table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ladder {
    counts: Vec<u64>,
    values: Vec<u64>,
    /// By count over the height of the lowest rung: the first count of the table that is not below the least of these counts.
    index: Vec<u32>,
}

/// No rung above the exact ones is less high.
const LOWEST_RUNG: u64 = EXACT / RUNGS_PER_DOUBLING;

impl Ladder {
    /// Tabulates `value` from 0 to at least `last` (and at least 1).
    pub(super) fn tabulate(last: u64, value: impl Fn(u64) -> u64) -> Self {
        let mut counts: Vec<u64> = (0..=last.clamp(1, EXACT)).collect();
        let mut count = EXACT;
        while count < last {
            count += count / RUNGS_PER_DOUBLING;
            counts.push(count);
        }
        let values = counts.iter().map(|&count| value(count)).collect();
        let mut at = 0;
        let index = (0..=counts[counts.len() - 1] / LOWEST_RUNG).map(|step| {
            while counts[at as usize] < step * LOWEST_RUNG {
                at += 1;
            }
            at
        });
        Self { index: index.collect(), counts, values }
    }

    /// How many values, from 0 on, are tabulated one by one.
    pub(super) fn num_exact(&self) -> usize {
        self.values.len().min(EXACT as usize + 1)
    }

    /// Pairs (count, value) at 1, 2, 4, ... as far as the table reaches.
    pub(super) fn at_powers_of_two(&self) -> Vec<(u64, u64)> {
        let last = self.counts[self.counts.len() - 1];
        let counts = std::iter::successors(Some(1_u64), |&count| count.checked_mul(2));
        counts.take_while(|&count| count <= last).map(|count| (count, self.at(count))).collect()
    }

    /// A line that lies below all values from count 1 on: its value at 0 and its slope.
    pub(super) fn line_below(&self) -> (u64, u64) {
        let from_first = self.counts.iter().zip(&self.values).skip(1);
        let lowest = from_first.clone().map(|(_, &value)| value).min().unwrap_or(0);
        let (x0, y0) = (self.counts[1], self.values[1].min(lowest));
        let slopes = from_first.skip(1).map(|(&count, &value)| (value - y0) / (count - x0));
        let slope = slopes.min().unwrap_or(0).min(y0);
        (y0 - slope, slope)
    }

    /// Every value times `share`.
    pub(super) fn scaled(&self, share: f64) -> Self {
        let values = self.values.iter().map(|&value| libm::round(value as f64 * share) as u64).collect();
        Self { values, ..self.clone() }
    }

    /// The value at `count`, on the straight line between its neighbours; beyond the end on the last line.
    pub(super) fn at(&self, count: u64) -> u64 {
        if let Some(&value) =
            usize::try_from(count).ok().filter(|&i| i as u64 <= EXACT).and_then(|i| self.values.get(i))
        {
            return value;
        }
        let last = self.counts.len() - 1;
        let above = self.index.get((count / LOWEST_RUNG) as usize).map_or(last, |&above| above as usize);
        // At most one count of the table lies between, above the exact ones.
        let above = (above + usize::from(self.counts[above] < count)).clamp(1, last);
        let (x0, x1) = (self.counts[above - 1], self.counts[above]);
        let (y0, y1) = (self.values[above - 1], self.values[above]);
        // Division of 64 bits is much faster than of 128, and nearly always enough.
        let narrow = || {
            let rise = y1.checked_signed_diff(y0)?.checked_mul(i64::try_from(count - x0).ok()?)?;
            y0.checked_add_signed(rise / i64::try_from(x1 - x0).ok()?)
        };
        narrow().unwrap_or_else(|| {
            let rise = (i128::from(y1) - i128::from(y0)) * i128::from(count - x0) / i128::from(x1 - x0);
            u64::try_from(i128::from(y0) + rise).unwrap_or(if rise < 0 { 0 } else { u64::MAX })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_is_met_everywhere() {
        let line = |x: u64| 1_000 + 7 * x;
        for last in [0, 1, 511, 512, 513, 8_192, 100_000] {
            let ladder = Ladder::tabulate(last, line);
            for count in (0..=last).step_by(97).chain([last, last + 1, 2 * last + 3]) {
                assert_eq!(ladder.at(count), line(count), "{count} of {last}");
            }
        }
    }

    #[test]
    fn the_line_below_is_below() {
        for value in [|x: u64| 5_000 + 7 * x, |x| 9_000.max(31 * x), |x| libm::sqrt(x as f64 * 1e12) as u64] {
            let ladder = Ladder::tabulate(10_000, value);
            let (at_0, slope) = ladder.line_below();
            assert!((1..=10_000).all(|x| at_0 + slope * x <= ladder.at(x)));
        }
        assert_eq!(Ladder::tabulate(100, |x| 5_000 + 7 * x).line_below(), (5_000, 7));
    }

    #[test]
    fn a_bend_is_met_within_a_tenth_of_a_percent() {
        let root = |x: u64| libm::sqrt(x as f64 * 1e18) as u64;
        let ladder = Ladder::tabulate(1 << 20, root);
        for count in (1..1 << 20).step_by(131) {
            assert!(ladder.at(count).abs_diff(root(count)) <= root(count) / 1_000, "{count}");
        }
    }
}
