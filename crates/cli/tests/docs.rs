//! The console blocks of the documentation are run, and must print what they show.

#[test]
fn console_blocks_print_what_they_show() {
    trycmd::TestCases::new()
        .case("../../README.md")
        .case("../../docs/vllm-command.md")
        .case("../../docs/sweep.md")
        .case("../../docs/calibrate.md")
        .case("../../docs/capacity.md");
}
