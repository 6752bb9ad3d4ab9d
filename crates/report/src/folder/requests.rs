//! The latencies in `requests.csv`.

use std::path::Path;

use super::FolderError;

/// Latencies of the requests that have them, in order of departure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latencies {
    /// When the client sent it (s), and the time to its first token (ms).
    pub ttft: Vec<(f64, f64)>,
    /// Likewise the mean time per output token after the first (ms), of finished requests.
    pub tpot: Vec<(f64, f64)>,
    /// Likewise the end-to-end latency (ms).
    pub e2el: Vec<(f64, f64)>,
}

impl Latencies {
    pub(super) fn read(path: &Path) -> Result<Self, FolderError> {
        let mut reader = csv::Reader::from_path(path).map_err(|error| FolderError::csv(path, &error))?;
        let headers = reader.headers().map_err(|error| FolderError::csv(path, &error))?.clone();
        let column = |name: &str| {
            let missing =
                || FolderError::Csv { path: path.to_owned(), message: format!("no column `{name}`") };
            headers.iter().position(|header| header == name).ok_or_else(missing)
        };
        let (status, arrival) = (column("status")?, column("arrival_s")?);
        let columns = [column("ttft_s")?, column("tpot_s")?, column("e2el_s")?];
        let mut latencies = Self::default();
        let mut row = csv::StringRecord::new();
        while reader.read_record(&mut row).map_err(|error| FolderError::csv(path, &error))? {
            let number = |place: usize| -> Result<Option<f64>, FolderError> {
                let text = row.get(place).unwrap_or_default();
                if text.is_empty() {
                    return Ok(None);
                }
                let wrong = || FolderError::Csv {
                    path: path.to_owned(),
                    message: format!(
                        "column `{}` has `{text}`, which is no number of seconds",
                        &headers[place]
                    ),
                };
                text.parse().ok().filter(|x: &f64| x.is_finite()).map(Some).ok_or_else(wrong)
            };
            let sent = number(arrival)?.unwrap_or(0.0);
            let finished = row.get(status) == Some("finished");
            let kinds = [
                (&mut latencies.ttft, true),
                (&mut latencies.tpot, finished),
                (&mut latencies.e2el, finished),
            ];
            for ((list, counts), place) in kinds.into_iter().zip(columns) {
                if let Some(seconds) = number(place)?.filter(|_| counts) {
                    list.push((sent, seconds * 1e3));
                }
            }
        }
        Ok(latencies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("requests.csv");
        let head = "request,status,arrival_s,ttft_s,tpot_s,e2el_s\n";
        std::fs::write(&path, format!("{head}0,finished,1.0,0.5,,2\n1,aborted,1.5,0.25,0.1,\n")).unwrap();
        let read = Latencies::read(&path).unwrap();
        assert_eq!(
            (read.ttft, read.tpot, read.e2el),
            (vec![(1.0, 500.0), (1.5, 250.0)], vec![], vec![(1.0, 2_000.0)])
        );
        std::fs::write(&path, format!("{head}0,finished,1.0,fast,,2\n")).unwrap();
        let error = Latencies::read(&path).unwrap_err().to_string();
        assert!(error.contains("`ttft_s` has `fast`") && error.contains("kendall run --out"), "{error}");
    }
}
