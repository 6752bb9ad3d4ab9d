//! Service-level objectives as a user writes them: `p99(ttft)<=500ms`, `mean(e2el)<=8s`, `goodput>=0.99`, and vLLM's
//! `ttft:500 tpot:50`.
//!
//! A percentile objective is a statement about a share: p99(TTFT) <= 500 ms holds if and only if at least 99 % of
//! requests have a TTFT of at most 500 ms. Shares are means of zeros and ones, so that they need no quantile estimate, and
//! replications give them honest intervals. A request that was refused, gave up or never ended keeps no limit.

use std::fmt;

use kendall_des::SimDuration;
use kendall_serving::{GoodputLimits, RequestRecord, RequestStatus};
use thiserror::Error;

/// A latency of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latency {
    /// Time to first token.
    Ttft,
    /// Mean time per output token after the first.
    Tpot,
    /// End-to-end latency.
    E2el,
}

impl Latency {
    /// The latency of a finished request; `None` if it has none, as a single token has no TPOT.
    pub fn of(self, record: &RequestRecord) -> Option<SimDuration> {
        match self {
            Self::Ttft => record.ttft(),
            Self::Tpot => record.tpot(),
            Self::E2el => record.e2e(),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ttft => "ttft",
            Self::Tpot => "tpot",
            Self::E2el => "e2el",
        }
    }
}

/// One objective.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slo {
    /// At least this share of requests keeps the limit.
    Percentile {
        /// Of what.
        latency: Latency,
        /// Share, such as 0.99.
        share: f64,
        /// Limit.
        limit: SimDuration,
    },
    /// The mean keeps the limit.
    Mean {
        /// Of what.
        latency: Latency,
        /// Limit.
        limit: SimDuration,
    },
    /// At least this share of requests keeps all of these limits.
    Goodput {
        /// Share, such as 0.99.
        share: f64,
        /// Limits.
        limits: GoodputLimits,
    },
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile { latency, share, limit } => {
                write!(f, "p{}({})<={}ms", percent(*share), latency.name(), limit.as_millis_f64())
            }
            Self::Mean { latency, limit } => {
                write!(f, "mean({})<={}ms", latency.name(), limit.as_millis_f64())
            }
            Self::Goodput { share, limits } => {
                let named = [("ttft", limits.ttft), ("tpot", limits.tpot), ("e2el", limits.e2e)];
                let limits = named.iter().filter_map(|(name, limit)| {
                    limit.map(|limit| format!("{name}:{}", limit.as_millis_f64()))
                });
                write!(f, "goodput({})>={}%", limits.collect::<Vec<_>>().join(" "), percent(*share))
            }
        }
    }
}

/// 0.999 as 99.9.
fn percent(share: f64) -> String {
    let text = format!("{:.6}", share * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// An objective that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}`: {reason}; objectives look like `p99(ttft)<=500ms`, `mean(tpot)<=40ms`, `goodput>=0.99` or `ttft:500 tpot:50` (ms)"
)]
pub struct SloError {
    text: String,
    reason: String,
}

/// Share of good requests that is asked for where limits are given and no share is.
pub const DEFAULT_GOODPUT: f64 = 0.99;

/// Reads objectives. `limits` are those of the scenario's goodput, which `goodput>=0.99` refers to unless vLLM's syntax
/// gives others.
///
/// # Errors
/// On the first that cannot be understood, contradicts another, or lacks its limits.
pub fn parse_slos(texts: &[String], limits: Option<GoodputLimits>) -> Result<Vec<Slo>, SloError> {
    let fail = |text: &str, reason: &str| SloError { text: text.to_owned(), reason: reason.to_owned() };
    let mut slos = Vec::new();
    let mut given = GoodputLimits::default();
    let mut share = None;
    for text in texts {
        let compact: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if compact.contains("<=") || compact.contains(">=") {
            match parse_comparison(&compact).map_err(|reason| fail(text, &reason))? {
                Comparison::Slo(slo) => slos.push(slo),
                Comparison::GoodputShare(wanted) if share.is_none() => share = Some(wanted),
                Comparison::GoodputShare(_) => return Err(fail(text, "goodput is given twice")),
            }
        } else {
            for pair in compact.split(' ') {
                parse_pair(pair, &mut given).map_err(|reason| fail(text, &reason))?;
            }
        }
    }
    let own = given != GoodputLimits::default();
    let limits = if own { Some(given) } else { limits };
    match (share, limits) {
        (Some(share), Some(limits)) => slos.push(Slo::Goodput { share, limits }),
        (None, Some(limits)) if own => slos.push(Slo::Goodput { share: DEFAULT_GOODPUT, limits }),
        (Some(_), None) => {
            let reason = "what is a good request? Add `ttft:500 tpot:50`, or [slo.goodput] to the scenario";
            return Err(fail("goodput", reason));
        }
        (None, _) => {}
    }
    if slos.is_empty() {
        return Err(fail("", "there is no objective"));
    }
    Ok(slos)
}

enum Comparison {
    Slo(Slo),
    GoodputShare(f64),
}

fn parse_comparison(text: &str) -> Result<Comparison, String> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    if let Some(share) = text.strip_prefix("goodput>=") {
        return parse_share(share).map(Comparison::GoodputShare);
    }
    if text.starts_with("goodput") {
        return Err("goodput is a share of requests: write `goodput>=0.99`".into());
    }
    let Some((statistic, limit)) = text.split_once("<=") else {
        return Err("a latency is to be at most something: write `<=`".into());
    };
    let (statistic, latency) = statistic
        .strip_suffix(')')
        .and_then(|call| call.split_once('('))
        .ok_or("the left side is no `p99(ttft)`")?;
    let latency = parse_latency(latency)?;
    let limit = parse_duration(limit)?;
    if statistic == "mean" {
        return Ok(Comparison::Slo(Slo::Mean { latency, limit }));
    }
    let digits = match statistic {
        "median" => "50",
        _ => statistic.strip_prefix('p').ok_or("the statistic is `p50` to `p99.9`, `median` or `mean`")?,
    };
    let share = digits.parse::<f64>().ok().map(|percent| percent / 100.0);
    let share = share.filter(|share| *share > 0.0 && *share < 1.0);
    let share = share.ok_or("a percentile lies between 0 and 100, as in `p99.9`")?;
    Ok(Comparison::Slo(Slo::Percentile { latency, share, limit }))
}

fn parse_latency(name: &str) -> Result<Latency, String> {
    match name {
        "ttft" => Ok(Latency::Ttft),
        "tpot" => Ok(Latency::Tpot),
        "e2el" | "e2e" => Ok(Latency::E2el),
        "itl" => Err("ITL is no property of a request: use tpot".into()),
        _ => Err(format!("`{name}` is no latency: ttft, tpot or e2el")),
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let (digits, unit) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits, 100.0));
    let share = digits.parse::<f64>().ok().map(|number| number / unit);
    share.filter(|share| *share > 0.0 && *share < 1.0).ok_or_else(|| {
        format!("`{text}` is no share: write `0.99` or `99%`; 100 % cannot be shown by any number of runs")
    })
}

/// A limit with its unit.
fn parse_duration(text: &str) -> Result<SimDuration, String> {
    let units = [("ms", 1e-3), ("us", 1e-6), ("s", 1.0)];
    let found = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let (digits, factor) = found.ok_or_else(|| format!("`{text}` has no unit: write `500ms` or `0.5s`"))?;
    limit_of(digits, *factor)
}

fn limit_of(digits: &str, factor: f64) -> Result<SimDuration, String> {
    let secs = digits.trim().parse::<f64>().ok().map(|number| number * factor);
    let limit = secs.and_then(|secs| SimDuration::from_secs_f64(secs).ok());
    limit.filter(|&limit| limit > SimDuration::ZERO).ok_or_else(|| format!("`{digits}` is no time above 0"))
}

/// `ttft:500`, in milliseconds, as `vllm bench serve --goodput` takes it.
fn parse_pair(pair: &str, limits: &mut GoodputLimits) -> Result<(), String> {
    let (name, digits) = pair.split_once(':').ok_or_else(|| format!("`{pair}` has no limit"))?;
    let limit = limit_of(digits, 1e-3)?;
    let place = match parse_latency(&name.to_lowercase())? {
        Latency::Ttft => &mut limits.ttft,
        Latency::Tpot => &mut limits.tpot,
        Latency::E2el => &mut limits.e2e,
    };
    match place.replace(limit) {
        None => Ok(()),
        Some(_) => Err(format!("{name} is given twice")),
    }
}

/// What one objective saw of the requests of a run.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct SloTally {
    requests: u64,
    kept: u64,
    sum_s: f64,
}

impl SloTally {
    /// Adds a request that left.
    pub(crate) fn add(&mut self, slo: &Slo, record: &RequestRecord) {
        let finished = record.status == RequestStatus::Finished;
        match slo {
            Slo::Percentile { latency, limit, .. } => match (finished, latency.of(record)) {
                // A single token has no time between tokens: it is no case of TPOT.
                (true, None) => {}
                (true, Some(value)) => self.count(value <= *limit),
                (false, _) => self.count(false),
            },
            Slo::Mean { latency, .. } => {
                if let Some(value) = latency.of(record).filter(|_| finished) {
                    self.count(true);
                    self.sum_s += value.as_secs_f64();
                }
            }
            Slo::Goodput { limits, .. } => self.count(finished && limits.kept_by(record)),
        }
    }

    fn count(&mut self, kept: bool) {
        self.requests += 1;
        self.kept += u64::from(kept);
    }

    /// How far the objective is kept, as [`Slo::margin`] defines it, and the requests behind it; `None` without any.
    pub(crate) fn margin(&self, slo: &Slo) -> Option<(f64, u64)> {
        let requests = self.requests;
        (requests > 0).then(|| {
            let margin = match slo {
                Slo::Percentile { share, .. } | Slo::Goodput { share, .. } => {
                    self.kept as f64 / requests as f64 - share
                }
                Slo::Mean { limit, .. } => 1.0 - self.sum_s / requests as f64 / limit.as_secs_f64(),
            };
            (margin, requests)
        })
    }
}

impl Slo {
    /// The share that is asked for; `None` for a mean.
    pub fn share(&self) -> Option<f64> {
        match self {
            Self::Percentile { share, .. } | Self::Goodput { share, .. } => Some(*share),
            Self::Mean { .. } => None,
        }
    }

    /// The limit that a request's wait cannot exceed if the objective is to be kept; `None` where it says nothing of waiting.
    pub(crate) fn wait_limit(&self) -> Option<SimDuration> {
        match self {
            Self::Percentile { latency, limit, .. } | Self::Mean { latency, limit } => {
                (*latency != Latency::Tpot).then_some(*limit)
            }
            Self::Goodput { limits, .. } => limits.ttft.or(limits.e2e),
        }
    }

    /// A margin in words: the share attained, or the mean in ms. Margins are `attained - asked` for shares, and
    /// `1 - mean / limit` for means.
    pub fn attained(&self, margin: f64) -> String {
        match self {
            Self::Percentile { share, .. } | Self::Goodput { share, .. } => {
                format!("{:.2} %", (margin + share) * 100.0)
            }
            Self::Mean { limit, .. } => format!("{:.1} ms", (1.0 - margin) * limit.as_millis_f64()),
        }
    }
}

impl Slo {
    /// [`Slo::attained`] with its half-width, in the same unit.
    pub fn attained_within(&self, margin: f64, half_width: f64) -> String {
        match self {
            Self::Percentile { share, .. } | Self::Goodput { share, .. } => {
                format!("{:.2} +- {:.2} %", (margin + share) * 100.0, half_width * 100.0)
            }
            Self::Mean { limit, .. } => {
                let limit_ms = limit.as_millis_f64();
                format!("{:.1} +- {:.1} ms", (1.0 - margin) * limit_ms, half_width * limit_ms)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<String, String> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        let scenario =
            GoodputLimits { ttft: Some(SimDuration::from_millis(300)), ..GoodputLimits::default() };
        let slos = parse_slos(&texts, Some(scenario)).map_err(|error| error.to_string())?;
        Ok(slos.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn objectives_are_understood() {
        for (texts, understood) in [
            (&["p99(ttft)<=500ms"][..], "p99(ttft)<=500ms"),
            (&["P99.9( TTFT ) <= 0.5s"], "p99.9(ttft)<=500ms"),
            (&["median(e2el)<=2s", "mean(tpot)<=40ms"], "p50(e2el)<=2000ms; mean(tpot)<=40ms"),
            (&["goodput>=0.95"], "goodput(ttft:300)>=95%"),
            (&["ttft:500 tpot:50"], "goodput(ttft:500 tpot:50)>=99%"),
            (&["ttft:500", "tpot:50", "goodput >= 99.5%"], "goodput(ttft:500 tpot:50)>=99.5%"),
        ] {
            assert_eq!(parse(texts).as_deref(), Ok(understood), "{texts:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_remedy() {
        for (text, part) in [
            ("p99(ttft)>=500ms", "at most"),
            ("p99(ttft)<=500", "no unit"),
            ("p99(itl)<=50ms", "use tpot"),
            ("p99(latency)<=5ms", "ttft, tpot or e2el"),
            ("p100(ttft)<=5ms", "between 0 and 100"),
            ("max(ttft)<=5ms", "`mean`"),
            ("goodput>=1", "100 %"),
            ("goodput<=0.5", "goodput>=0.99"),
            ("p99(ttft)<=-5ms", "above 0"),
            ("p99ttft<=5ms", "no `p99(ttft)`"),
            ("ttft:500 ttft:400", "twice"),
            ("ttft", "no limit"),
            ("", "no limit"),
        ] {
            let error = parse(&[text]).expect_err(text);
            assert!(error.contains(part) && error.contains("objectives look like"), "{text}: {error}");
        }
        let texts = ["goodput>=0.9".to_owned()];
        assert!(parse_slos(&texts, None).expect_err("no limits").to_string().contains("[slo.goodput]"));
    }
}
