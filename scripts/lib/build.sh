#!/usr/bin/env bash
# Configures and builds one preset, quietly unless it fails; further arguments are targets.
set -euo pipefail
here=$(dirname "$0")
source "$here/steps.sh"

preset=$1
shift
mkdir -p "build/$preset"
log="build/$preset/build.log"
targets=()
[ $# -gt 0 ] && targets=(--target "$@")
start=$SECONDS
echo "==> build ($preset)" >&2
{ cmake --preset "$preset" && cmake --build --preset "$preset" "${targets[@]}"; } >"$log" 2>&1 || {
  grep -nE 'error|FAILED|CMake Error' -A3 "$log" | tail -n 60 >&2
  fail "the $preset build failed; the whole log is $log"
}
printf '    %d s\n' $((SECONDS - start)) >&2
