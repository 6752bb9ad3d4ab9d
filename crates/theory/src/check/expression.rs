//! Formulas in parameters, such as `n/(1+0.1n)` or `min(n,4)`: numbers, one variable, `+ - * / ^`, `min`, `max`, brackets,
//! and products without a sign.

/// Brackets within brackets beyond this are refused.
const MAX_DEPTH: u32 = 50;

/// The value of a formula for one value of its variable; what is wrong with it otherwise.
pub(super) fn evaluate(formula: &str, variable: char, value: f64) -> Result<f64, String> {
    let mut parser = Parser { rest: formula, variable, value, depth: 0 };
    let result = parser.sum()?;
    parser.skip_spaces();
    if parser.rest.is_empty() {
        Ok(result)
    } else {
        Err(format!("cannot read `{}` in `{formula}`", parser.rest))
    }
}

struct Parser<'a> {
    rest: &'a str,
    variable: char,
    value: f64,
    depth: u32,
}

impl Parser<'_> {
    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: char) -> bool {
        self.skip_spaces();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: char) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(format!("expected `{token}` before `{}`", self.rest)) }
    }

    fn sum(&mut self) -> Result<f64, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("too many brackets".into());
        }
        let mut total = self.product()?;
        loop {
            if self.take('+') {
                total += self.product()?;
            } else if self.take('-') {
                total -= self.product()?;
            } else {
                self.depth -= 1;
                return Ok(total);
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut total = self.signed()?;
        loop {
            if self.take('*') {
                total *= self.signed()?;
            } else if self.take('/') {
                total /= self.signed()?;
            } else if self.starts_factor() {
                total *= self.power()?;
            } else {
                return Ok(total);
            }
        }
    }

    fn starts_factor(&mut self) -> bool {
        self.skip_spaces();
        self.rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '(' || c == '.')
    }

    fn signed(&mut self) -> Result<f64, String> {
        if self.take('-') { self.power().map(|value| -value) } else { self.power() }
    }

    fn power(&mut self) -> Result<f64, String> {
        let base = self.atom()?;
        if self.take('^') { Ok(libm::pow(base, self.atom()?)) } else { Ok(base) }
    }

    fn atom(&mut self) -> Result<f64, String> {
        if self.take('(') {
            let value = self.sum()?;
            self.expect(')')?;
            return Ok(value);
        }
        for (name, pick) in [("min", f64::min as fn(f64, f64) -> f64), ("max", f64::max)] {
            if let Some(rest) = self.rest.strip_prefix(name) {
                self.rest = rest;
                self.expect('(')?;
                let mut value = self.sum()?;
                while self.take(',') {
                    value = pick(value, self.sum()?);
                }
                self.expect(')')?;
                return Ok(value);
            }
        }
        if self.take(self.variable) { Ok(self.value) } else { self.number() }
    }

    fn number(&mut self) -> Result<f64, String> {
        let bytes = self.rest.as_bytes();
        let digits =
            |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
        let mut end = digits(0);
        if end > 0 && matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        number.parse().map_err(|_| format!("expected a number before `{rest}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::evaluate;

    #[test]
    fn formulas_mean_what_they_say() {
        for (formula, value) in [
            ("n/(1+0.1n)", 4.0 / 1.4),
            ("min(n,3)", 3.0),
            ("max(1, n - 7)*2", 2.0),
            ("0.004+8e-5*n", 0.00432),
            ("2n^0.5 + n", 8.0),
            ("-n(1+1)", -8.0),
            ("n", 4.0),
        ] {
            assert!((evaluate(formula, 'n', 4.0).unwrap() - value).abs() < 1e-15, "{formula}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let deep = "(".repeat(10_000);
        for formula in ["", "n+", "(n", "n)", "min n", "m", "1..2", "n $", deep.as_str()] {
            assert!(evaluate(formula, 'n', 1.0).is_err(), "{formula}");
        }
    }
}
