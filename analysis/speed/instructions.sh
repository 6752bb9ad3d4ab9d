#!/bin/sh
# Instructions and mispredicted branches by request on the quick-start engine, counted by callgrind: the same on a busy
# machine as on an idle one. Needs valgrind and `cargo build --release`. Arguments: rates in requests per second.
set -eu
cd "$(dirname "$0")"
kendall=${KENDALL:-../../target/release/kendall}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Instructions, mispredicted conditional and indirect branches of a run of $1 requests at $2 per second.
count() {
    valgrind --tool=callgrind --branch-sim=yes --callgrind-out-file="$work/out" "$kendall" run --quiet \
        --set "workload.requests=$1" --set "workload.arrivals.rate_per_s=$2" >"$work/log" 2>&1 ||
        { cat "$work/log" >&2; exit 1; }
    sed -n 's/^summary: \([0-9]*\) [0-9]* \([0-9]*\) [0-9]* \([0-9]*\)$/\1 \2 \3/p;s/^totals: \([0-9]*\) [0-9]* \([0-9]*\) [0-9]* \([0-9]*\)$/\1 \2 \3/p' \
        "$work/out" | tail -n 1
}

printf '%8s %13s %14s\n' rate instructions mispredictions
for rate in ${*:-1 4 8 12}; do
    # What starting costs is in both.
    few=$(count 20000 "$rate")
    many=$(count 60000 "$rate")
    echo "$rate $few $many" | awk '{ printf "%8s %13.0f %14.1f\n", $1, ($5 - $2) / 40000, ($6 + $7 - $3 - $4) / 40000 }'
done
