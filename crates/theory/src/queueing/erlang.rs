//! Erlang's loss and delay formulas.

use super::error::{Result, at_least_one, not_negative, parameter, positive, stable};

/// The recursion takes a step for each server.
const MAX_SERVERS: u32 = 100_000_000;

/// Erlang B: probability that all `c` servers are busy in M/G/c/c with offered load `a = lambda E[S]`.
///
/// `B(0) = 1`, `B(k) = a B(k-1) / (k + a B(k-1))`: no factorial, no cancellation (Gross et al., section 2.6). Valid for
/// any service law (insensitivity) and any load.
///
/// # Errors
/// `a` must be at least 0 and `c` at most 100 million.
pub fn erlang_b(a: f64, c: u32) -> Result<f64> {
    not_negative("a", a)?;
    if c > MAX_SERVERS {
        return Err(parameter("c", c, "at most 100 million"));
    }
    Ok((1..=c).fold(1.0, |blocking, k| a * blocking / (f64::from(k) + a * blocking)))
}

/// The fewest servers that keep Erlang's blocking at or below `target`.
///
/// # Errors
/// `a` must be positive and `target` above 0 and below 1.
pub fn erlang_b_servers(a: f64, target: f64) -> Result<u32> {
    if positive("a", a)? > f64::from(MAX_SERVERS) / 2.0 {
        return Err(parameter("a", a, "at most 50 million"));
    }
    if !(target > 0.0 && target < 1.0) {
        return Err(parameter("target", target, "a probability above 0 and below 1"));
    }
    let mut blocking = 1.0;
    for k in 1..MAX_SERVERS {
        blocking = a * blocking / (f64::from(k) + a * blocking);
        if blocking <= target {
            return Ok(k);
        }
    }
    Err(parameter("target", target, "reached by 100 million servers"))
}

/// Erlang C: probability that an arrival to M/M/c waits, with offered load `a = lambda / mu`.
///
/// From Erlang B: `C = c B / (c - a (1 - B))` (Gross et al., section 2.6).
///
/// # Errors
/// `a` must be positive and below `c`.
pub fn erlang_c(a: f64, c: u32) -> Result<f64> {
    let servers = f64::from(at_least_one("c", c)?);
    stable(positive("a", a)?, servers)?;
    let blocking = erlang_b(a, c)?;
    Ok(servers * blocking / ((servers - a) + a * blocking))
}

#[cfg(test)]
mod tests {
    use super::{erlang_b, erlang_b_servers, erlang_c};
    use proptest::prelude::*;

    #[test]
    fn published_values() {
        // Erlang's table: 5 erlang offered to 10 servers lose 1.84 %. The others by hand.
        assert!((erlang_b(5.0, 10).unwrap() - 0.018_384_570_336_648_15).abs() < 1e-15);
        assert!((erlang_b(2.0, 3).unwrap() - 4.0 / 19.0).abs() < 1e-15);
        assert!((erlang_c(2.0, 3).unwrap() - 4.0 / 9.0).abs() < 1e-15);
        assert!((erlang_b(0.0, 0).unwrap() - 1.0).abs() < 1e-15);
    }

    proptest! {
        // The dimensioning is the first crossing of the formula.
        #[test]
        fn fewest_servers_are_fewest(a in 0.01_f64..500.0, target in 1e-6_f64..0.9) {
            let c = erlang_b_servers(a, target).unwrap();
            prop_assert!(erlang_b(a, c).unwrap() <= target);
            prop_assert!(erlang_b(a, c - 1).unwrap() > target);
        }
    }

    #[test]
    fn delay_needs_spare_capacity() {
        assert!(erlang_c(3.0, 3).is_err());
        assert!(erlang_c(1.0, 0).is_err());
        assert!(erlang_b(-1.0, 3).is_err());
    }
}
