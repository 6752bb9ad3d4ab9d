//! Parameters from requests alone: the measured run is replayed through kendall until its latencies are met.
//!
//! Residuals are of groups of requests that follow one another: when within a step a request arrives decides its own
//! TTFT as much as the parameters do, and averages out over a group.

use kendall_calibrate::{
    Guess, Match, Measured, MeasuredRequest, Simulate, Target, latencies, match_latencies,
};
use kendall_des::{SimDuration, SimTime};
use kendall_serving::catalog::ProfileRange;
use kendall_serving::step_time::roofline::{Corrections, FrontEndTimes};
use kendall_serving::{
    EngineGauges, Observer, PromptContent, RequestRecord, RequestSpec, RooflineSteps, Simulation,
    SimulationConfig, TokenSegment, TokenStream,
};
use serde::Serialize;

/// Requests of a group.
const GROUP: usize = 50;

/// How far a part of the roofline may be off, and how far the front end, as standard deviations of logarithms.
pub(super) const SPREAD: f64 = 0.25;
pub(super) const FRONT_END_SPREAD: f64 = 1.0;

/// Share of the requests, from the first on, that are fitted; the others are held out.
const FITTED_SHARE: f64 = 0.7;

/// The front end among the parameters.
const FRONT_END: [&str; 2] = ["tokenising_us_per_token", "front_end_overhead_ms"];

/// A fit to requests.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RequestFit {
    /// The parameters with their errors.
    pub matched: Match,
    /// The step times: factors on the roofline.
    pub corrections: Corrections,
    /// Between the client and the engine. Streaming is as it was given: requests cannot tell it from a longer way there.
    pub front_end: FrontEndTimes,
    /// Requests fitted.
    pub fitted: usize,
    /// Errors on the requests that were not fitted.
    pub hold_out: HoldOut,
    /// Where it was measured.
    pub range: ProfileRange,
}

/// Errors of means over requests that were not fitted (%), signed.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct HoldOut {
    /// How many.
    pub requests: usize,
    /// Of mean TTFT.
    pub ttft_percent: f64,
    /// Of mean TPOT.
    pub tpot_percent: f64,
    /// Of mean E2E.
    pub e2e_percent: f64,
}

/// Fits step times and front end to the requests of measured runs of one server.
///
/// `config` is the server with the roofline `steps` of its GPU and model; `front_end` is a first guess.
pub(crate) fn fit_requests(
    runs: &[&Measured],
    config: &SimulationConfig,
    steps: &RooflineSteps,
    front_end: &FrontEndTimes,
) -> Result<RequestFit, String> {
    let replay = |run: &&Measured| Replay::new(run, config, steps, front_end);
    let mut replays = runs.iter().map(replay).collect::<Result<Vec<_>, _>>()?;
    let guesses = roofline_guesses(front_end);
    let measured: Vec<MeasuredRequest> =
        replays.iter().flat_map(|replay| replay.groups(&replay.measured)).collect();
    let targets = Target::of_requests(&measured);
    let matched = match_latencies(&targets, &guesses, &mut All { replays: &mut replays })
        .map_err(|error| error.to_string())?;
    let values: Vec<f64> = matched.parameters.iter().map(|parameter| parameter.value).collect();
    let (corrections, front_end) = of_values(&values, front_end)?;
    let hold_out = hold_out(&mut replays, &values)?;
    let fitted = replays.iter().map(|replay| replay.fitted).sum();
    Ok(RequestFit { matched, corrections, front_end, fitted, hold_out, range: range(&replays) })
}

/// The factors on a roofline, and the front end after them.
pub(super) fn roofline_guesses(front_end: &FrontEndTimes) -> Vec<Guess> {
    let guess = |name: &str, value, spread| Guess { name: name.to_owned(), value, spread: Some(spread) };
    let mut guesses: Vec<Guess> = Corrections::KEYS.iter().map(|key| guess(key, 1.0, SPREAD)).collect();
    for (key, value) in FRONT_END.into_iter().zip([front_end.tokenising_us_per_token, front_end.receipt_ms]) {
        guesses.push(guess(key, value.max(0.01), FRONT_END_SPREAD));
    }
    guesses
}

/// Parameter values in the order of the guesses.
fn of_values(values: &[f64], given: &FrontEndTimes) -> Result<(Corrections, FrontEndTimes), String> {
    let (factors, &[tokenising_us_per_token, receipt_ms]) = values.split_last_chunk().ok_or("no values")?;
    let mut corrections = Corrections::default();
    for (key, factor) in Corrections::KEYS.iter().zip(factors) {
        if let Some(slot) = corrections.get_mut(key) {
            *slot = *factor;
        }
    }
    corrections.check()?;
    Ok((corrections, FrontEndTimes { tokenising_us_per_token, receipt_ms, ..given.clone() }))
}

/// One measured run and its simulation.
struct Replay {
    config: SimulationConfig,
    steps: RooflineSteps,
    front_end: FrontEndTimes,
    specs: Vec<RequestSpec>,
    /// In order of arrival, as the specifications.
    measured: Vec<MeasuredRequest>,
    fitted: usize,
    most_running: u64,
}

impl Replay {
    fn new(
        run: &Measured,
        config: &SimulationConfig,
        steps: &RooflineSteps,
        front_end: &FrontEndTimes,
    ) -> Result<Self, String> {
        let mut measured: Vec<MeasuredRequest> = run.requests.clone();
        if let Some(missing) = measured.iter().position(|request| request.send_s.is_none()) {
            return Err(format!(
                "{}: request {missing} has no send time: arrivals cannot be replayed",
                run.file
            ));
        }
        measured.sort_by(|a, b| a.send_s.unwrap_or_default().total_cmp(&b.send_s.unwrap_or_default()));
        let specs = measured.iter().map(|request| spec(request).map_err(|e| format!("{}: {e}", run.file)));
        let specs = specs.collect::<Result<Vec<_>, _>>()?;
        let fitted = (specs.len() as f64 * FITTED_SHARE) as usize;
        let (config, steps, front_end) = (config.clone(), steps.clone(), front_end.clone());
        Ok(Self { config, steps, front_end, specs, measured, fitted, most_running: 0 })
    }

    fn simulate(&mut self, values: &[f64]) -> Result<Vec<MeasuredRequest>, String> {
        let (corrections, front_end) = of_values(values, &self.front_end)?;
        self.config.step_time = self.steps.corrected(&corrections).into();
        self.config.front_end = front_end.durations();
        let keeper = Keeper { requests: vec![MeasuredRequest::default(); self.specs.len()], most_running: 0 };
        let stream = Box::new(self.specs.clone().into_iter().map(Ok));
        let run = Simulation::new(&self.config, stream, keeper).map_err(|error| error.to_string())?;
        let (_, keeper) = run.run().map_err(|error| error.to_string())?;
        self.most_running = self.most_running.max(keeper.most_running);
        Ok(keeper.requests)
    }

    /// Means of the groups that are fitted.
    fn groups(&self, requests: &[MeasuredRequest]) -> Vec<MeasuredRequest> {
        let answered = |i: &usize| self.measured[*i].ttft_s.is_some();
        let places: Vec<usize> = (0..self.fitted).filter(answered).collect();
        let of =
            |places: &[usize]| -> Vec<&MeasuredRequest> { places.iter().map(|&i| &requests[i]).collect() };
        places.chunks(GROUP).map(|places| mean_request(&of(places))).collect()
    }
}

/// A request with the group's mean TTFT and TPOT.
fn mean_request(requests: &[&MeasuredRequest]) -> MeasuredRequest {
    let ttft_s = mean(requests.iter().filter_map(|request| request.ttft_s));
    let tpot_s = mean(requests.iter().filter_map(|request| request.tpot_s()));
    let last_token_s = ttft_s.zip(tpot_s).map(|(ttft, tpot)| ttft + tpot);
    MeasuredRequest { ttft_s, last_token_s, output_tokens: Some(2), ..MeasuredRequest::default() }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// All runs as one simulator.
struct All<'a> {
    replays: &'a mut [Replay],
}

impl Simulate for All<'_> {
    fn simulate(&mut self, values: &[f64]) -> Result<Vec<Option<f64>>, String> {
        let mut groups = Vec::new();
        for replay in self.replays.iter_mut() {
            let simulated = replay.simulate(values)?;
            groups.extend(replay.groups(&simulated));
        }
        Ok(latencies(&groups))
    }
}

fn hold_out(replays: &mut [Replay], values: &[f64]) -> Result<HoldOut, String> {
    let (mut simulated, mut measured) = (Vec::new(), Vec::new());
    for replay in replays {
        let all = replay.simulate(values)?;
        for (simulated_one, measured_one) in all.into_iter().zip(&replay.measured).skip(replay.fitted) {
            if measured_one.ttft_s.is_some() {
                simulated.push(simulated_one);
                measured.push(measured_one.clone());
            }
        }
    }
    let error = |figure: fn(&MeasuredRequest) -> Option<f64>| {
        let means = mean(simulated.iter().filter_map(figure)).zip(mean(measured.iter().filter_map(figure)));
        means.map_or(f64::NAN, |(simulated, measured)| 100.0 * (simulated / measured - 1.0))
    };
    Ok(HoldOut {
        requests: measured.len(),
        ttft_percent: error(|request| request.ttft_s),
        tpot_percent: error(MeasuredRequest::tpot_s),
        e2e_percent: error(|request| request.e2e_s),
    })
}

fn range(replays: &[Replay]) -> ProfileRange {
    let specs = replays.iter().flat_map(|replay| &replay.specs);
    let budget = replays.iter().map(|replay| u64::from(replay.config.engine.max_num_batched_tokens)).max();
    let most_running = replays.iter().map(|replay| replay.most_running).max().unwrap_or(1);
    range_of(specs, most_running, budget)
}

/// Where requests lie that ran at most so many at once, under a budget of prompt tokens a step.
pub(super) fn range_of<'a>(
    specs: impl Iterator<Item = &'a RequestSpec> + Clone,
    most_running: u64,
    budget: Option<u64>,
) -> ProfileRange {
    let prompt = |spec: &RequestSpec| u64::from(spec.num_prompt_tokens);
    let longest = specs.clone().map(prompt).max().unwrap_or(0);
    ProfileRange {
        min_decode_seqs: 1,
        max_decode_seqs: most_running,
        min_context_tokens: specs.clone().map(prompt).min().unwrap_or(0),
        max_context_tokens: specs.map(|spec| prompt(spec) + u64::from(spec.max_tokens)).max().unwrap_or(0),
        max_prefill_tokens: longest.min(budget.unwrap_or(longest)),
    }
}

fn spec(request: &MeasuredRequest) -> Result<RequestSpec, String> {
    let count = |what: &str, tokens: Option<u64>| {
        let tokens =
            tokens.ok_or_else(|| format!("a request has no {what}_tokens: it cannot be replayed"))?;
        u32::try_from(tokens.max(1))
            .map_err(|_| format!("{tokens} {what} tokens: expected a number below 2^32"))
    };
    let prompt = count("prompt", request.prompt_tokens)?;
    // A request that failed was there too: what it would have been given is taken for one token.
    let output = if request.succeeded() { count("output", request.output_tokens)? } else { 1 };
    let send =
        SimDuration::from_secs_f64(request.send_s.unwrap_or_default()).map_err(|error| error.to_string())?;
    let mut spec = RequestSpec::new(SimTime::ZERO + send, prompt, output);
    if let Some(id) = request.prompt_id {
        let whole = TokenSegment { stream: TokenStream::Shared(id), start: 0, len: prompt };
        spec.prompt = PromptContent::Segments(Box::new([whole]));
    }
    Ok(spec)
}

/// Keeps what a client would see.
struct Keeper {
    requests: Vec<MeasuredRequest>,
    most_running: u64,
}

impl Observer for Keeper {
    fn token_gaps(&mut self, _gap: SimDuration, _n: u64) {}

    fn departed(&mut self, record: &RequestRecord) {
        let Some(place) = self.requests.get_mut(record.index as usize) else { return };
        let e2e_s = record.e2e().map(SimDuration::as_secs_f64);
        *place = MeasuredRequest {
            ttft_s: record.ttft().map(SimDuration::as_secs_f64),
            last_token_s: e2e_s,
            e2e_s,
            output_tokens: Some(u64::from(record.num_output_tokens)),
            ..MeasuredRequest::default()
        };
    }

    fn gauges(&mut self, _replica: u32, _now: SimTime, gauges: EngineGauges) {
        self.most_running = self.most_running.max(u64::from(gauges.num_running));
    }
}
