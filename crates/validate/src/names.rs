//! The catalogue's model for a name as collectors write it: `nvidia/Llama-3.1-8B-Instruct-FP8` is the architecture of
//! `meta-llama/Llama-3.1-8B-Instruct` with other weights.

use kendall_serving::catalog::{Model, WeightPrecision, model, models};

/// What a row calls its model.
#[derive(Debug, Clone, Copy)]
pub struct ModelName<'a> {
    /// The column `model`.
    pub name: &'a str,
    /// The column `precision`; may be empty.
    pub precision: &'a str,
}

/// The model with the precision that was served, or why there is none, in words.
///
/// # Errors
/// For a name that is not in the catalogue, and for weights of a form that is not modelled.
pub fn known_model(of: ModelName<'_>) -> Result<Model, String> {
    let mut found = by_name(of.name)?.clone();
    let precision = of.precision.to_lowercase();
    if precision.starts_with("fp8") || precision.starts_with("w8a8-fp8") {
        // The catalogue may know more: how the scales of fp8 weights are laid out.
        if found.weight_precision != WeightPrecision::Fp8Block {
            found.weight_precision = WeightPrecision::Fp8;
        }
    } else if precision.starts_with("bf16") || precision.starts_with("fp16") {
        if matches!(
            found.weight_precision,
            WeightPrecision::Mxfp4 | WeightPrecision::Fp8 | WeightPrecision::Fp8Block | WeightPrecision::Int4
        ) {
            return Err(format!(
                "the catalogue has {} in {:?} only, and precision is \"{}\"",
                found.name, found.weight_precision, of.precision
            ));
        }
    } else if precision.contains("fp4") {
        if found.weight_precision != WeightPrecision::Mxfp4 {
            return Err(format!("4-bit weights of {} are not modelled", found.name));
        }
    } else if ["int4", "w4a16", "awq", "gptq"].iter().any(|name| precision.starts_with(name)) {
        found.weight_precision = WeightPrecision::Int4;
    } else if precision.starts_with("int") || precision.starts_with("w8a8") {
        return Err(format!(
            "8-bit integer weights are not modelled: precision is \"{}\"; bf16, fp8, fp4 and int4 are",
            of.precision
        ));
    }
    Ok(found)
}

fn by_name(name: &str) -> Result<&'static Model, String> {
    let recorded = name.split("(recorded as ").nth(1).map(|rest| rest.trim_end_matches(')').trim());
    let candidates = [Some(name), recorded];
    for candidate in candidates.into_iter().flatten() {
        if let Ok(found) = model(candidate) {
            return Ok(found);
        }
    }
    for candidate in candidates.into_iter().flatten() {
        let wanted = architecture(candidate);
        let mut same = models().iter().filter(|model| architecture(&model.name) == wanted);
        if let (Some(found), None) = (same.next(), same.next()) {
            return Ok(found);
        }
    }
    Err(model(name).map_or_else(|error| error.to_string(), |model| model.name.clone()))
}

/// A name without its publisher and without what does not change the architecture: tuning, and the form of the weights.
fn architecture(name: &str) -> String {
    const NO_MATTER: [&str; 9] = ["instruct", "chat", "hf", "fp8", "dynamic", "kv", "bf16", "fp16", "it"];
    let short = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let words = short.split(['-', '_', ' ']).filter(|word| !NO_MATTER.contains(word));
    words.collect::<Vec<_>>().join("-").replace("meta-llama", "llama")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, precision: &str) -> Result<(String, WeightPrecision), String> {
        known_model(ModelName { name, precision }).map(|model| (model.name, model.weight_precision))
    }

    #[test]
    fn other_weights_of_a_known_architecture_are_known() {
        let eight = "meta-llama/Llama-3.1-8B-Instruct".to_owned();
        assert_eq!(
            found("nvidia/Llama-3.1-8B-Instruct-FP8", "fp8"),
            Ok((eight.clone(), WeightPrecision::Fp8))
        );
        assert_eq!(found("meta-llama/Llama-3.1-8B", "bf16"), Ok((eight, WeightPrecision::Bf16)));
        let recorded = "nvidia/Llama-3.x-70B-Instruct-FP8 (recorded as meta-llama/Llama-3.1-70B)";
        assert_eq!(found(recorded, "fp8").expect("known").0, "meta-llama/Llama-3.1-70B-Instruct");
    }

    #[test]
    fn what_is_not_known_says_so() {
        assert!(found("someone/Something-9000B", "").expect_err("unknown").contains("unknown model"));
        assert!(found("", "").is_err());
        assert!(found("Qwen/Qwen3-32B", "int8").expect_err("not modelled").contains("int8"));
        assert!(found("Qwen/Qwen3-32B", "fp4").expect_err("not modelled").contains("4-bit"));
        // Other sizes and versions are other models.
        assert!(found("meta-llama/Llama-3.1-405B-Instruct", "").is_err());
        assert!(found("meta-llama/Llama-3.3-70B-Instruct", "").is_err());
    }
}
