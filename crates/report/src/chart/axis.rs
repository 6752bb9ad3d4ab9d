//! Axes: their range, their ticks, the words on them.

/// An axis and what it measures.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it measures, without the unit.
    pub label: String,
    /// In which unit.
    pub unit: Unit,
    /// How places follow values.
    pub scale: Scale,
    /// Ends that the axis must have; where there are none, the data decide.
    pub from: Option<f64>,
    /// The upper one.
    pub to: Option<f64>,
}

/// Characters of a name at a tick.
const LONGEST_NAME: usize = 32;
/// So many names are all written; of more only some.
const MOST_NAMES: usize = 8;

/// How places follow values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Equal distances for equal differences.
    Linear,
    /// Equal distances for equal ratios.
    Log,
}

/// What numbers on an axis mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// A pure number.
    Number,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// A share of 1, shown in percent.
    Share,
    /// Whatever the text says.
    Named(String),
    /// Places 0, 1, 2, ... with these names.
    Names(Vec<String>),
}

impl Axis {
    /// From 0 on, as far as the data go.
    pub fn linear(label: &str, unit: Unit) -> Self {
        Self { label: label.to_owned(), unit, scale: Scale::Linear, from: Some(0.0), to: None }
    }

    /// Equal ratios, as far as the data go.
    pub fn log(label: &str, unit: Unit) -> Self {
        Self { label: label.to_owned(), unit, scale: Scale::Log, from: None, to: None }
    }

    /// A share from 0 to 100 %.
    pub fn share(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            unit: Unit::Share,
            scale: Scale::Linear,
            from: Some(0.0),
            to: Some(1.0),
        }
    }

    /// One place for each name.
    pub fn names(label: &str, names: Vec<String>) -> Self {
        let to = names.len() as f64 - 0.5;
        Self {
            label: label.to_owned(),
            unit: Unit::Names(names),
            scale: Scale::Linear,
            from: Some(-0.5),
            to: Some(to),
        }
    }

    /// The label with the unit.
    pub(super) fn words(&self) -> String {
        let unit = match &self.unit {
            Unit::Number | Unit::Names(_) => return self.label.clone(),
            Unit::Seconds => "s",
            Unit::Milliseconds => "ms",
            Unit::Share => "%",
            Unit::Named(unit) if unit.is_empty() => return self.label.clone(),
            Unit::Named(unit) => unit,
        };
        format!("{} ({unit})", self.label)
    }

    /// The number at a tick.
    pub(super) fn tick_text(&self, value: f64) -> String {
        if let Unit::Names(names) = &self.unit {
            let name = names.get(value as usize).map_or("", String::as_str);
            return match name.char_indices().nth(LONGEST_NAME) {
                Some((end, _)) => format!("{}\u{2026}", &name[..end]),
                None => name.to_owned(),
            };
        }
        let value = if self.unit == Unit::Share { value * 100.0 } else { value };
        let size = value.abs();
        let (value, suffix) = match size {
            size if size >= 1e9 => (value / 1e9, "G"),
            size if size >= 1e6 => (value / 1e6, "M"),
            size if size >= 1e4 => (value / 1e3, "k"),
            _ => (value, ""),
        };
        let text = format!("{value:.6}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        let text = if text == "-0" { "0" } else { text };
        format!("{text}{suffix}")
    }
}

/// An axis with its ends fixed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fitted<'a> {
    pub axis: &'a Axis,
    low: f64,
    high: f64,
}

impl<'a> Fitted<'a> {
    /// Ends that hold all these values.
    pub(super) fn new(axis: &'a Axis, values: impl Iterator<Item = f64>) -> Self {
        let usable = |value: &f64| value.is_finite() && (axis.scale == Scale::Linear || *value > 0.0);
        let (low, high) = values
            .filter(usable)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low > high { (1.0, 2.0) } else { (low, high) };
        let (mut low, mut high) = (axis.from.unwrap_or(low), axis.to.unwrap_or(high));
        match axis.scale {
            Scale::Log if high <= low * 1.02 => (low, high) = (low / 1.5, high * 1.5),
            Scale::Linear if high <= low => {
                let room = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
                (low, high) = (axis.from.unwrap_or(low - room), low + room);
            }
            _ => {}
        }
        if axis.to.is_none() {
            high = match axis.scale {
                Scale::Log => high * 1.05,
                Scale::Linear => high + (high - low) * 0.05,
            };
        }
        Self { axis, low, high }
    }

    /// Where a value lies, from 0 to 1; values outside are put at the ends.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = match self.axis.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value > 0.0 => libm::log(value / self.low) / libm::log(self.high / self.low),
            Scale::Log => 0.0,
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }

    /// Whether a value lies within the ends.
    pub(super) fn holds(&self, value: f64) -> bool {
        value >= self.low && value <= self.high
    }

    /// Whether the axis has names and not numbers.
    pub(super) fn has_names(&self) -> bool {
        matches!(self.axis.unit, Unit::Names(_))
    }

    /// Round values between the ends, `most` at most.
    pub(super) fn ticks(&self, most: usize) -> Vec<f64> {
        if let Unit::Names(names) = &self.axis.unit {
            let most = most.max(MOST_NAMES);
            let every = names.len().div_ceil(most).max(1);
            return (0..names.len()).step_by(every).map(|place| place as f64).collect();
        }
        let fits = |ticks: &Vec<f64>| ticks.len() <= most;
        let candidates: Vec<Vec<f64>> = match self.axis.scale {
            Scale::Log => {
                [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]].map(|steps| self.decades(steps)).to_vec()
            }
            Scale::Linear => Vec::new(),
        };
        match candidates.into_iter().find(|ticks| fits(ticks) && ticks.len() > 1) {
            Some(ticks) => ticks,
            None if self.axis.scale == Scale::Log && self.high / self.low > 100.0 => {
                let all = self.decades(&[1.0]);
                let every = all.len().div_ceil(most.max(1)).max(1);
                all.into_iter().step_by(every).collect()
            }
            None => self.linear_ticks(most),
        }
    }

    fn decades(&self, steps: &[f64]) -> Vec<f64> {
        let first = libm::floor(libm::log10(self.low)) as i32;
        let last = libm::ceil(libm::log10(self.high)) as i32;
        (first..=last)
            .flat_map(|decade| steps.iter().map(move |step| step * libm::pow(10.0, f64::from(decade))))
            .filter(|&value| self.holds(value))
            .collect()
    }

    fn linear_ticks(&self, most: usize) -> Vec<f64> {
        let rough = (self.high - self.low) / most.max(1) as f64;
        let power = libm::pow(10.0, libm::floor(libm::log10(rough)));
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        let wanted = steps.iter().position(|&step| step >= rough).unwrap_or(steps.len() - 1);
        let ticks = self.multiples_of(steps[wanted]);
        // Two ticks a step apart that is longer than the axis may both miss it.
        if ticks.is_empty() { self.multiples_of(steps[wanted.saturating_sub(1)]) } else { ticks }
    }

    fn multiples_of(&self, step: f64) -> Vec<f64> {
        let first = libm::ceil(self.low / step - 1e-9) as i64;
        let last = libm::floor(self.high / step + 1e-9) as i64;
        (first..=last.min(first.saturating_add(50))).map(|n| n as f64 * step).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Ticks lie within the ends, rise, and are not too many; there is always one to read a value from.
        #[test]
        fn ticks_are_few_and_inside(low in 1e-6..1e6_f64, ratio in 1.0001..1e6_f64, is_log in any::<bool>(), most in 2_usize..9) {
            let mut axis = if is_log { Axis::log("x", Unit::Number) } else { Axis::linear("x", Unit::Number) };
            axis.from = Some(low);
            let fitted = Fitted::new(&axis, [low, low * ratio].into_iter());
            let ticks = fitted.ticks(most);
            prop_assert!(!ticks.is_empty() && ticks.len() <= most + 1, "{ticks:?} in {fitted:?}");
            prop_assert!(ticks.is_sorted());
            prop_assert!(ticks.iter().all(|&tick| tick >= fitted.low * 0.999_999 && tick <= fitted.high * 1.000_001));
            for tick in ticks {
                prop_assert!((0.0..=1.0).contains(&fitted.place(tick)));
            }
        }
    }

    #[test]
    fn numbers_at_ticks_are_short() {
        let axis = Axis::linear("x", Unit::Number);
        assert_eq!(
            [0.0, 0.25, 9_000.0, 20_000.0, 2.5e6].map(|x| axis.tick_text(x)),
            ["0", "0.25", "9000", "20k", "2.5M"]
        );
        assert_eq!(Axis::share("s").tick_text(0.5), "50");
        assert_eq!(Axis::share("share").words(), "share (%)");
    }
}
