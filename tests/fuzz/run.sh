#!/usr/bin/env bash
# run.sh FOLDER SECONDS: runs every fuzz target of the build in FOLDER for so long, from its committed seeds, and shows
# that each canary is found. Inputs that crash stay in FOLDER/crashes.
set -euo pipefail
binaries=$(realpath "$1")/bin seconds=$2
here=$(dirname "$(realpath "$0")")
crashes=$(realpath "$1")/crashes
mkdir -p "$crashes"
for seeds in "$here"/*_seeds; do
  name=$(basename "${seeds%_seeds}")
  corpus=$(mktemp -d)
  if "$binaries/${name}_canary" -max_total_time=60 -max_len=65536 -artifact_prefix="$corpus/" "$corpus" "$seeds" > "$corpus.log" 2>&1; then
    echo "fuzz: $name: the canary was not found in 60 s, so that silence says nothing" >&2
    exit 1
  fi
  grep -q "deadly signal" "$corpus.log" || { tail -20 "$corpus.log" >&2; exit 1; }
  rm -rf "$corpus"; mkdir "$corpus"
  # rss_limit_mb bounds what an input may make us hold, timeout how long it may take.
  "$binaries/$name" -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$crashes/$name-" "$corpus" "$seeds" 2>&1 | tail -12
  rm -rf "$corpus" "$corpus.log"
  echo "fuzz: $name: canary found, nothing else in $seconds s"
done
