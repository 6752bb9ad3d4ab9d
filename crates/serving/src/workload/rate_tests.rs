//! Rates against their own integrals.

use super::*;

fn steps(segments: &mut Segments, mass: f64, n: u32) -> Vec<f64> {
    let mut now = 0.0;
    (0..n)
        .map_while(|_| {
            now += segments.advance(mass)?;
            Some(now)
        })
        .collect()
}

fn segment(duration_s: f64, from: f64, to: f64) -> Segment {
    Segment { duration_s, from, to }
}

#[test]
fn equal_gaps_fill_each_stage_to_its_end() {
    for (rate, duration) in [(4.0, 6.0), (3.0, 10.0), (7.0, 3.0)] {
        let mut stages =
            Segments::new(vec![segment(duration, rate, rate), segment(1.0, 1.0, 1.0)], Afterwards::End);
        let times = steps(&mut stages, 1.0, 1_000);
        assert_eq!(times.len(), (rate * duration) as usize + 1);
        assert!((times[times.len() - 2] - duration).abs() < 1e-9, "the stage's last arrival is at its end");
        assert!((times[times.len() - 1] - duration - 1.0).abs() < 1e-9);
    }
}

#[test]
fn a_ramp_follows_its_parabola() {
    // From 0 to 10 a second over 20 s: 100 arrivals, number k at sqrt(4 k).
    let mut ramp = Segments::new(vec![segment(20.0, 0.0, 10.0)], Afterwards::Hold(10.0));
    let times = steps(&mut ramp, 1.0, 110);
    for (k, time) in (1..=100).zip(&times) {
        assert!((time - libm::sqrt(4.0 * f64::from(k))).abs() < 1e-9, "arrival {k} at {time}");
    }
    assert!((times[109] - 21.0).abs() < 1e-9, "the last rate is held");
    let mut falling = Segments::new(vec![segment(20.0, 10.0, 0.0)], Afterwards::Hold(0.0));
    let times = steps(&mut falling, 1.0, 1_000);
    assert_eq!(times.len(), 100);
    assert!((times[99] - 20.0).abs() < 1e-6);
}

#[test]
fn cycles_are_leapt_over() {
    let cycle = vec![segment(1.0, 2.0, 2.0), segment(3.0, 0.0, 0.0)];
    let mut repeated = Segments::new(cycle, Afterwards::Repeat);
    assert!((repeated.advance(2e9 + 1.0).unwrap() - 4e9 - 0.5).abs() < 1e-3);
    assert!((repeated.advance(2.0).unwrap() - 4.0).abs() < 1e-9);
    let mut silent = Segments::new(vec![segment(1.0, 0.0, 0.0)], Afterwards::Repeat);
    assert_eq!(silent.advance(1.0), None);
}

#[test]
fn a_sinusoid_is_the_inverse_of_its_integral() {
    for amplitude in [0.0, 0.3, 1.0] {
        let (rate, period, phase) = (5.0, 7.0, 2.0);
        let integral = |t: f64| {
            let angle = |t: f64| TAU * (t + phase) / period;
            rate * (t + amplitude * period / TAU * (libm::cos(angle(0.0)) - libm::cos(angle(t))))
        };
        let mut sinusoid = Sinusoid::new(rate, amplitude, period, phase);
        let (mut now, mut mass) = (0.0, 0.0);
        for step in 0..2_000_u32 {
            let gap = 0.01 + f64::from(step % 37) * f64::from(step % 11) * 0.3;
            mass += gap;
            now += sinusoid.advance(gap);
            assert!((integral(now) - mass).abs() < 1e-6 * (1.0 + mass), "amplitude {amplitude}, step {step}");
        }
    }
}
