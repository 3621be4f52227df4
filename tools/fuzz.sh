#!/usr/bin/env bash
# Builds every fuzz target and runs each for FUZZ_SECONDS (60) on its seeds. What it finds is kept in
# build/fuzz/found: a crashing input belongs, made small, in the folder of inputs that the tests walk.
set -euo pipefail

seconds=${FUZZ_SECONDS:-60}
found=build/fuzz/found
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz -j "${JOBS:-2}"
mkdir -p "$found"

ran=0
for target in build/fuzz/fuzz/*_fuzz; do
  [ -x "$target" ] || continue
  name=$(basename "$target")
  seeds=()
  for folder in fuzz/corpus/"${name%_fuzz}" tests/rejected/"${name%_fuzz}"; do
    if [ -d "$folder" ]; then seeds+=("$folder"); fi
  done
  grown=build/fuzz/corpus/$name
  mkdir -p "$grown"
  echo "fuzz: $name for $seconds s"
  # What is asked for by a number in a file gets null where that is too much, as from any malloc.
  # A 7z may state a dictionary of 4 GiB: liblzma asks for it, and touches what it needs.
  ASAN_OPTIONS=allocator_may_return_null=1 "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -malloc_limit_mb=8192 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="$found/$name-" "$grown" "${seeds[@]}" 2>&1 | tail -n 12
  ran=$((ran + 1))
done
echo "fuzz: $ran targets ran"
[ "$ran" -gt 0 ]
