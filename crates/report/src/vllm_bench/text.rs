//! The block that `vllm bench serve` prints at its end.

use std::fmt::{Display, Write as _};

use super::BenchReport;

impl BenchReport<'_> {
    /// `Serving Benchmark Result`, blanks at the ends of lines included.
    pub fn to_text(&self) -> String {
        let (settings, summary) = (self.settings, &self.summary);
        let has_tokens = settings.tokenizer_id.is_some();
        let mut block = Block::default();
        block.title(" Serving Benchmark Result ", '=');
        block.line("Successful requests:", summary.completed);
        block.line("Failed requests:", self.failed());
        if let Some(most) = settings.max_concurrency {
            block.line("Maximum request concurrency:", most);
        }
        if settings.request_rate.is_finite() {
            block.figure("Request rate configured (RPS):", Some(settings.request_rate));
        }
        block.figure("Benchmark duration (s):", Some(summary.duration_s));
        block.line("Total input tokens:", summary.total_input_tokens);
        if has_tokens {
            block.line("Total generated tokens:", summary.total_output_tokens);
        }
        block.figure("Request throughput (req/s):", summary.request_throughput);
        if settings.goodput {
            block.figure("Request goodput (req/s):", summary.request_goodput);
        }
        if has_tokens {
            block.figure("Output token throughput (tok/s):", summary.output_throughput);
            block.figure("Peak output token throughput (tok/s):", Some(self.peak_tokens_per_s as f64));
        }
        block.figure("Peak concurrent requests:", Some(self.peak_requests as f64));
        if has_tokens {
            block.figure("Total token throughput (tok/s):", summary.total_token_throughput);
        }
        for named in self.metrics() {
            block.title(named.header, '-');
            for (word, ms) in self.statistics(named.metric) {
                let word = match word.as_str() {
                    // Only saved, not printed.
                    "std" => continue,
                    "mean" => "Mean".to_owned(),
                    "median" => "Median".to_owned(),
                    percentile => percentile.to_uppercase(),
                };
                block.figure(&format!("{word} {} (ms):", named.label), Some(ms));
            }
        }
        block.title("", '=');
        block.0
    }
}

#[derive(Default)]
struct Block(String);

impl Block {
    fn title(&mut self, title: &str, fill: char) {
        let blank = 50_usize.saturating_sub(title.chars().count());
        let fill = |n: usize| fill.to_string().repeat(n);
        self.write(&format!("{}{title}{}", fill(blank / 2), fill(blank - blank / 2)));
    }

    fn line(&mut self, label: &str, value: impl Display) {
        let value = value.to_string();
        self.write(&format!("{label:<40} {value:<10}"));
    }

    /// With two decimals; a rate over no time is 0.
    fn figure(&mut self, label: &str, value: Option<f64>) {
        self.line(label, format!("{:.2}", value.unwrap_or(0.0)));
    }

    fn write(&mut self, line: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}
