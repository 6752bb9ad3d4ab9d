//! Networks of exponential queues in product form.

use nalgebra::{DMatrix, DVector};

use super::error::{QueueingError, Result, level, not_negative, parameter, positive, stable};
use super::hypo::sum_of_two_tail;
use super::mmc::Mmc;
use super::numeric::quantile;

/// Two M/M/1 queues in a row. Domain: `lambda < min(mu1, mu2)`.
///
/// The output of the first is Poisson (P. J. Burke 1956) and the sojourn times of one customer are independent (E. Reich
/// 1957): their sum is that of two exponentials of rates `mu_i - lambda`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tandem {
    lambda: f64,
    slack: [f64; 2],
}

impl Tandem {
    /// # Errors
    /// Rates must be positive and `lambda` below both services.
    pub fn new(lambda: f64, mu1: f64, mu2: f64) -> Result<Self> {
        positive("lambda", lambda)?;
        stable(lambda, positive("mu1", mu1)?)?;
        stable(lambda, positive("mu2", mu2)?)?;
        Ok(Self { lambda, slack: [mu1 - lambda, mu2 - lambda] })
    }

    /// Mean time in both.
    pub fn mean_sojourn(&self) -> f64 {
        self.slack.iter().map(|rate| 1.0 / rate).sum()
    }

    /// Variance of the time in both.
    pub fn var_sojourn(&self) -> f64 {
        self.slack.iter().map(|rate| 1.0 / (rate * rate)).sum()
    }

    /// Mean number in both.
    pub fn mean_number(&self) -> f64 {
        self.lambda * self.mean_sojourn()
    }

    /// `P(T > t)` for the time in both.
    ///
    /// # Errors
    /// `t` must be at least 0.
    pub fn sojourn_tail(&self, t: f64) -> Result<f64> {
        Ok(sum_of_two_tail(self.slack[0], self.slack[1], not_negative("t", t)?))
    }

    /// Quantile of the time in both.
    ///
    /// # Errors
    /// `p` must be above 0 and below 1.
    pub fn sojourn_quantile(&self, p: f64) -> Result<f64> {
        quantile(|t| self.sojourn_tail(t), level(p)?, self.mean_sojourn())
    }
}

/// An open network of M/M/c queues with random routing. J. R. Jackson, *Operations Research* 5, 1957: nodes are as if
/// independent M/M/c with the rates of the traffic equations `x = external + x routing`. Domain: every node stable, every
/// customer leaves in the end.
#[derive(Debug, Clone)]
pub struct JacksonNetwork {
    external: f64,
    throughputs: Vec<f64>,
    /// None where no customer comes.
    nodes: Vec<Option<Mmc>>,
}

impl JacksonNetwork {
    /// `routing[i][j]` is the probability to go from node `i` to `j`; the rest of a row leaves.
    ///
    /// # Errors
    /// Lists must have one length; rows must be probabilities that sum to at most 1; nodes must be stable.
    pub fn new(external: &[f64], routing: &[Vec<f64>], mu: &[f64], servers: &[u32]) -> Result<Self> {
        let nodes = external.len();
        if nodes == 0 || routing.len() != nodes || mu.len() != nodes || servers.len() != nodes {
            return Err(parameter("routing", routing.len(), "of the size of external, mu and servers"));
        }
        for row in routing {
            let total: f64 = row.iter().sum();
            if row.len() != nodes || row.iter().any(|p| !p.is_finite() || *p < 0.0) || total > 1.0 + 1e-12 {
                return Err(parameter("routing", format!("{row:?}"), "probabilities that sum to at most 1"));
            }
        }
        for &rate in external {
            not_negative("external", rate)?;
        }
        let total = positive("external", external.iter().sum())?;
        let balance = DMatrix::from_fn(nodes, nodes, |i, j| f64::from(u8::from(i == j)) - routing[j][i]);
        let trapped = QueueingError::NotApplicable("some customers never leave the network");
        let solved = balance.lu().solve(&DVector::from_column_slice(external)).ok_or(trapped.clone())?;
        let throughputs: Vec<f64> = solved.iter().copied().collect();
        if throughputs.iter().any(|x| !x.is_finite() || *x < -1e-9 * total || *x > 1e15 * total) {
            return Err(trapped);
        }
        let queues = throughputs.iter().zip(mu.iter().zip(servers)).map(|(&rate, (&mu, &servers))| {
            if rate > 0.0 { Mmc::new(rate, mu, servers).map(Some) } else { Ok(None) }
        });
        Ok(Self { external: total, nodes: queues.collect::<Result<_>>()?, throughputs })
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: a network has at least one node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Customers through a node per unit of time, returns included; None if there is no such node.
    pub fn throughput(&self, node: usize) -> Option<f64> {
        self.throughputs.get(node).copied()
    }

    /// Mean number at a node; None if there is no such node.
    pub fn mean_number_at(&self, node: usize) -> Option<f64> {
        let queue = self.nodes.get(node)?;
        Some(queue.map_or(0.0, |queue| queue.mean_number()))
    }

    /// Mean number in the network.
    pub fn mean_number(&self) -> f64 {
        self.nodes.iter().flatten().map(Mmc::mean_number).sum()
    }

    /// Mean time from entry to exit (Little).
    pub fn mean_sojourn(&self) -> f64 {
        self.mean_number() / self.external
    }
}

#[cfg(test)]
mod tests {
    use super::{JacksonNetwork, Tandem};

    #[test]
    fn a_row_of_two_nodes_is_a_tandem() {
        let routing = vec![vec![0.0, 1.0], vec![0.0, 0.0]];
        let network = JacksonNetwork::new(&[0.5, 0.0], &routing, &[1.0, 0.8], &[1, 1]).unwrap();
        let tandem = Tandem::new(0.5, 1.0, 0.8).unwrap();
        assert!((network.mean_sojourn() - tandem.mean_sojourn()).abs() < 1e-13);
        assert!((network.mean_number() - tandem.mean_number()).abs() < 1e-13);
    }

    // A customer who returns with probability 1/2 is served twice on average.
    #[test]
    fn feedback_multiplies_the_rate() {
        let network = JacksonNetwork::new(&[1.0], &[vec![0.5]], &[4.0], &[1]).unwrap();
        assert!((network.throughput(0).unwrap() - 2.0).abs() < 1e-14);
        assert!((network.mean_number() - 1.0).abs() < 1e-14);
        assert!(network.throughput(1).is_none());
    }

    #[test]
    fn no_answer_outside_the_domain() {
        assert!(JacksonNetwork::new(&[1.0], &[vec![1.0]], &[4.0], &[1]).is_err());
        assert!(JacksonNetwork::new(&[1.0], &[vec![0.8]], &[4.0], &[1]).is_err());
        assert!(JacksonNetwork::new(&[-1.0], &[vec![0.5]], &[4.0], &[1]).is_err());
        assert!(Tandem::new(0.9, 1.0, 0.8).is_err());
    }

    #[test]
    fn quantiles_of_a_tandem_with_equal_servers() {
        // Erlang-2: P(T > t) = (1 + t) exp(-t).
        let t = Tandem::new(1.0, 2.0, 2.0).unwrap().sojourn_quantile(0.95).unwrap();
        assert!(((1.0 + t) * libm::exp(-t) - 0.05).abs() < 1e-15);
    }
}
