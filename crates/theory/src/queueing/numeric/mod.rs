//! Numerical methods that the queues share: compensated sums, Poisson weights, roots, quadrature, transform inversion.

mod euler;
mod poisson;
mod quadrature;
mod root;
mod sum;

pub use euler::invert_laplace;
pub(crate) use poisson::{poisson_pmf, poisson_upper, poisson_window};
pub(crate) use quadrature::integrate_half_line;
pub(crate) use root::{quantile, root};
pub(crate) use sum::{Sum, scale};
