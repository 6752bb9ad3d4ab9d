//! Pairs of prompt and output lengths without arrivals, from one JSON document.
//!
//! Two forms: parallel arrays `prompt_len` and `gen_len` in an object, as in samples of `ShareGPT` published with
//! serving benchmarks, and `[{"prompt_tokens": .., "output_tokens": ..}, ..]`.

use std::fmt;
use std::io::Read;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{TraceError, TraceErrorKind, json_message, shown};
use crate::value::parse_count;

/// Largest document that is read, in bytes: some ten million pairs.
const MAX_DOCUMENT_BYTES: u64 = 256 << 20;

/// Fewer tokens than this make no request.
const MIN_TOKENS: u32 = 1;

const FORMS: &str = "expected {\"prompt_len\": [..], \"gen_len\": [..]} or \
                     [{\"prompt_tokens\": .., \"output_tokens\": ..}, ..]";

/// Reads pairs of (prompt length, output length), in tokens, each at least 1, in the order of the document. `name`
/// stands for the file in messages.
///
/// This is the one format that is not a stream: a workload draws from all pairs at random, so it needs them all.
///
/// # Errors
/// If the document cannot be read, is larger than 256 MiB, is not UTF-8, is of neither form, holds no pair, or holds
/// a length that is not a whole number from 1 to 4294967295.
pub fn read_lengths(reader: impl Read, name: &str) -> Result<Vec<(u32, u32)>, TraceError> {
    let mut bytes = Vec::new();
    let read = reader.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| TraceError::of_file(name, TraceErrorKind::Read(error)))?;
    if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err(TraceError::of_file(name, TraceErrorKind::DocumentTooLarge(MAX_DOCUMENT_BYTES >> 20)));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| not_utf8(&bytes[..error.valid_up_to()], name))?;
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Err(TraceError::of_file(name, TraceErrorKind::NoRequests));
    }
    let Lengths(pairs) = serde_json::from_str(text).map_err(|error| {
        let kind = TraceErrorKind::NotLengths(json_message(&error));
        if error.is_eof() {
            TraceError::at_last_line(name, error.line() as u64, kind)
        } else {
            TraceError::at_line(name, error.line() as u64, kind)
        }
    })?;
    if pairs.is_empty() {
        return Err(TraceError::of_file(name, TraceErrorKind::NoRequests));
    }
    Ok(pairs)
}

fn not_utf8(valid: &[u8], name: &str) -> TraceError {
    let lines = || valid.split(|&byte| byte == b'\n');
    let column = lines().next_back().map_or(0, <[u8]>::len) + 1;
    TraceError::at_line(name, lines().count() as u64, TraceErrorKind::NotUtf8 { column })
}

/// A document of either form.
struct Lengths(Vec<(u32, u32)>);

impl<'de> Deserialize<'de> for Lengths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LengthsVisitor).map(Self)
    }
}

struct LengthsVisitor;

impl<'de> Visitor<'de> for LengthsVisitor {
    type Value = Vec<(u32, u32)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("token lengths")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut prompts, mut outputs) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "prompt_len" => prompts = Some(map.next_value_seed(Counts("prompt_len"))?),
                "gen_len" => outputs = Some(map.next_value_seed(Counts("gen_len"))?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let (Some(prompts), Some(outputs)) = (prompts, outputs) else {
            return Err(A::Error::custom(FORMS));
        };
        if prompts.len() != outputs.len() {
            let message =
                format!("{} prompt_len but {} gen_len; give each request both", prompts.len(), outputs.len());
            return Err(A::Error::custom(message));
        }
        Ok(prompts.into_iter().zip(outputs).collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(raw) = seq.next_element::<&'de RawValue>()? {
            pairs.push(pair(pairs.len(), raw.get())?);
        }
        Ok(pairs)
    }
}

#[derive(Deserialize)]
struct RawPair<'a> {
    #[serde(borrow)]
    prompt_tokens: &'a RawValue,
    #[serde(borrow)]
    output_tokens: &'a RawValue,
}

fn pair<E: Error>(index: usize, text: &str) -> Result<(u32, u32), E> {
    // Left to itself, serde would take an array of two for the object.
    if !text.starts_with('{') {
        return Err(E::custom(format_args!("[{index}] is `{}`; {FORMS}", shown(text))));
    }
    let raw: RawPair<'_> = serde_json::from_str(text)
        .map_err(|error| E::custom(format_args!("[{index}]: {}", json_message(&error))))?;
    let prompt = count(&format!("[{index}].prompt_tokens"), raw.prompt_tokens)?;
    let output = count(&format!("[{index}].output_tokens"), raw.output_tokens)?;
    Ok((prompt, output))
}

/// An array of lengths; names the key and index of the one at fault.
struct Counts(&'static str);

impl<'de> DeserializeSeed<'de> for Counts {
    type Value = Vec<u32>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Counts {
    type Value = Vec<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of token lengths in `{}`", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut counts = Vec::new();
        while let Some(raw) = seq.next_element::<&'de RawValue>()? {
            counts.push(count(&format!("{}[{}]", self.0, counts.len()), raw)?);
        }
        Ok(counts)
    }
}

fn count<E: Error>(field: &str, raw: &RawValue) -> Result<u32, E> {
    let count = parse_count(field, raw.get()).map_err(E::custom)?;
    if count < MIN_TOKENS {
        return Err(E::custom(format_args!(
            "{field} is 0; a request needs at least one token; remove the pair"
        )));
    }
    Ok(count)
}
