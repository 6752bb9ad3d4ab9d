//! Results appear whole or not at all: unwritable folders, full disks, interrupts, closed pipes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::program::{Bench, finish, names};

const FILES: [&str; 4] = ["requests.csv", "scenario.toml", "summary.json", "timeline.csv"];

#[test]
fn a_file_in_the_way_of_the_folder_is_kept() {
    let bench = Bench::new();
    bench.write("taken", "mine");
    for out in ["taken", "taken/deeper"] {
        let outcome = bench.kendall(&["run", "--out", out]);
        outcome.fails(1, &[&format!("{out}: cannot create this folder"), "a file is in the way", "--out"]);
    }
    assert_eq!(bench.read("taken"), "mine");
}

#[test]
fn missing_folders_are_created_and_files_are_as_readable_as_others() {
    let bench = Bench::new();
    bench.kendall(&["run", "--out", "a/b/c", "--set", "workload.requests=5"]).succeeds();
    assert_eq!(names(&bench.path("a/b/c")), FILES);
    #[cfg(unix)]
    for name in FILES {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(bench.path(&format!("a/b/c/{name}"))).expect("a result").permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{name}");
    }
}

#[test]
fn results_take_the_place_of_older_ones_only_when_whole() {
    let bench = Bench::new();
    bench.quickstart(&["workload.requests=50"]).succeeds();
    let before = FILES.map(|name| bench.read(&format!("out/{name}")));
    bench.quickstart(&["workload.requests=10", "workload.arrivals.rate_per_s=5.5e-7"]).refuses(&["213 days"]);
    assert_eq!(bench.results(), FILES);
    assert_eq!(FILES.map(|name| bench.read(&format!("out/{name}"))), before);
    bench.quickstart(&["workload.requests=60"]).succeeds();
    assert_ne!(bench.read("out/requests.csv"), before[0]);
}

/// Permissions do not bind root, so root becomes nobody first.
#[cfg(unix)]
#[test]
fn a_folder_without_write_permission_is_refused() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let bench = Bench::new();
    let folder = bench.path("locked");
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own folder");
    };
    fs::create_dir(&folder).expect("a folder");
    let program = bench.path("kendall");
    fs::copy(env!("CARGO_BIN_EXE_kendall"), &program).expect("a copy of the program");
    mode(&program, 0o755);
    mode(&bench.path(""), 0o755);
    mode(&folder, 0o555);
    let is_root = fs::metadata(&folder).expect("a folder").uid() == 0;
    for (out, doing) in [("locked", "write to this folder"), ("locked/new", "create this folder")] {
        let mut command = Command::new(&program);
        command.args(["run", "--out", out]).current_dir(bench.path(""));
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        finish(command)
            .fails(1, &["locked", &format!("cannot {doing}"), "choose a folder that you may write"]);
    }
    mode(&folder, 0o755);
    assert_eq!(names(&folder), [""; 0]);
}

/// A file system of 64 KiB that is gone with this value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).ok()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "kendall-test"]).arg(&at);
        let mounted = mount.stdout(Stdio::null()).stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_named_and_keeps_what_was_there() {
    let bench = Bench::new();
    let Some(disk) = SmallDisk::mount(bench.path("out")) else {
        println!("skipped: cannot mount a tmpfs");
        return;
    };
    bench.quickstart(&["workload.requests=20"]).succeeds();
    let before = bench.read("out/requests.csv");
    let outcome = bench.quickstart(&["workload.requests=5000"]);
    outcome
        .fails(1, &["out/requests.csv: cannot write this file", "No space left", "free some space", "--out"]);
    assert_eq!(bench.results(), FILES);
    assert_eq!(bench.read("out/requests.csv"), before);
    // A run that cannot keep its results ends at once, not after the millions of requests that remain.
    bench.quickstart(&["workload.requests=70000000"]).fails(1, &["No space left"]);
    drop(disk);
}

/// However little room there is, the results are all there or none of them.
#[test]
fn a_disk_that_fills_up_late_leaves_no_part_of_the_results() {
    let bench = Bench::new();
    let Some(disk) = SmallDisk::mount(bench.path("out")) else {
        println!("skipped: cannot mount a tmpfs");
        return;
    };
    let mut whole = 0;
    for ballast_kb in (0..64).step_by(4) {
        bench.write("out/ballast", vec![0; ballast_kb << 10]);
        let outcome = bench.quickstart(&["workload.requests=20"]);
        let mut names = bench.results();
        names.retain(|name| name != "ballast");
        if outcome.code == Some(0) {
            assert_eq!(names, FILES);
            whole += 1;
        } else {
            outcome.fails(1, &["out/", "No space left"]);
            assert_eq!(names, [""; 0], "with {ballast_kb} KiB taken");
        }
        for name in FILES {
            let _ = fs::remove_file(bench.path(&format!("out/{name}")));
        }
    }
    assert!((1..16).contains(&whole), "{whole} of 16 runs had room");
    drop(disk);
}

/// A limit on file sizes fails a write as a full disk does, and needs no privilege.
#[cfg(unix)]
#[test]
fn a_file_that_may_not_grow_is_named() {
    let bench = Bench::new();
    let mut shell = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"";
    shell
        .args(["-c", script, env!("CARGO_BIN_EXE_kendall"), "run", "--out", "out"])
        .current_dir(bench.path(""));
    finish(shell).fails(1, &["out/requests.csv: cannot write this file", "File too large", "--out"]);
    assert_eq!(bench.results(), [""; 0]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_run_without_a_file() {
    ends_without_a_file("-INT", 130);
}

#[cfg(unix)]
#[test]
fn a_request_to_end_is_an_interrupt_with_a_code_of_its_own() {
    ends_without_a_file("-TERM", 143);
}

#[cfg(unix)]
fn ends_without_a_file(signal: &str, code: i32) {
    let bench = Bench::new();
    let changes = ["--set", "workload.requests=70000000", "--out", "out", "--steps"];
    let mut command = bench.command(&[&["run"][..], &changes].concat());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    let mut looks = 0;
    while bench.results().len() < 2 {
        assert!(looks < 2_000, "the run never began: {:?}", bench.results());
        looks += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    let output = child.wait_with_output().expect("a child of ours");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains("interrupted: no file was written"), "{stderr}");
    assert!(output.stdout.is_empty());
    assert_eq!(bench.results(), [""; 0]);
}

/// `kendall ... | head -1`: whoever reads has left, and nothing failed.
#[test]
fn a_reader_that_leaves_is_no_error() {
    for args in [&["catalog", "--json"][..], &["schema"], &["run", "--json", "--set", "workload.requests=50"]]
    {
        let bench = Bench::new();
        let mut command = bench.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("a child of ours");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_on_stdout_is_an_error() {
    let bench = Bench::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let output = bench.command(&["schema"]).stdout(full).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("cannot write to standard output: No space left"), "{stderr}");
}
