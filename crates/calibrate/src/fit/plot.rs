//! A residual plot as SVG: each step's relative error against its measured duration.

use std::fmt::Write as _;

use kendall_serving::LinearCoefficients;

use super::terms::{PS_PER_S, Term, predict};
use crate::steps::{MeasuredStep, StepLog};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
/// Left, right, top, bottom.
const MARGINS: [f64; 4] = [62.0, 16.0, 34.0, 46.0];
/// Points drawn; more steps are thinned evenly.
const MAX_POINTS: usize = 4_000;
/// Errors beyond this are drawn at the border (%).
const MOST_PERCENT: f64 = 30.0;

/// Draws the errors of `coefficients` on the steps of the logs. Decode steps and steps with prompts have colours of
/// their own.
pub fn residual_plot(logs: &[&StepLog], coefficients: &LinearCoefficients) -> String {
    let values = Term::ALL.map(|term| term.of(coefficients) as f64 / PS_PER_S);
    let steps: Vec<&MeasuredStep> =
        logs.iter().flat_map(|log| &log.steps).filter(|step| step.duration_s > 0.0).collect();
    let thinning = steps.len().div_ceil(MAX_POINTS).max(1);
    let longest = steps.iter().map(|step| step.duration_s).fold(1e-9, f64::max);
    let shortest = steps.iter().map(|step| step.duration_s).fold(longest, f64::min);
    let [left, right, top, bottom] = MARGINS;
    let decades = libm::log(longest / shortest).max(1e-3);
    let x = |seconds: f64| left + (WIDTH - left - right) * libm::log(seconds / shortest) / decades;
    let y = |percent: f64| {
        let middle = top + (HEIGHT - top - bottom) / 2.0;
        middle - (HEIGHT - top - bottom) / 2.0 * percent.clamp(-MOST_PERCENT, MOST_PERCENT) / MOST_PERCENT
    };
    let mut svg = frame(steps.len(), thinning);
    for percent in [-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0] {
        let (at, end) = (y(percent), WIDTH - right);
        let _ = writeln!(svg, r##"<line x1="{left}" x2="{end}" y1="{at:.1}" y2="{at:.1}" stroke="#ddd"/>"##);
        let label = left - 6.0;
        let _ =
            writeln!(svg, r#"<text x="{label}" y="{:.1}" text-anchor="end">{percent:+} %</text>"#, at + 4.0);
    }
    for seconds in ticks(shortest, longest) {
        let _ = writeln!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{} ms</text>"#,
            x(seconds),
            HEIGHT - bottom + 18.0,
            1e3 * seconds
        );
    }
    for step in steps.iter().step_by(thinning) {
        let percent = 100.0 * (predict(&values, step) / step.duration_s - 1.0);
        let colour = if step.is_decode_only() { "#1f77b4" } else { "#d95f02" };
        let _ = writeln!(
            svg,
            r#"<circle cx="{:.1}" cy="{:.1}" r="1.6" fill="{colour}" fill-opacity="0.45"/>"#,
            x(step.duration_s),
            y(percent)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn frame(steps: usize, thinning: usize) -> String {
    let [left, _, top, bottom] = MARGINS;
    let shown = if thinning > 1 { format!(", one in {thinning} drawn") } else { String::new() };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n<text x=\"{left}\" y=\"{}\">\
         Predicted over measured, less one, of {steps} steps{shown}: decode blue, with prompts orange</text>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">measured step time</text>\n",
        top - 14.0,
        WIDTH / 2.0,
        HEIGHT - bottom + 38.0,
    )
}

/// 1, 2 and 5 times powers of ten within the range (s).
fn ticks(shortest: f64, longest: f64) -> Vec<f64> {
    let powers = (-6_i32..4).map(|power| libm::pow(10.0, f64::from(power)));
    powers
        .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * power))
        .filter(|seconds| (shortest..=longest).contains(seconds))
        .collect()
}
