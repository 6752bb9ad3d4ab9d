//! An admission rule as a table: for numbers inside by class of size, which class is let in.
//!
//! Tables come from the admission process that `kendall_theory` solves as a Markov decision process, as comma-separated text. A
//! first line names the classes by their largest size, `# class: largest size in tokens; 0: 256; 1: 4096`; then columns
//! `inside_0,inside_1,accept_0,accept_1`, and a row for each state.

use std::collections::BTreeMap;

/// The rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyTable {
    /// Largest size of each class, rising (tokens).
    most_tokens: Vec<u32>,
    accepts: BTreeMap<Vec<u32>, Vec<bool>>,
}

impl PolicyTable {
    /// Reads a table.
    ///
    /// # Errors
    /// Names the line, what stands there and what must.
    pub fn from_csv(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        let (_, first) = lines.next().ok_or("it is empty: export a table with its line of classes")?;
        let most_tokens = classes(first)?;
        let count = most_tokens.len();
        let names = |prefix: &'static str| (0..count).map(move |class| format!("{prefix}_{class}"));
        let header: Vec<String> = names("inside").chain(names("accept")).collect();
        let header = header.join(",");
        match lines.next() {
            Some((_, line)) if line == header => {}
            other => {
                let line = other.map_or("nothing", |(_, line)| line);
                return Err(format!("line 2: {line:?}: the columns must be {header:?}"));
            }
        }
        let mut accepts = BTreeMap::new();
        for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let (inside, rule) = row(line, count).map_err(|error| format!("line {number}: {error}"))?;
            if accepts.insert(inside, rule).is_some() {
                return Err(format!("line {number}: {line:?}: this state stands in the table twice"));
            }
        }
        if !accepts.contains_key(&vec![0; count]) {
            return Err("it has no row for an empty server, all `inside` 0".into());
        }
        Ok(Self { most_tokens, accepts })
    }

    /// Classes of sizes.
    pub fn num_classes(&self) -> usize {
        self.most_tokens.len()
    }

    /// States that have a row.
    pub fn num_states(&self) -> usize {
        self.accepts.len()
    }

    /// The class of a request of this size; larger ones belong to the last.
    pub fn class_of(&self, size_tokens: u32) -> usize {
        self.most_tokens.partition_point(|&most| most < size_tokens).min(self.most_tokens.len() - 1)
    }

    /// Whether an arrival of this class is let in with these numbers inside. Numbers beyond the table are taken down to its edge,
    /// the largest class first, as the exporter does.
    pub fn accepts(&self, inside: &[u32], class: usize) -> bool {
        let mut state = inside.to_vec();
        loop {
            if let Some(rule) = self.accepts.get(&state) {
                return rule.get(class).copied().unwrap_or(false);
            }
            let Some(largest) = state.iter().rposition(|&number| number > 0) else { return false };
            state[largest] -= 1;
        }
    }
}

/// The largest sizes from the first line.
fn classes(line: &str) -> Result<Vec<u32>, String> {
    let wrong = || {
        format!(
            "line 1: {line:?}: it must be `# class: largest size in tokens; 0: 256; 1: ...`, sizes rising"
        )
    };
    let list = line.strip_prefix("# class: largest size in tokens;").ok_or_else(wrong)?;
    let mut most_tokens: Vec<u32> = Vec::new();
    for (class, entry) in list.split(';').enumerate() {
        let (number, size) = entry.split_once(':').ok_or_else(wrong)?;
        let size: u32 = size.trim().parse().map_err(|_| wrong())?;
        if number.trim() != class.to_string() || most_tokens.last().is_some_and(|&last| last >= size) {
            return Err(wrong());
        }
        most_tokens.push(size);
    }
    Ok(most_tokens)
}

/// Numbers inside and who is let in.
fn row(line: &str, count: usize) -> Result<(Vec<u32>, Vec<bool>), String> {
    let cells: Vec<&str> = line.split(',').map(str::trim).collect();
    if cells.len() != 2 * count {
        return Err(format!("{line:?}: {} columns, not {}", cells.len(), 2 * count));
    }
    let (inside, rule) = cells.split_at(count);
    let inside = inside
        .iter()
        .map(|cell| cell.parse::<u32>().map_err(|_| format!("{cell:?}: it must be a number of requests")));
    let rule = rule.iter().map(|&cell| match cell {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err(format!("{cell:?}: it must be 0 or 1")),
    });
    Ok((inside.collect::<Result<_, _>>()?, rule.collect::<Result<_, _>>()?))
}
