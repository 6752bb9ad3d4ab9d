//! `--set KEY=VALUE`: changes of a scenario's text before it is read.
//!
//! A key leads through tables (`server.gpu`), and into a list of tables by number or by the name of an entry
//! (`workload.class.0.weight`, `workload.class.chat.weight`). A value is TOML; what is no TOML is a string, and so is a
//! value where the scenario wants a string (`server.engine_version=0.22`).

use kendall_serving::scenario::{Scenario, ScenarioError};
use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

/// How `toml` says that a value should have been a string.
const WANTS_STRING: &str = "expected a string";

/// The text and scenario after these changes.
///
/// # Errors
/// With the text that the error is about: the original one for a change that cannot be made.
pub(crate) fn apply(text: &str, changes: &[String]) -> Result<(String, Scenario), (ScenarioError, String)> {
    let mut as_text = vec![false; changes.len()];
    loop {
        let after = changed(text, changes, &as_text).map_err(|error| (error, text.to_owned()))?;
        let error = match Scenario::from_toml(&after) {
            Ok(scenario) => return Ok((after, scenario)),
            Err(error) if !error.message.contains(WANTS_STRING) => return Err((error, after)),
            Err(error) => error,
        };
        // Whichever change the complaint is about goes away when it is made as a string.
        let cured = (0..changes.len()).filter(|&i| !as_text[i]).find(|&i| {
            let mut with = as_text.clone();
            with[i] = true;
            let read = changed(text, changes, &with).map(|text| Scenario::from_toml(&text));
            read.is_ok_and(|read| read.map_or_else(|other| other.message != error.message, |_| true))
        });
        match cured {
            Some(i) => as_text[i] = true,
            None => return Err((error, after)),
        }
    }
}

/// Makes the changes; those marked `as_text` with their values as strings.
fn changed(text: &str, changes: &[String], as_text: &[bool]) -> Result<String, ScenarioError> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| ScenarioError {
        field: None,
        message: error.message().to_owned(),
        span: error.span(),
    })?;
    let fails = |change: &str, message: &str| ScenarioError {
        field: None,
        message: format!("--set {change}: {message}"),
        span: None,
    };
    for (change, &as_text) in changes.iter().zip(as_text) {
        let (key, value) = change.split_once('=').ok_or_else(|| fails(change, "write it as KEY=VALUE"))?;
        let value = value.trim();
        let value = if as_text { Ok(value.into()) } else { parsed(value) };
        let set = value.and_then(|value| set(document.as_table_mut(), key.trim(), value));
        set.map_err(|message| fails(change, &message))?;
    }
    Ok(document.to_string())
}

/// The value as TOML; what is not TOML is a string, unless it is a whole number that TOML cannot hold.
fn parsed(value: &str) -> Result<Value, String> {
    match value.parse() {
        Ok(value) => Ok(value),
        Err(_) if !value.is_empty() && value.chars().all(|c| c.is_ascii_digit() || "+-_".contains(c)) => {
            Err("the number is malformed or beyond 64 bits".into())
        }
        Err(_) => Ok(value.into()),
    }
}

fn set(table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    let parts: Vec<_> = key.split('.').collect();
    let (last, path) = parts.split_last().ok_or("the key is empty")?;
    if parts.iter().any(|part| part.is_empty()) {
        return Err("a part of the key is empty".into());
    }
    let mut table: &mut dyn TableLike = table;
    let mut path = path.iter();
    while let Some(part) = path.next() {
        let item = table.entry(part).or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        table = if is_list(item) {
            let entry = path.next().ok_or_else(|| no_entry(item, part, last))?;
            let missing = no_entry(item, part, entry);
            place(item, entry).and_then(|place| entry_mut(item, place)).ok_or(missing)?
        } else {
            item.as_table_like_mut().ok_or_else(|| format!("`{part}` is a value, not a table"))?
        };
    }
    table.insert(last, Item::Value(value));
    Ok(())
}

/// Whether an item is a list of tables, in either notation.
fn is_list(item: &Item) -> bool {
    let inline = |array: &toml_edit::Array| !array.is_empty() && array.iter().all(Value::is_inline_table);
    item.is_array_of_tables() || item.as_array().is_some_and(inline)
}

/// The names of the entries of a list; `None` for one without a name.
fn names(list: &Item) -> Vec<Option<String>> {
    let name = |table: &dyn TableLike| table.get("name").and_then(Item::as_str).map(str::to_owned);
    match list {
        Item::ArrayOfTables(tables) => tables.iter().map(|table| name(table)).collect(),
        Item::Value(Value::Array(array)) => {
            array.iter().map(|value| name(value.as_inline_table()?)).collect()
        }
        _ => Vec::new(),
    }
}

/// The place of the entry of this number or name.
fn place(list: &Item, entry: &str) -> Option<usize> {
    let names = names(list);
    let found = names.iter().position(|name| name.as_deref() == Some(entry));
    found.or_else(|| entry.parse().ok().filter(|&place| place < names.len()))
}

fn entry_mut(list: &mut Item, place: usize) -> Option<&mut dyn TableLike> {
    match list {
        Item::ArrayOfTables(tables) => tables.get_mut(place).map(|table| table as &mut dyn TableLike),
        Item::Value(Value::Array(array)) => {
            array.get_mut(place)?.as_inline_table_mut().map(|table| table as &mut dyn TableLike)
        }
        _ => None,
    }
}

fn no_entry(list: &Item, key: &str, entry: &str) -> String {
    let names = names(list);
    let known: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
    let by_name =
        if known.is_empty() { String::new() } else { format!(", or by name: {}", known.join(", ")) };
    format!(
        "`{key}` is a list and has no entry `{entry}`: name one by its number, 0 to {}{by_name}",
        names.len().saturating_sub(1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: &str =
        "list = 1\n[[workload.class]]\nname = \"chat\"\nweight = 1\n\n[[workload.class]]\nweight = 2\n";

    fn after(text: &str, change: &str) -> Result<String, String> {
        changed(text, &[change.to_owned()], &[false]).map_err(|error| error.message)
    }

    #[test]
    fn an_entry_of_a_list_has_a_number_and_may_have_a_name() {
        let first = "[[workload.class]]\nname = \"chat\"\nweight = 7\n";
        for key in ["workload.class.0.weight", "workload.class.chat.weight"] {
            assert!(after(CLASSES, &format!("{key}=7")).expect(key).contains(first));
        }
        let deeper = after(CLASSES, "workload.class.1.arrivals.rate_per_s=3").expect("a new table");
        assert!(deeper.contains("[workload.class.arrivals]\nrate_per_s = 3"), "{deeper}");
        let inline =
            after("[w]\nclass = [{ name = \"a\" }, { name = \"b\" }]", "w.class.b.x=1").expect("inline");
        // The library keeps the space before the brace.
        assert!(inline.replace(' ', "").contains("{name=\"b\",x=1}"), "{inline}");
    }

    #[test]
    fn an_entry_that_is_not_there_is_refused_with_those_that_are() {
        for entry in ["2", "code", "-1"] {
            let message = after(CLASSES, &format!("workload.class.{entry}.weight=7")).expect_err(entry);
            assert!(
                message.contains(&format!(
                    "no entry `{entry}`: name one by its number, 0 to 1, or by name: chat"
                )),
                "{message}"
            );
        }
        assert!(
            after(CLASSES, "workload.class.weight=7").expect_err("no entry").contains("no entry `weight`")
        );
        assert!(after(CLASSES, "list.0.x=7").expect_err("no list").contains("`list` is a value"));
    }
}
