#!/bin/sh
# Runs one fuzz target:
# rust/fuzz/run.sh TARGET --runs N | --seconds N [--engine plain|libfuzzer] [--large] [-- libFuzzer flags]
#
# Runs go to the plain driver, which needs only cargo; seconds, and runs with --engine libfuzzer, go to
# libFuzzer with coverage instrumentation on stable Rust, which needs a C++ compiler. What libFuzzer learns
# goes to build/fuzz, never into the seed corpus. --large goes up to inputs of 1 MiB, in the same memory: it begins
# with the seeds repeated to that length, and heeds which code was reached, not how often, or every length would be new.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=$1
shift
runs= seconds= engine= large=
while [ $# -gt 0 ]; do
    case $1 in
    --runs) runs=$2 && shift 2 ;;
    --seconds) seconds=$2 && shift 2 ;;
    --engine) engine=$2 && shift 2 ;;
    --large) large=1 engine=libfuzzer && shift ;;
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
learned=$here/../../build/fuzz/$target${large:+-large}
mkdir -p "$learned"
max_len=4096
if [ -n "$large" ]; then
    max_len=1048576
    for seed in "$here/corpus/$target"/*; do
        # The first byte chooses what is done with the rest.
        tail -c +2 "$seed" >"$learned/rest"
        [ -s "$learned/rest" ] || continue
        while [ "$(wc -c <"$learned/rest")" -lt "$max_len" ]; do
            cat "$learned/rest" "$learned/rest" >"$learned/twice" && mv "$learned/twice" "$learned/rest"
        done
        { head -c 1 "$seed" && cat "$learned/rest"; } | head -c "$max_len" >"$learned/seed-$(basename "$seed")"
        rm "$learned/rest"
    done
    set -- -use_counters=0 -len_control=0 "$@"
fi
exec "$build/libfuzzer/$host/release/$target" ${runs:+-runs="$runs"} ${seconds:+-max_total_time="$seconds"} \
    -rss_limit_mb=64 -malloc_limit_mb=64 -max_len="$max_len" -artifact_prefix="$learned/" "$@" \
    "$learned" "$here/corpus/$target"
