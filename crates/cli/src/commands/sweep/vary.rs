//! `--vary KEY=FROM:TO:STEP` and `--vary KEY=a,b,c`: which scenarios a sweep plays.

/// Most points of a sweep.
const MAX_POINTS: usize = 100_000;

/// One key and the values that it takes, as TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Axis {
    pub key: String,
    pub values: Vec<String>,
}

impl Axis {
    /// Reads `KEY=FROM:TO:STEP` or `KEY=a,b,c`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (key, values) = text.split_once('=').ok_or(
            "write it as KEY=FROM:TO:STEP or KEY=a,b,c, for instance workload.arrivals.rate_per_s=1:8:0.5",
        )?;
        let (key, values) = (key.trim().to_owned(), values.trim());
        if values.is_empty() {
            return Err("it has no values: write KEY=FROM:TO:STEP or KEY=a,b,c".into());
        }
        let values = match range(values) {
            Some(range) => range?,
            None => list(values)?,
        };
        let mut sorted = values.clone();
        sorted.sort();
        if let Some(twice) = sorted.iter().zip(sorted.iter().skip(1)).find(|(one, next)| one == next) {
            return Err(format!("the value {} comes twice: a sweep plays each point once", twice.0));
        }
        Ok(Self { key, values })
    }
}

/// The values of each point, in the order of the axes: all combinations, the last axis fastest; or, `paired`, the first
/// values of all axes, then the second ones, and so on.
pub(super) fn points(axes: &[Axis], paired: bool) -> Result<Vec<Vec<String>>, String> {
    for (i, axis) in axes.iter().enumerate() {
        if axes[..i].iter().any(|earlier| earlier.key == axis.key) {
            return Err(format!("{} is varied twice: give all its values in one --vary", axis.key));
        }
    }
    if paired {
        let n = axes.first().map_or(0, |axis| axis.values.len());
        if let Some(other) = axes.iter().find(|axis| axis.values.len() != n) {
            return Err(format!(
                "--paired: {} has {n} values and {} has {}: paired keys have equally many",
                axes[0].key,
                other.key,
                other.values.len()
            ));
        }
        return Ok((0..n).map(|i| axes.iter().map(|axis| axis.values[i].clone()).collect()).collect());
    }
    let total = axes.iter().try_fold(1_usize, |total, axis| total.checked_mul(axis.values.len()));
    if total.is_none_or(|total| total > MAX_POINTS) {
        return Err(format!("the grid has more than {MAX_POINTS} points: take fewer values"));
    }
    let mut points = vec![Vec::new()];
    for axis in axes {
        points = points
            .iter()
            .flat_map(|point: &Vec<String>| {
                axis.values.iter().map(|value| point.iter().chain([value]).cloned().collect())
            })
            .collect();
    }
    Ok(points)
}

/// A decimal number as a whole number of units of 10^-`decimals`, so that steps are exact.
#[derive(Clone, Copy)]
struct Decimal {
    digits: i128,
    decimals: u32,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits: String = whole.chars().filter(|&c| c != '_').chain(fraction.chars()).collect();
        // Eighteen digits leave room for scaling in 128 bits.
        let plain = !whole.is_empty() && digits.len() <= 18 && digits.bytes().all(|b| b.is_ascii_digit());
        let digits: i128 = plain.then(|| digits.parse().ok())??;
        Some(Self { digits: if negative { -digits } else { digits }, decimals: fraction.len() as u32 })
    }

    /// In units of 10^-`decimals`, which are not coarser than its own.
    fn scaled(self, decimals: u32) -> i128 {
        self.digits * 10_i128.pow(decimals - self.decimals)
    }
}

/// The text of a whole number of units of 10^-`decimals`.
fn decimal_text(units: i128, decimals: u32) -> String {
    if decimals == 0 {
        return units.to_string();
    }
    let scale = 10_u128.pow(decimals);
    let (sign, size) = (if units < 0 { "-" } else { "" }, units.unsigned_abs());
    format!("{sign}{}.{:0width$}", size / scale, size % scale, width = decimals as usize)
}

/// FROM, FROM + STEP, ... up to TO; `None` if the text is no range.
fn range(text: &str) -> Option<Result<Vec<String>, String>> {
    let parts: Vec<&str> = text.split(':').collect();
    let [from, to, step] = parts[..] else { return None };
    let [from, to, step] = [Decimal::parse(from)?, Decimal::parse(to)?, Decimal::parse(step)?];
    let decimals = from.decimals.max(to.decimals).max(step.decimals);
    let [from, to, step] = [from, to, step].map(|number| number.scaled(decimals));
    if step == 0 || (to - from).signum() * step.signum() < 0 {
        return Some(Err(format!("{text}: the step does not lead from the first value to the last")));
    }
    let count = (to - from) / step + 1;
    if count > MAX_POINTS as i128 {
        return Some(Err(format!("{text}: more than {MAX_POINTS} values")));
    }
    Some(Ok((0..count).map(|i| decimal_text(from + i * step, decimals)).collect()))
}

/// Values between commas: TOML where they are, and names without quotes.
fn list(text: &str) -> Result<Vec<String>, String> {
    if let Ok(toml_edit::Value::Array(array)) = format!("[{text}]").parse::<toml_edit::Value>() {
        return Ok(array.iter().map(|value| value.clone().decorated("", "").to_string()).collect());
    }
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err(format!("{text}: there is nothing between two commas"));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        Axis::parse(&format!("a.b={text}")).expect("valid").values
    }

    #[test]
    fn ranges_are_exact_and_include_their_end() {
        assert_eq!(values("1:4:1"), ["1", "2", "3", "4"]);
        assert_eq!(values("0.1:0.5:0.1"), ["0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(values("1:2:0.4"), ["1.0", "1.4", "1.8"]);
        assert_eq!(values("4:1:-1.5"), ["4.0", "2.5", "1.0"]);
        assert_eq!(values("-0.5:0.5:0.5"), ["-0.5", "0.0", "0.5"]);
        assert_eq!(values("8:8:1"), ["8"]);
    }

    #[test]
    fn lists_are_toml_or_names() {
        assert_eq!(values("1, 2.5 ,3"), ["1", "2.5", "3"]);
        assert_eq!(values("fcfs,priority"), ["fcfs", "priority"]);
        assert_eq!(values("true,false"), ["true", "false"]);
        let tables = values("{ process = \"poisson\", rate_per_s = 1 }, { process = \"at_once\" }");
        assert_eq!(tables[1], "{ process = \"at_once\" }");
    }

    #[test]
    fn what_is_no_axis_is_refused_with_a_remedy() {
        for (text, part) in [
            ("a.b", "KEY=FROM:TO:STEP"),
            ("a.b=", "no values"),
            ("a=1:4:0", "does not lead"),
            ("a=1:4:-1", "does not lead"),
            ("a=0:1:0.0000001", "more than"),
            ("a=x,,y", "between two commas"),
            ("a=1,2,1", "twice"),
        ] {
            let error = Axis::parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn grids_combine_and_pairs_go_in_step() {
        let axes = ["a=1,2", "b=x,y,z"].map(|text| Axis::parse(text).expect("valid"));
        let grid = points(&axes, false).expect("small");
        assert_eq!(grid.len(), 6);
        assert_eq!((grid[0].join(" "), grid[4].join(" ")), ("1 x".into(), "2 y".into()));
        assert!(points(&axes, true).expect_err("2 and 3 values").contains("equally many"));
        let axes = ["a=1,2", "b=x,y"].map(|text| Axis::parse(text).expect("valid"));
        assert_eq!(points(&axes, true).expect("pairs"), [["1", "x"], ["2", "y"]]);
        assert!(points(&[axes[0].clone(), axes[0].clone()], false).expect_err("twice").contains("twice"));
        let axes = ["a=1:1000:1", "b=1:1000:1"].map(|text| Axis::parse(text).expect("valid"));
        assert!(points(&axes, false).expect_err("a million").contains("more than"));
    }
}
