//! `vllm serve` as the keys of `[server]`.

use kendall_serving::EngineVersion;

use super::options::{ImportError, Options, wrong};
use super::toml_text::TomlText;

/// What a `vllm serve` command says, apart from what it runs on.
pub(super) struct ServerCommand<'a> {
    pub options: &'a Options,
    pub version: EngineVersion,
    /// Whether the user chose the version.
    pub version_given: bool,
    /// The GPU, which no command of vLLM names.
    pub gpu: Option<&'a str>,
}

impl ServerCommand<'_> {
    /// The model that it serves.
    ///
    /// # Errors
    /// If it names none.
    pub(super) fn model(&self) -> Result<&str, ImportError> {
        let named = self.options.positional.first().map(String::as_str).or(self.options.text("--model"));
        named.ok_or_else(|| ImportError::Other("the command names no model: write `vllm serve MODEL`".into()))
    }

    /// Writes `[server]`.
    ///
    /// # Errors
    /// On a value that vLLM would refuse.
    pub(super) fn write(&self, text: &mut TomlText) -> Result<(), ImportError> {
        text.table("server");
        if let Some(gpu) = self.gpu {
            text.key("gpu", gpu, "--gpu");
        }
        text.key("model", self.model()?, "the model of `vllm serve`");
        text.key("engine", "vllm-v1", "the engine of `vllm serve`");
        let from = if self.version_given { "--vllm-version" } else { "default of --vllm-version" };
        let version = self.version.to_string();
        text.key("engine_version", version.strip_suffix(".0").unwrap_or(&version), from);
        for (key, option) in self.options.scenario() {
            let Some(key) = key.strip_prefix("server.").filter(|&key| key != "model") else { continue };
            let flag = option.flag.flag.as_str();
            if let Some(path) = &option.path {
                return Err(wrong(flag, path, "it has no parts: write the flag without the dot".into()));
            }
            let value = &option.values[0];
            match read(key, flag, value)? {
                Some(read) => text.key(key, read, flag),
                None => text
                    .comment(&format!("{key}: as long as the model and the KV cache allow ({flag} {value})")),
            }
        }
        Ok(())
    }
}

/// The value as TOML; `None` where the flag asks for what kendall does without it.
fn read(key: &str, flag: &str, value: &str) -> Result<Option<toml_edit::Value>, ImportError> {
    let value = match key {
        "max_model_len" if value == "-1" || value.eq_ignore_ascii_case("auto") => return Ok(None),
        "max_model_len" | "max_num_batched_tokens" => human_whole(flag, value)?.into(),
        "gpu_memory_utilization" | "watermark" => {
            let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
            number.ok_or_else(|| wrong(flag, value, "it must be a number".into()))?.into()
        }
        "scheduling_policy" => value.into(),
        _ if matches!(value, "true" | "false") => (value == "true").into(),
        _ => {
            let number = value.parse::<i64>().ok();
            number.ok_or_else(|| wrong(flag, value, "it must be a whole number".into()))?.into()
        }
    };
    Ok(Some(value))
}

/// A whole number as vLLM reads token counts: `8k` is 8,000 and `8K` is 8,192; a fraction goes with small letters only.
fn human_whole(flag: &str, text: &str) -> Result<i64, ImportError> {
    let expected =
        || wrong(flag, text, "it must be a whole number, such as 8192, 8k (8000) or 8K (8192)".into());
    let text = text.trim();
    let Some((digits, power, decimal)) = split_suffix(text) else {
        return text.parse().map_err(|_| expected());
    };
    let number = if decimal {
        let factor = [1e3, 1e6, 1e9, 1e12][power];
        let digits = digits.chars().all(|c| c.is_ascii_digit() || c == '.').then_some(digits);
        digits.and_then(|digits| digits.parse::<f64>().ok()).map(|number| (number * factor) as i64)
    } else {
        digits.parse::<u32>().ok().and_then(|number| i64::from(number).checked_mul(1 << (10 * (power + 1))))
    };
    number.ok_or_else(expected)
}

/// Digits, power of the suffix from 0, and whether it is a decimal one.
fn split_suffix(text: &str) -> Option<(&str, usize, bool)> {
    let suffix = text.chars().last()?;
    let power = "kmgt".find(suffix.to_ascii_lowercase())?;
    Some((&text[..text.len() - 1], power, suffix.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_counts_are_read_as_vllm_reads_them() {
        for (text, number) in [
            ("8192", 8192),
            ("8k", 8000),
            ("8K", 8192),
            ("25.6k", 25_600),
            ("1M", 1 << 20),
            ("2m", 2_000_000),
        ] {
            assert_eq!(human_whole("--max-model-len", text).unwrap(), number, "{text}");
        }
        for text in ["", "k", "1.5K", "8 k", "many", "infk", "99999999999T"] {
            assert!(human_whole("--max-model-len", text).is_err(), "{text}");
        }
    }
}
