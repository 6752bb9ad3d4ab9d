//! From the keys of a synthetic `[workload]` to what draws its requests.
//!
//! [`plan`] checks everything once; [`WorkloadPlan::start`] can then be called for each replication, on any thread. Files are none
//! of its business: whoever calls it has put what they hold in their place.

use kendall_des::{Distribution, SimDuration, Streams};

use crate::metrics::GoodputLimits;
use crate::request::Workload as Requests;
use crate::workload::{
    Arrivals, ClientPlan, ClosedLoop, ClosedLoopConfig, ConcurrencyLimited, Extent, Fluctuation,
    RequestClass, Superposed, SyntheticConfig, SyntheticError, SyntheticWorkload, by_mean_and_cv,
};

use super::requests::{Keys, request_class};
use super::resolve::goodput_limits;
use super::{Class, ScenarioError, Workload};

/// A synthetic workload, ready to be drawn.
#[derive(Debug, Clone)]
pub struct WorkloadPlan {
    source: Source,
    extent: Extent,
    max_concurrency: Option<u64>,
    /// The classes of requests as the scenario names them; empty if it names none.
    pub classes: Vec<ClassInfo>,
}

#[derive(Debug, Clone)]
enum Source {
    /// One arrival process.
    Synthetic(SyntheticConfig),
    /// Classes with arrivals of their own.
    Superposed(Vec<SyntheticConfig>),
    ClosedLoop(ClosedLoopConfig),
}

/// A class of requests. [`crate::RequestRecord::class`] is its place among them.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassInfo {
    /// As in the scenario.
    pub name: String,
    /// Smaller is more urgent.
    pub priority: i32,
    /// What counts as good, if the class says so; otherwise what holds for all.
    pub goodput: Option<GoodputLimits>,
}

/// Most classes: each has streams of random numbers of its own.
const MAX_CLASSES: usize = 4096;

/// Checks the keys of a synthetic workload.
///
/// # Errors
/// On a key that is missing, contradicts another, names a file that has not been read, or has a value outside its domain.
pub fn plan(workload: &Workload) -> Result<WorkloadPlan, ScenarioError> {
    check_classes(workload)?;
    let extent = extent(workload)?;
    if workload.max_concurrency == Some(0) {
        return Err(at("max_concurrency", "0: it must be at least 1"));
    }
    let own_arrivals = workload.class.first().is_some_and(|class| class.arrivals.is_some());
    let source = if own_arrivals {
        Source::Superposed(superposed(workload, extent)?)
    } else {
        let arrivals = workload.arrivals.clone().ok_or_else(|| missing("arrivals"))?;
        arrivals
            .check()
            .map_err(|error| located("workload.arrivals", &error.field, error.message.clone()))?;
        let classes = classes(workload)?;
        if let Arrivals::ClosedLoop { .. } = &arrivals {
            Source::ClosedLoop(closed_loop(workload, &arrivals, extent, classes)?)
        } else {
            Source::Synthetic(synthetic(workload, arrivals, extent, classes)?)
        }
    };
    let infos = workload.class.iter().enumerate().map(|(number, class)| class_info(number, class));
    let classes = infos.collect::<Result<_, _>>()?;
    let plan = WorkloadPlan { source, extent, max_concurrency: workload.max_concurrency, classes };
    // Whatever is still wrong shows when streams are made.
    plan.start(Streams::new(0, 0)).map(|_| plan)
}

impl WorkloadPlan {
    /// The requests under the replication's streams.
    ///
    /// # Errors
    /// None that [`plan`] would not have found, but for arrivals that are to be rescaled and run beyond the horizon.
    pub fn start(&self, streams: Streams) -> Result<Box<dyn Requests + Send>, ScenarioError> {
        let mistake = |error: SyntheticError| at(error.key(self.extent), error.message());
        let requests: Box<dyn Requests + Send> = match &self.source {
            Source::Synthetic(config) => Box::new(SyntheticWorkload::new(config, streams).map_err(mistake)?),
            Source::ClosedLoop(config) => Box::new(ClosedLoop::new(config, streams).map_err(mistake)?),
            Source::Superposed(configs) => {
                let part = |config: &SyntheticConfig| {
                    let part = SyntheticWorkload::new(config, streams);
                    part.map(|part| (config.first_class, part))
                };
                let parts = configs.iter().map(|config| {
                    part(config).map_err(|error| match &error {
                        SyntheticError::Field(field) => {
                            at(&format!("class.{}.{}", config.first_class, field.field), error.message())
                        }
                        _ => mistake(error),
                    })
                });
                let requests = match self.extent {
                    Extent::Requests(requests) => requests,
                    Extent::Duration(_) | Extent::Everything | Extent::Unbounded => u64::MAX,
                };
                Box::new(Superposed::new(parts.collect::<Result<_, _>>()?, requests))
            }
        };
        Ok(match self.max_concurrency {
            Some(limit) => Box::new(ConcurrencyLimited::new(requests, limit)),
            None => requests,
        })
    }

    /// Number of requests, where it is known before: without later turns and retries.
    pub fn num_requests(&self) -> Option<u64> {
        let plain = |class: &RequestClass| {
            class.sessions.is_none() && class.clients.as_ref().is_none_or(|clients| clients.retries.is_none())
        };
        let known = match &self.source {
            Source::Synthetic(config) => {
                config.arrivals.expected_requests().is_none() && config.classes.iter().all(plain)
            }
            Source::ClosedLoop(config) => config.classes.iter().all(plain),
            Source::Superposed(_) => false,
        };
        match self.extent {
            Extent::Requests(requests) if known => Some(requests),
            _ => None,
        }
    }
}

pub(super) fn at(key: &str, message: impl Into<String>) -> ScenarioError {
    ScenarioError::at(format!("workload.{key}"), message)
}

/// A mistake in `field` of the table at `key`, or in that as a whole.
pub(super) fn located(key: &str, field: &str, message: String) -> ScenarioError {
    ScenarioError::at(if field.is_empty() { key.to_owned() } else { format!("{key}.{field}") }, message)
}

pub(super) fn missing(key: &str) -> ScenarioError {
    at(key, "it is missing: give it, or a `trace`")
}

fn check_classes(workload: &Workload) -> Result<(), ScenarioError> {
    if workload.class.len() > MAX_CLASSES {
        return Err(at("class", format!("{} classes: at most {MAX_CLASSES}", workload.class.len())));
    }
    let own = workload.class.iter().filter(|class| class.arrivals.is_some()).count();
    let of = |number: usize, key: &str| format!("class.{number}.{key}");
    for (number, class) in workload.class.iter().enumerate() {
        let earlier = &workload.class[..number];
        if class.name.is_empty() || earlier.iter().any(|other| other.name == class.name) {
            let message = format!("{:?}: each class needs a name of its own", class.name);
            return Err(at(&of(number, "name"), message));
        }
        if own > 0 && class.arrivals.is_none() {
            let message =
                "other classes have arrivals of their own: give `arrivals` to every class or to none";
            return Err(at(&of(number, "arrivals"), message));
        }
        if own > 0 && class.weight.is_some() {
            let message = "a class with arrivals of its own has its share by them: leave `weight` out";
            return Err(at(&of(number, "weight"), message));
        }
        if own == 0 && class.fluctuation.is_some() {
            let message =
                "the class has no arrivals of its own: give it `arrivals`, or move this to `[workload]`";
            return Err(at(&of(number, "fluctuation"), message));
        }
        if let Some(weight) = class.weight.filter(|weight| !(weight.is_finite() && *weight > 0.0)) {
            return Err(at(&of(number, "weight"), format!("{weight:?}: it must be a finite number above 0")));
        }
    }
    if own > 0 && workload.arrivals.is_some() {
        return Err(at("arrivals", "classes have arrivals of their own: leave out these or those"));
    }
    Ok(())
}

fn class_info(number: usize, class: &Class) -> Result<ClassInfo, ScenarioError> {
    let slo = class.slo.as_ref().and_then(|slo| slo.goodput.as_ref());
    let field = format!("workload.class.{number}.slo.goodput");
    Ok(ClassInfo {
        name: class.name.clone(),
        priority: class.priority.unwrap_or(0),
        goodput: slo.map(|slo| goodput_limits(&field, slo)).transpose()?,
    })
}

fn classes(workload: &Workload) -> Result<Vec<RequestClass>, ScenarioError> {
    if workload.class.is_empty() {
        return Ok(vec![request_class(&Keys::new(workload, None))?]);
    }
    let numbered = workload.class.iter().enumerate();
    numbered.map(|class| request_class(&Keys::new(workload, Some(class)))).collect()
}

fn synthetic(
    workload: &Workload,
    arrivals: Arrivals,
    extent: Extent,
    classes: Vec<RequestClass>,
) -> Result<SyntheticConfig, ScenarioError> {
    if matches!((extent, &arrivals), (Extent::Duration(_), Arrivals::AtOnce {})) {
        let message = "requests that arrive all at once have no duration: give `requests`";
        return Err(at("duration_s", message));
    }
    if workload.fluctuation.is_some() && matches!(arrivals, Arrivals::AtOnce {}) {
        return Err(at("fluctuation", "requests that arrive all at once have no rate: leave it out"));
    }
    let rescale = workload.rescale_arrivals.unwrap_or(false);
    if rescale && !matches!(extent, Extent::Requests(_)) {
        let message = "only a number of requests can be stretched to its duration: give `requests`";
        return Err(at("rescale_arrivals", message));
    }
    let varies = workload.fluctuation.is_some()
        || matches!(
            arrivals,
            Arrivals::Stages { .. } | Arrivals::Piecewise { .. } | Arrivals::Sinusoidal { .. }
        );
    if rescale && varies {
        return Err(at("rescale_arrivals", "a rate that varies in time has its own duration: leave it out"));
    }
    let fluctuation = workload.fluctuation.clone();
    Ok(SyntheticConfig { fluctuation, rescale, classes, ..of_arrivals(extent, arrivals) })
}

fn of_arrivals(extent: Extent, arrivals: Arrivals) -> SyntheticConfig {
    SyntheticConfig {
        extent,
        arrivals,
        fluctuation: None,
        rescale: false,
        classes: Vec::new(),
        first_class: 0,
    }
}

fn superposed(workload: &Workload, extent: Extent) -> Result<Vec<SyntheticConfig>, ScenarioError> {
    let others = [
        ("rescale_arrivals", workload.rescale_arrivals == Some(true)),
        ("fluctuation", workload.fluctuation.is_some()),
    ];
    if let Some((key, _)) = others.iter().find(|(_, given)| *given) {
        return Err(at(key, "classes have arrivals of their own: leave it out"));
    }
    for (number, class) in workload.class.iter().enumerate() {
        let key = format!("workload.class.{number}.arrivals");
        let checked = class.arrivals.as_ref().map_or(Ok(()), Arrivals::check);
        checked.map_err(|error| located(&key, &error.field, error.message.clone()))?;
    }
    let rates = workload.class.iter().filter_map(|class| class.arrivals.as_ref()?.rate_per_s());
    let ends = workload.class.iter().map(|class| class.arrivals.as_ref()?.expected_requests());
    let checked = extent.check(Some(rates.sum()), ends.sum());
    checked.map_err(|error| at(error.key(extent), error.message()))?;
    // How many requests each class has of a common number is seen when they have arrived.
    let extent = if matches!(extent, Extent::Requests(_)) { Extent::Unbounded } else { extent };
    let part = |(number, class): (usize, &Class)| {
        let Some(arrivals) = class.arrivals.clone() else { return Err(missing("arrivals")) };
        let key = format!("workload.class.{number}.arrivals");
        if matches!(arrivals, Arrivals::ClosedLoop { .. } | Arrivals::AtOnce {}) {
            let message =
                "arrivals of a class need a rate: use another process, or weights and one process for all";
            return Err(ScenarioError::at(key, message));
        }
        let classes = vec![request_class(&Keys::new(workload, Some((number, class))))?];
        let fluctuation: Option<Fluctuation> = class.fluctuation.clone();
        // At most MAX_CLASSES.
        let first_class = number as u16;
        Ok(SyntheticConfig { fluctuation, classes, first_class, ..of_arrivals(extent, arrivals) })
    };
    workload.class.iter().enumerate().map(part).collect()
}

fn closed_loop(
    workload: &Workload,
    arrivals: &Arrivals,
    extent: Extent,
    classes: Vec<RequestClass>,
) -> Result<ClosedLoopConfig, ScenarioError> {
    let others = [
        ("rescale_arrivals", workload.rescale_arrivals == Some(true)),
        ("fluctuation", workload.fluctuation.is_some()),
        ("max_concurrency", workload.max_concurrency.is_some()),
    ];
    if let Some((key, _)) = others.iter().find(|(_, given)| *given) {
        return Err(at(key, "clients of a closed loop send when they have answers: leave it out"));
    }
    let &Arrivals::ClosedLoop { concurrency, think_time_s, think_time_cv, ramp_up_s } = arrivals else {
        return Err(missing("arrivals"));
    };
    let ramp_up = SimDuration::from_secs_f64(ramp_up_s.unwrap_or(0.0));
    let think_time = think_time_s.filter(|&secs| secs > 0.0);
    Ok(ClosedLoopConfig {
        extent,
        concurrency,
        think_time: think_time
            .map(|mean| {
                times("arrivals", ("think_time_s", mean), ("think_time_cv", think_time_cv.unwrap_or(1.0)))
            })
            .transpose()?,
        ramp_up: ramp_up.map_err(|error| at("arrivals.ramp_up_s", error.to_string()))?,
        classes,
    })
}

/// Times by two keys of the table at `key` of `[workload]`.
pub(super) fn times(key: &str, mean: (&str, f64), cv: (&str, f64)) -> Result<Distribution, ScenarioError> {
    by_mean_and_cv(mean, cv)
        .map_err(|error| located(&format!("workload.{key}"), &error.field, error.message.clone()))
}

/// Clients with the given keys.
pub(super) fn client_plan(key: &str, clients: &super::Clients) -> Result<ClientPlan, ScenarioError> {
    let cv = ("timeout_cv", clients.timeout_cv.unwrap_or(0.0));
    let patience = Some(times(key, ("timeout_s", clients.timeout_s), cv)?);
    let retries =
        clients.retries.as_ref().map(|retries| super::requests::retry_plan(key, retries)).transpose()?;
    Ok(ClientPlan { patience, retries })
}

fn extent(workload: &Workload) -> Result<Extent, ScenarioError> {
    match (workload.requests, workload.duration_s) {
        (Some(0), _) => Err(at("requests", "0: it must be at least 1")),
        (Some(requests), None) => Ok(Extent::Requests(requests)),
        (None, Some(secs)) => match SimDuration::from_secs_f64(secs) {
            Ok(SimDuration::ZERO) => Err(at("duration_s", format!("{secs}: it must be above 0"))),
            Ok(duration) => Ok(Extent::Duration(duration)),
            Err(error) => Err(at("duration_s", error.to_string())),
        },
        (Some(_), Some(_)) => Err(at("duration_s", "give `requests` or `duration_s`, not both")),
        (None, None) => {
            let ends = |arrivals: &Option<Arrivals>| {
                arrivals.as_ref().is_some_and(|arrivals| arrivals.expected_requests().is_some())
            };
            let all_end = if workload.class.iter().any(|class| class.arrivals.is_some()) {
                workload.class.iter().all(|class| ends(&class.arrivals))
            } else {
                ends(&workload.arrivals)
            };
            if all_end {
                Ok(Extent::Everything)
            } else {
                Err(at("requests", "it is missing: give it, or `duration_s`, or a `trace`"))
            }
        }
    }
}
