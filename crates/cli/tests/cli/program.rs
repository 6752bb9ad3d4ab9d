//! The program under test, run under a limit of time and memory.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// About a minute. No run of these tests takes a tenth of it; what takes longer hangs.
const MAX_LOOKS: u32 = 30_000;

/// No run of these tests needs a quarter of it.
const MEMORY_LIMIT_KB: u64 = 1 << 20;

pub(crate) const QUICKSTART: &str = include_str!("../../../../scenarios/quickstart.toml");

/// A server of one seat with steps of 10 ms, and `requests` at `rate_per_s` for it with outputs of this distribution: M/G/1.
pub(crate) fn one_seat(requests: u64, rate_per_s: f64, output_tokens: &str) -> String {
    format!(
        "
[workload]
requests = {requests}
arrivals = {{ process = \"poisson\", rate_per_s = {rate_per_s:?} }}
prompt_tokens = {{ dist = \"constant\", tokens = 16 }}
output_tokens = {output_tokens}
[server]
num_gpu_blocks = 10_000
max_model_len = 4096
max_num_seqs = 1
enable_prefix_caching = false
async_scheduling = false
front_end_overhead_ms = 0
step_time = {{ model = \"linear\", base_ps = 10_000_000_000 }}
"
    )
}

/// A folder of its own for one run, with `out` as the place for results.
pub(crate) struct Bench {
    dir: TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// Peak of resident memory, sampled; 0 where `/proc` is absent.
    pub peak_kb: u64,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::with_prefix("kendall-cli.").expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file in a temporary folder");
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The program in this folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kendall"));
        command.args(args).current_dir(self.dir.path());
        command
    }

    /// Runs the program in this folder.
    pub(crate) fn kendall(&self, args: &[&str]) -> Outcome {
        finish(self.command(args))
    }

    /// Plays the quick start with these changes into `out`.
    pub(crate) fn quickstart(&self, changes: &[&str]) -> Outcome {
        let mut args = vec!["run", "--out", "out"];
        args.extend(changes.iter().flat_map(|change| ["--set", change]));
        self.kendall(&args)
    }

    /// Names in `out`, temporary ones included; empty where it does not exist.
    pub(crate) fn results(&self) -> Vec<String> {
        names(&self.path("out"))
    }
}

/// Names in a folder, sorted; empty where it does not exist.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

impl Outcome {
    /// Exit code 2 with a message that holds each of `parts`, and nothing on stdout.
    pub(crate) fn refuses(&self, parts: &[&str]) {
        self.fails(2, parts);
    }

    /// This exit code with a message that holds each of `parts`, and nothing on stdout.
    pub(crate) fn fails(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in the message:\n{}", self.stderr);
        }
    }

    /// Exit code 0.
    pub(crate) fn succeeds(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// The quick start with these changes is refused with a message that holds each of `parts`, and leaves no file.
pub(crate) fn refused(changes: &[&str], parts: &[&str]) {
    let bench = Bench::new();
    bench.quickstart(changes).refuses(parts);
    assert_eq!(bench.results(), [""; 0], "{changes:?}");
}

/// A scenario file with this text is refused with a message that holds each of `parts`, and leaves no file.
pub(crate) fn refused_text(text: impl AsRef<[u8]>, parts: &[&str]) {
    let bench = Bench::new();
    bench.write("mine.toml", text);
    let outcome = bench.kendall(&["run", "mine.toml", "--out", "out"]);
    outcome.refuses(&["mine.toml"]);
    outcome.refuses(parts);
    assert_eq!(bench.results(), [""; 0]);
}

/// Runs to the end. Panics of the program, hangs and too much memory fail the test.
pub(crate) fn finish(mut command: Command) -> Outcome {
    let (mut stdout, mut stderr) = (tempfile(), tempfile());
    let child = command.stdin(Stdio::null()).stdout(copy(&stdout)).stderr(copy(&stderr)).spawn();
    let (status, peak_kb) = wait(child.expect("the program starts"), &command);
    let outcome =
        Outcome { code: status.code(), stdout: text(&mut stdout), stderr: text(&mut stderr), peak_kb };
    assert!(outcome.code.is_some(), "{command:?} died of a signal: {outcome:?}");
    assert!(!outcome.stderr.contains("panicked at"), "{command:?}: {outcome:?}");
    assert!(peak_kb < MEMORY_LIMIT_KB, "{command:?} took {peak_kb} kB");
    outcome
}

fn wait(mut child: Child, command: &Command) -> (ExitStatus, u64) {
    let mut peak_kb = 0;
    for _ in 0..MAX_LOOKS {
        peak_kb = peak_kb.max(resident_peak_kb(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return (status, peak_kb);
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    let _ = child.kill();
    panic!("{command:?} does not end");
}

/// The kernel's own record of the peak, which only grows: the last look is the peak but for the last milliseconds.
fn resident_peak_kb(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn tempfile() -> File {
    tempfile::tempfile().expect("a temporary file")
}

fn copy(file: &File) -> File {
    file.try_clone().expect("another handle of a file")
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("a temporary file can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}
