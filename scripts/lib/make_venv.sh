#!/usr/bin/env bash
# A Python environment in Troupe's cache for the tests (never for the product). With --empty only
# the environment itself, which the model's download needs; else with the test clients.
set -euo pipefail
here=$(dirname "$0")
source "$here/steps.sh"

venv="$troupe_cache/venv"
[ -x "$venv/bin/pip" ] || { rm -rf "$venv"; python3 -m venv "$venv" || fail "python: 'python3 -m venv' failed (is python3-venv installed?)"; }
[ "${1:-}" = --empty ] && exit 0

requirements="$here/../test-requirements.txt"
stamp="$venv/$(sha256sum < "$requirements" | cut -c1-16).installed"
if [ ! -f "$stamp" ]; then
  "$venv/bin/python" -m pip install -q --disable-pip-version-check -r "$requirements" ||
    fail "network: the test clients of $requirements could not be had from the Python package index"
  touch "$stamp"
fi
