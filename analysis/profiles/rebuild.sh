#!/bin/sh
# Rebuilds the built-in profiles with `kendall calibrate`, and prints how well each meets what it did not see.
#
# usage: analysis/profiles/rebuild.sh MEASURED KENDALL OUT_DIR [CATALOGUE]
#
# MEASURED is the folder of measured data, which is not part of this project. One profile a file is written into OUT_DIR. With
# CATALOGUE, crates/serving/src/catalog/profiles.toml, they take the place of those that it holds.
set -eu
measured=$1 kendall=$2 out=$3 catalogue=${4-}
servers=$(dirname "$0")/servers
mkdir -p "$out"

# The requests of one stage of a recording: the first column is a number, the second the stage.
stage() { awk -F, -v stage="$2" 'NR == 1 || $2 == stage' "$measured/requests/$1.csv" > "$out/$1-stage$2.csv"; }

fit() { # name server engine files...
    name=$1 server=$2 engine=$3
    shift 3
    "$kendall" calibrate "$@" --server "$servers/$server.toml" --engine-version "$engine" --name "$name" --out "$out/$name.toml"
    echo
}

# Steps of a microbenchmark, and the eight rows of one server; those of the other server of the same kind are held out.
"$kendall" calibrate "$measured/step_times/a10g_qwen2.5-1.5b_vllm0.22_decode_microbench.csv" \
    --rows "$measured/e2e_measured.csv" --where source=EE384S --where max_num_seqs=128 --hold-out source=EE384S \
    --name a10g-qwen2.5-1.5b-vllm0.22-tp1 --out "$out/a10g-qwen2.5-1.5b-vllm0.22-tp1.toml"
echo
# Two workloads of Llama-2-7b; its other stages, the overload and other workloads are held out.
stage h100_llama-2-7b-tp1-codegen 0
stage h100_llama-2-7b-tp1-roleplay 0
fit h100-llama-2-7b-vllm0.15-tp1 h100-llama-2-7b-tp1 "vllm 0.15.1" \
    "$out/h100_llama-2-7b-tp1-codegen-stage0.csv" "$out/h100_llama-2-7b-tp1-roleplay-stage0.csv"
# The lower load of each of these; the higher one is held out.
stage h100_codellama-34b-tp2-general 0
fit h100-codellama-34b-vllm0.15-tp2 h100-codellama-34b-tp2 "vllm 0.15.1" "$out/h100_codellama-34b-tp2-general-stage0.csv"
stage h100_llama-2-70b-tp4-general 0
fit h100-llama-2-70b-vllm0.15-tp4 h100-llama-2-70b-tp4 "vllm 0.15.1" "$out/h100_llama-2-70b-tp4-general-stage0.csv"
# One run of Qwen3-14B at 2 requests/s; 6 requests/s, the other run at 2 and the saturated one are held out.
fit h100-qwen3-14b-vllm0.23-tp1 h100-qwen3-14b-tp1 "vllm 0.23.0" \
    "$measured/requests/h100-qwen3-14b-rate-agg-2rps-vanilla.csv"

if [ -n "$catalogue" ]; then
    mark="# Made by analysis/profiles/rebuild.sh: do not edit by hand."
    awk -v mark="$mark" '{ print } $0 == mark { exit }' "$catalogue" > "$out/catalogue.toml"
    for name in a10g-qwen2.5-1.5b-vllm0.22-tp1 \
        h100-llama-2-7b-vllm0.15-tp1 h100-codellama-34b-vllm0.15-tp2 h100-llama-2-70b-vllm0.15-tp4 \
        h100-qwen3-14b-vllm0.23-tp1; do
        sed 1d "$out/$name.toml" >> "$out/catalogue.toml"
    done
    mv "$out/catalogue.toml" "$catalogue"
fi
