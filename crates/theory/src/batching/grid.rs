//! Laws of durations on an even time grid, and the transform that adds independent ones.

/// Masses at 0, h, 2h, ...; what lies beyond the grid is at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeLaw {
    step_s: f64,
    mass: Vec<f64>,
}

impl TimeLaw {
    pub(super) fn new(step_s: f64, mass: Vec<f64>) -> Self {
        Self { step_s, mass }
    }

    /// No mass.
    pub(super) fn zero(step_s: f64) -> Self {
        Self { step_s, mass: Vec::new() }
    }

    /// All mass at one time, split between neighbours.
    pub(super) fn point(step_s: f64, at_s: f64) -> Self {
        let mut law = Self::zero(step_s);
        law.put(at_s, 1.0);
        law
    }

    /// Uniform on `[0, width_s]`.
    pub(super) fn uniform(step_s: f64, width_s: f64) -> Self {
        // Hat-weighted masses are second differences of the twice integrated density.
        let ramp = |x: f64| if x > 0.0 { x * x / 2.0 } else { 0.0 };
        let spread = |x: f64| (ramp(x) - ramp(x - width_s)) / width_s;
        let points = (width_s / step_s) as usize + 2;
        let integral = |i: f64| spread_mass(&spread, i, step_s);
        let mass = (0..=points).map(|i| integral(i as f64)).collect();
        Self { step_s, mass }
    }

    /// Grid step (s).
    pub fn step_s(&self) -> f64 {
        self.step_s
    }

    /// Masses by grid point.
    pub fn masses(&self) -> &[f64] {
        &self.mass
    }

    /// Adds `mass` at a time, split between neighbours so that the mean is exact.
    pub(super) fn put(&mut self, at_s: f64, mass: f64) {
        let place = at_s / self.step_s;
        let below = libm::floor(place);
        let share = place - below;
        let index = below as usize;
        if self.mass.len() < index + 2 {
            self.mass.resize(index + 2, 0.0);
        }
        self.mass[index] += mass * (1.0 - share);
        self.mass[index + 1] += mass * share;
    }

    /// Total mass.
    pub fn total(&self) -> f64 {
        self.mass.iter().sum()
    }

    /// Mean of the mass, times the total (s).
    pub(super) fn first_moment_s(&self) -> f64 {
        self.mass.iter().enumerate().map(|(i, m)| i as f64 * self.step_s * m).sum()
    }

    /// Mean (s).
    pub fn mean_s(&self) -> f64 {
        self.first_moment_s() / self.total()
    }

    pub(super) fn add(&mut self, other: &Self, factor: f64) {
        if self.mass.len() < other.mass.len() {
            self.mass.resize(other.mass.len(), 0.0);
        }
        for (into, m) in self.mass.iter_mut().zip(&other.mass) {
            *into += factor * m;
        }
    }

    /// Negative masses set to zero, the others scaled down to keep the total.
    pub(super) fn without_negative(&self) -> Self {
        let total = self.total();
        let positive: f64 = self.mass.iter().map(|m| m.max(0.0)).sum();
        if total <= 0.0 || positive <= 0.0 {
            return Self::zero(self.step_s);
        }
        self.map(|m| m.max(0.0) * total / positive)
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { step_s: self.step_s, mass: self.mass.iter().map(|&m| f(m)).collect() }
    }

    /// The same law with each mass multiplied by a function of its time.
    pub(super) fn weighted(&self, weight: impl Fn(f64) -> f64) -> Self {
        let mass = self.mass.iter().enumerate().map(|(i, m)| m * weight(i as f64 * self.step_s)).collect();
        Self { step_s: self.step_s, mass }
    }

    /// Law of the sum of independent durations, by direct summation.
    pub(super) fn plus(&self, other: &Self) -> Self {
        let (short, long) = if self.mass.len() < other.mass.len() { (self, other) } else { (other, self) };
        if short.mass.is_empty() {
            return Self::zero(self.step_s);
        }
        let mut mass = vec![0.0; short.mass.len() + long.mass.len() - 1];
        for (i, &s) in short.mass.iter().enumerate() {
            if s > 0.0 {
                for (into, &l) in mass[i..].iter_mut().zip(&long.mass) {
                    *into += s * l;
                }
            }
        }
        Self { step_s: self.step_s, mass }
    }

    /// The same law, earlier by some time that it always exceeds.
    pub(super) fn earlier(&self, by_s: f64) -> Self {
        let mut law = Self::zero(self.step_s);
        for (i, &m) in self.mass.iter().enumerate() {
            if m > 0.0 {
                law.put((i as f64 * self.step_s - by_s).max(0.0), m);
            }
        }
        law
    }

    /// Without the last masses that together are under 1e-9.
    pub(super) fn trimmed(mut self) -> Self {
        let rest = 1e-9;
        let mut cut = 0.0;
        while let Some(&m) = self.mass.last() {
            cut += m;
            if cut > rest {
                break;
            }
            self.mass.pop();
        }
        self
    }

    /// Law of the remaining duration seen by an arrival: density `P(X > t) / E[X]`.
    pub(super) fn residual(&self) -> Self {
        let mean = self.mean_s();
        let total = self.total();
        if mean <= 0.0 {
            return Self::point(self.step_s, 0.0);
        }
        let mut tail = total;
        let mut mass = Vec::with_capacity(self.mass.len() + 1);
        let mut before = total;
        for m in &self.mass {
            tail -= m;
            // P(X > t) is constant between grid points; each half of a step goes to its end.
            mass.push(
                (if mass.is_empty() { 0.0 } else { before } + tail).max(0.0) * 0.5 * self.step_s / mean,
            );
            before = tail;
        }
        Self { step_s: self.step_s, mass }
    }

    /// Probability that the duration is at most `t_s`, each mass spread over one step.
    pub fn cdf(&self, t_s: f64) -> f64 {
        let place = t_s / self.step_s + 0.5;
        if place <= 0.0 {
            return 0.0;
        }
        let whole = (place as usize).min(self.mass.len());
        let below: f64 = self.mass[..whole].iter().sum();
        let part = self.mass.get(whole).map_or(0.0, |m| m * (place - whole as f64));
        (below + part) / self.total()
    }

    /// Time that a fraction `p` does not exceed (s).
    pub fn quantile_s(&self, p: f64) -> f64 {
        let goal = p * self.total();
        let mut sum = 0.0;
        for (i, &m) in self.mass.iter().enumerate() {
            if sum + m >= goal && m > 0.0 {
                return ((i as f64 - 0.5 + (goal - sum) / m) * self.step_s).max(0.0);
            }
            sum += m;
        }
        self.mass.len().saturating_sub(1) as f64 * self.step_s
    }
}

/// Mass that a hat of width `h` at point `i` takes from the law whose integrated distribution function is `ramp`.
fn spread_mass(ramp: &impl Fn(f64) -> f64, i: f64, h: f64) -> f64 {
    (ramp((i + 1.0) * h) - 2.0 * ramp(i * h) + ramp((i - 1.0) * h)) / h
}

/// Discrete Fourier transform of a power-of-two length, in place. Cooley & Tukey 1965; twiddles from `libm`, so that the
/// result has the same bits on every machine, which libraries that choose instructions at run time do not promise.
pub(super) struct Fourier {
    twiddles: Vec<(f64, f64)>,
}

impl Fourier {
    pub(super) fn new(points: usize) -> Self {
        let n = points.next_power_of_two();
        let angle = |i: usize| -2.0 * std::f64::consts::PI * i as f64 / n as f64;
        Self { twiddles: (0..n / 2).map(|i| (libm::cos(angle(i)), libm::sin(angle(i)))).collect() }
    }

    pub(super) fn points(&self) -> usize {
        2 * self.twiddles.len()
    }

    /// Transform of a real law, cut to the number of points: real and imaginary parts.
    pub(super) fn of(&self, law: &TimeLaw) -> Spectrum {
        let n = self.points();
        let mut spectrum = Spectrum { re: vec![0.0; n], im: vec![0.0; n] };
        for (i, &m) in law.masses().iter().enumerate() {
            spectrum.re[i.min(n - 1)] += m;
        }
        self.forward(&mut spectrum);
        spectrum
    }

    /// Back to the real law.
    pub(super) fn law(&self, mut spectrum: Spectrum, step_s: f64) -> TimeLaw {
        for x in &mut spectrum.im {
            *x = -*x;
        }
        self.forward(&mut spectrum);
        let n = self.points() as f64;
        TimeLaw::new(step_s, spectrum.re.iter().map(|x| (x / n).max(0.0)).collect())
    }

    fn forward(&self, s: &mut Spectrum) {
        let n = self.points();
        let shift = usize::BITS - n.trailing_zeros();
        for i in 0..n {
            let j = if n == 1 { 0 } else { i.reverse_bits() >> shift };
            if i < j {
                s.re.swap(i, j);
                s.im.swap(i, j);
            }
        }
        let mut half = 1;
        while half < n {
            let stride = n / (2 * half);
            for start in (0..n).step_by(2 * half) {
                for k in 0..half {
                    let (wr, wi) = self.twiddles[k * stride];
                    let (a, b) = (start + k, start + k + half);
                    let tr = s.re[b] * wr - s.im[b] * wi;
                    let ti = s.re[b] * wi + s.im[b] * wr;
                    (s.re[b], s.im[b]) = (s.re[a] - tr, s.im[a] - ti);
                    (s.re[a], s.im[a]) = (s.re[a] + tr, s.im[a] + ti);
                }
            }
            half *= 2;
        }
    }
}

/// A transform, by frequency.
#[derive(Clone)]
pub(super) struct Spectrum {
    pub re: Vec<f64>,
    pub im: Vec<f64>,
}

impl Spectrum {
    pub(super) fn one(points: usize) -> Self {
        Self { re: vec![1.0; points], im: vec![0.0; points] }
    }

    pub(super) fn zero(points: usize) -> Self {
        Self { re: vec![0.0; points], im: vec![0.0; points] }
    }

    pub(super) fn times(&mut self, other: &Self) {
        for i in 0..self.re.len() {
            let (r, m) = (self.re[i], self.im[i]);
            self.re[i] = r * other.re[i] - m * other.im[i];
            self.im[i] = r * other.im[i] + m * other.re[i];
        }
    }

    /// Adds the product of two others.
    pub(super) fn add_product(&mut self, left: &Self, right: &Self) {
        for i in 0..self.re.len() {
            self.re[i] += left.re[i] * right.re[i] - left.im[i] * right.im[i];
            self.im[i] += left.re[i] * right.im[i] + left.im[i] * right.re[i];
        }
    }
}
