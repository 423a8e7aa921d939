#!/bin/sh
# Runs one fuzz target: rust/fuzz/run.sh TARGET --runs N | --seconds N [--engine plain|libfuzzer] [-- libFuzzer flags]
#
# Runs go to the plain driver, which needs only cargo; seconds, and runs with --engine libfuzzer, go to
# libFuzzer with coverage instrumentation on stable Rust, which needs a C++ compiler. What libFuzzer learns
# goes to build/fuzz, never into the seed corpus.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=$1
shift
runs= seconds= engine=
while [ $# -gt 0 ]; do
    case $1 in
    --runs) runs=$2 && shift 2 ;;
    --seconds) seconds=$2 && shift 2 ;;
    --engine) engine=$2 && shift 2 ;;
    --) shift && break ;;
    *) echo "unknown option: $1" >&2 && exit 2 ;;
    esac
done
[ -n "$engine" ] || engine=$([ -n "$seconds" ] && echo libfuzzer || echo plain)
build=${CARGO_TARGET_DIR:-$here/target}

if [ "$engine" = plain ]; then
    exec cargo run --quiet --release --locked --manifest-path "$here/Cargo.toml" --target-dir "$build/plain" \
        --bin plain -- "$target" "${runs:-100000}"
fi

export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
# With --target the flags are for the target only: build scripts and macros would not link with them.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --quiet --release --locked --manifest-path "$here/Cargo.toml" --target-dir "$build/libfuzzer" \
    --target "$host" --features libfuzzer --bin "$target"
learned=$here/../../build/fuzz/$target
mkdir -p "$learned"
exec "$build/libfuzzer/$host/release/$target" ${runs:+-runs="$runs"} ${seconds:+-max_total_time="$seconds"} \
    -rss_limit_mb=64 -malloc_limit_mb=64 -max_len=4096 -artifact_prefix="$learned/" "$@" \
    "$learned" "$here/corpus/$target"
