//! The schema of the scenario file as a page for people: a table for each type, in the order in which a reader meets them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

const HEAD: &str = "# Scenario file\n\n\
Every key of a scenario, made from the types that read it by `kendall schema --format markdown`. `kendall schema` prints the same \
as JSON Schema, for the editor. Keys that are not listed are errors.\n";

/// The page.
pub(super) fn markdown(schema: &Value) -> String {
    let mut page = Page { schema, text: HEAD.to_owned(), told: BTreeSet::new(), to_tell: Vec::new() };
    page.type_section("The file", schema);
    let mut next = 0;
    while let Some(name) = page.to_tell.get(next).cloned() {
        next += 1;
        if let Some(definition) = schema.pointer(&format!("/$defs/{name}")) {
            page.type_section(&name, definition);
        }
    }
    page.text
}

struct Page<'s> {
    schema: &'s Value,
    text: String,
    told: BTreeSet<String>,
    /// Types that were named, in order.
    to_tell: Vec<String>,
}

fn object<'v>(value: &'v Value, key: &str) -> Option<&'v Map<String, Value>> {
    value.get(key).and_then(Value::as_object)
}

/// A description in one line of a table.
fn description(value: &Value) -> String {
    let text = value.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}

impl Page<'_> {
    fn type_section(&mut self, name: &str, definition: &Value) {
        let _ = writeln!(self.text, "\n## {name}\n");
        let words = description(definition);
        if !words.is_empty() {
            let _ = writeln!(self.text, "{words}\n");
        }
        if object(definition, "properties").is_some() {
            self.keys(definition, None);
        }
        for variants in ["oneOf", "anyOf"].iter().filter_map(|key| definition.get(*key)?.as_array()) {
            self.variants(variants);
        }
        if let Some(names) = definition.get("enum").and_then(Value::as_array) {
            let names: Vec<String> = names.iter().map(|name| format!("`{}`", plain(name))).collect();
            let _ = writeln!(self.text, "One of {}.", names.join(", "));
        }
    }

    /// The keys of an object, but for the one that tells variants apart.
    fn keys(&mut self, definition: &Value, tag: Option<&str>) {
        let Some(properties) = object(definition, "properties") else { return };
        let required: Vec<&str> = definition
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties: Vec<_> = properties.iter().filter(|(key, _)| Some(key.as_str()) != tag).collect();
        if properties.is_empty() {
            self.text.push_str("No keys.\n");
            return;
        }
        self.text.push_str("| key | type | | meaning |\n|---|---|---|---|\n");
        for (key, value) in properties {
            let must = if required.contains(&key.as_str()) { "required" } else { "" };
            let kind = self.kind(value);
            let _ = writeln!(self.text, "| `{key}` | {kind} | {must} | {} |", description(value));
        }
    }

    fn variants(&mut self, variants: &[Value]) {
        for variant in variants {
            if let Some(name) = variant.get("const") {
                let _ = writeln!(self.text, "- `{}`: {}", plain(name), description(variant));
                continue;
            }
            if let Some(names) = variant.get("enum").and_then(Value::as_array) {
                for name in names {
                    let _ = writeln!(self.text, "- `{}`: {}", plain(name), description(variant));
                }
                continue;
            }
            let tag = object(variant, "properties").and_then(|properties| {
                properties.iter().find_map(|(key, value)| Some((key.clone(), plain(value.get("const")?))))
            });
            if let Some((key, name)) = &tag {
                let _ = writeln!(self.text, "\n### `{key} = \"{name}\"`\n\n{}\n", description(variant));
                self.keys(variant, Some(key));
            } else {
                let kind = self.kind(variant);
                let _ = writeln!(self.text, "- {kind} {}", description(variant));
            }
            // A variant that wraps a type has that type's keys.
            if let Some(inner) = variant.get("$ref").and_then(Value::as_str).filter(|_| tag.is_some())
                && let Some(inner) = self.schema.pointer(inner.trim_start_matches('#'))
            {
                self.keys(&inner.clone(), None);
            }
        }
    }

    /// The type of a value in a word or two, with a link where it has a section.
    fn kind(&mut self, value: &Value) -> String {
        if let Some(name) = value.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next())
        {
            return self.link(name);
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            if let Some(options) = value.get(key).and_then(Value::as_array) {
                let not_null =
                    options.iter().filter(|option| option.get("type") != Some(&Value::from("null")));
                let kinds: Vec<String> = not_null.map(|option| self.kind(option)).collect();
                return kinds.join(" or ");
            }
        }
        let kinds: Vec<&str> = match value.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => {
                kinds.iter().filter_map(Value::as_str).filter(|&kind| kind != "null").collect()
            }
            _ => Vec::new(),
        };
        match kinds.as_slice() {
            ["array"] => {
                let item = value.get("items").map(|item| self.kind(item)).filter(|kind| !kind.is_empty());
                item.map_or_else(|| "list".into(), |item| format!("list of {item}"))
            }
            ["number"] => "number".into(),
            ["integer"] => "whole number".into(),
            ["boolean"] => "`true` or `false`".into(),
            ["string"] => "text".into(),
            other => other.join(" or "),
        }
    }

    fn link(&mut self, name: &str) -> String {
        if self.told.insert(name.to_owned()) {
            self.to_tell.push(name.to_owned());
        }
        format!("[{name}](#{})", name.to_lowercase())
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
