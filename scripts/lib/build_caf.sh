#!/usr/bin/env bash
# Builds and installs the C++ Actor Framework, static, into Troupe's cache. Argument: release | tsan.
set -euo pipefail
here=$(dirname "$0")
source "$here/steps.sh"

variant=$1
prefix=$(caf_prefix "$variant")
if [ -f "$prefix/complete" ]; then echo "    found in $prefix" >&2; exit 0; fi

# The source tarball: Debian's archive first, then the upstream release.
tarball="$troupe_cache/caf/actor-framework_$caf_version.orig.tar.gz"
mkdir -p "$troupe_cache/caf"
fetch_from_debian() {
  local dir="$troupe_cache/caf/apt"
  debian_sources "$dir" deb-src experimental
  mkdir -p "$dir/lists/partial"
  local options=(-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$dir"
    -o Dir::State::Lists="$dir/lists" -o APT::Sandbox::User=root)
  apt-get -qq "${options[@]}" update &&
    (cd "$dir" && apt-get -qq "${options[@]}" source --download-only --tar-only actor-framework) &&
    mv "$dir"/actor-framework_*.orig.tar.* "$tarball"
}
fetch_from_upstream() {
  curl -fsSL --retry 3 -o "$tarball" \
    "https://github.com/actor-framework/actor-framework/archive/refs/tags/$caf_version.tar.gz"
}
if ! check_sha256 "$tarball" "$caf_sha256" 2>/dev/null; then
  fetch_from_debian || fetch_from_upstream ||
    fail "network: the source of CAF $caf_version could be had neither from Debian's archive nor from github.com"
  check_sha256 "$tarball" "$caf_sha256" || fail "CAF: the downloaded source has the wrong sha256, so it is not built: $tarball"
fi

source_dir=$(mktemp -d "$troupe_cache/caf/build-XXXXXX")
trap 'rm -rf "$source_dir"' EXIT
tar -xf "$tarball" -C "$source_dir" --strip-components=1
options=(-DBUILD_SHARED_LIBS=OFF -DCAF_ENABLE_EXAMPLES=OFF -DCAF_ENABLE_TESTING=OFF -DCAF_ENABLE_TOOLS=OFF
  -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix")
[ "$variant" = tsan ] && options+=(-DCAF_SANITIZERS=thread)
command -v ccache >/dev/null && options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
log="$source_dir/log"
{ cmake -G Ninja -S "$source_dir" -B "$source_dir/out" "${options[@]}" &&
  cmake --build "$source_dir/out" &&
  cmake --install "$source_dir/out"; } >"$log" 2>&1 || { tail -n 30 "$log" >&2; fail "CAF did not build; the last lines of its log are above"; }
touch "$prefix/complete"
echo "    installed in $prefix" >&2
