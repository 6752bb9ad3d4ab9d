//! The console blocks of the documentation are run, and must print what they show.

#[test]
fn console_blocks_print_what_they_show() {
    // Paths in them begin at the top of the repository.
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).expect("the repository");
    trycmd::TestCases::new()
        .case("README.md")
        .case("docs/vllm-command.md")
        .case("docs/workloads.md")
        .case("docs/sweep.md")
        .case("docs/calibrate.md")
        .case("docs/validate.md")
        .case("docs/capacity.md")
        .case("docs/routers.md");
}
