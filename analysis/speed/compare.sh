#!/bin/sh
# CPU time of inference-lab and kendall on the same workload, side by side in one run. Needs `cargo install inference-lab`
# and `cargo build --release`; 1e5 requests take inference-lab a while.
set -eu
cd "$(dirname "$0")"
kendall=${KENDALL:-../../target/release/kendall}
peer=${INFERENCE_LAB:-inference-lab}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cpu_seconds() {
    # `times` of a child shell: user and system time of the command that it ran.
    sh -c '"$@" >/dev/null 2>"$0" || { cat "$0" >&2; exit 1; }; times' "$work/log" "$@" | tail -n 1 |
        sed 's/m/ /g; s/s//g' | awk '{ printf "%.3f", $1 * 60 + $2 + $3 * 60 + $4 }'
}

printf '%10s %18s %14s %8s\n' requests 'inference-lab (s)' 'kendall (s)' ratio
for requests in ${*:-10000 100000}; do
    cat >"$work/workload.toml" <<END
arrival_pattern = "poisson"
arrival_rate = 10.0
num_requests = $requests
seed = 42
input_len_dist = { type = "normal", mean = 512.0, std_dev = 256.0 }
output_len_dist = { type = "normal", mean = 512.0, std_dev = 256.0 }
END
    other=$(cpu_seconds "$peer" --quiet --config inference-lab.toml --workload "$work/workload.toml")
    # The clock ticks every 10 ms, about as long as one run of ours: ten runs.
    ours=$(cpu_seconds sh -c 'for run in 1 2 3 4 5 6 7 8 9 10; do "$@"; done' - \
        "$kendall" run --quiet kendall.toml --set "workload.requests=$requests" |
        awk '{ printf "%.4f", $1 / 10 }')
    printf '%10s %18s %14s %8s\n' "$requests" "$other" "$ours" "$(awk "BEGIN { printf \"%.0f\", $other / $ours }")"
done
