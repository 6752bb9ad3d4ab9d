//! TOML text, key by key, each with a comment that says where it comes from.

use std::fmt::Write as _;

/// TOML under construction.
#[derive(Debug, Default)]
pub(crate) struct TomlText(String);

impl TomlText {
    /// A line of comment, or several.
    pub(crate) fn comment(&mut self, text: &str) {
        for line in text.lines() {
            // Writing to a string cannot fail.
            let _ = writeln!(self.0, "# {line}");
        }
    }

    /// `[name]`, after an empty line.
    pub(crate) fn table(&mut self, name: &str) {
        let _ = writeln!(self.0, "\n[{name}]");
    }

    /// `key = value  # from`
    pub(crate) fn key(&mut self, key: &str, value: impl Into<toml_edit::Value>, from: &str) {
        let value = value.into();
        let _ = writeln!(self.0, "{key} = {}  # {from}", value.to_string().trim());
    }

    /// Text that is TOML already.
    pub(crate) fn raw(&mut self, text: &str) {
        if !text.is_empty() {
            let _ = writeln!(self.0, "\n{}", text.trim());
        }
    }

    /// The text.
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// An inline table of these keys.
pub(crate) fn inline<const N: usize>(pairs: [(&str, toml_edit::Value); N]) -> toml_edit::Value {
    let mut table = toml_edit::InlineTable::new();
    for (key, value) in pairs {
        table.insert(key, value);
    }
    toml_edit::Value::InlineTable(table)
}
