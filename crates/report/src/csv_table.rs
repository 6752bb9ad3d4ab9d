//! A small table as CSV, whole in memory.

use csv::WriterBuilder;

/// The bytes of a CSV file with these columns and rows.
pub fn csv_table<'a>(
    columns: impl IntoIterator<Item = &'a str>,
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Vec<u8> {
    let mut writer = WriterBuilder::new().flexible(true).from_writer(Vec::new());
    let columns: Vec<String> = columns.into_iter().map(str::to_owned).collect();
    for row in std::iter::once(columns).chain(rows) {
        // A vector takes every byte, and rows may differ in length: writing cannot fail.
        let _ = writer.write_record(row);
    }
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_commas_are_quoted() {
        let bytes = csv_table(["a", "b"], [vec!["1,5".into(), "x".into()], vec!["2".into(), String::new()]]);
        assert_eq!(String::from_utf8(bytes).unwrap(), "a,b\n\"1,5\",x\n2,\n");
    }
}
