#!/bin/sh
# Installs fabra for this user: curl -fsSL <address of a release>/install.sh | FABRA_RELEASE=<that address> sh
#
#   FABRA_RELEASE      address or folder that holds SHA256SUMS and the archives (a release writes its own here)
#   FABRA_INSTALL_DIR  where fabra goes; ~/.local/bin by default
#
# Needs curl or wget, tar, and sha256sum or shasum. Asks for no rights; everything outside of FABRA_INSTALL_DIR stays as it is.
# All of it is in functions called at the end, so that half a script does nothing.
set -eu

say() { printf 'install: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

system() {
  case "$(uname -s)" in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) die "there is no fabra for $(uname -s). On Windows use WSL." ;;
  esac
  case "$(uname -m)" in
    x86_64 | amd64) arch=x64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) die "there is no fabra for the processor $(uname -m)." ;;
  esac
  # A terminal under Rosetta calls itself x86_64.
  if [ "$os" = darwin ] && [ "$arch" = x64 ] && [ "$(sysctl -n hw.optional.arm64 2>/dev/null || echo 0)" = 1 ]; then arch=arm64; fi
  if [ "$os" = linux ] && [ -f /etc/alpine-release ]; then die 'fabra needs glibc, and Alpine has musl. Use a Debian-based image.'; fi
  printf '%s-%s' "$os" "$arch"
}

# One line of ours for whatever goes wrong, with the program's own words in it.
fetch() {
  case "$1" in
    /*) said=$(cp "$1" "$2" 2>&1) || die "cannot read $1." ;;
    *)
      if has curl; then said=$(curl -fsSL --retry 2 --connect-timeout 10 --speed-limit 1 --speed-time 60 -o "$2" "$1" 2>&1) || die "cannot download $1: $(reason_in "$said")"
      elif has wget; then said=$(wget -nv -t 2 -T 30 -O "$2" "$1" 2>&1) || die "cannot download $1: $(reason_in "$said")"
      else die 'neither curl nor wget is here. Install one of them.'
      fi
      ;;
  esac
}

reason_in() { printf '%s\n' "$1" | grep . | tail -n 1 | grep . || echo 'the connection broke off.'; }

sum_of() {
  if has sha256sum; then sha256sum "$1" | cut -d ' ' -f 1
  elif has shasum; then shasum -a 256 "$1" | cut -d ' ' -f 1
  else die 'neither sha256sum nor shasum is here: the download cannot be verified.'
  fi
}

main() {
  from=${FABRA_RELEASE:-@RELEASE@}
  from=${from%/}
  case "$from" in @*) die 'FABRA_RELEASE is not set. Set it to the address of a release.' ;; esac
  [ -n "${FABRA_INSTALL_DIR:-${HOME:-}}" ] || die 'neither HOME nor FABRA_INSTALL_DIR is set.'
  to=${FABRA_INSTALL_DIR:-$HOME/.local/bin}
  system=$(system)
  has tar || die 'tar is not here. Install it.'
  new="$to/.fabra.$$"
  work=$(mktemp -d "${TMPDIR:-/tmp}/fabra-install.XXXXXX" 2>/dev/null) || die "cannot write to ${TMPDIR:-/tmp}. Set TMPDIR to a folder of yours."
  trap 'rm -rf "$work" "$new" 2>/dev/null' EXIT
  trap 'exit 1' HUP INT TERM

  fetch "$from/SHA256SUMS" "$work/SHA256SUMS"
  line=$(grep -E "^[0-9a-f]{64} [ *]fabra-[^/]*-$system\.tar\.gz$" "$work/SHA256SUMS" | head -n 1) || true
  [ -n "$line" ] || die "$from/SHA256SUMS names no archive for $system. Nothing was installed."
  wanted=${line%% *}
  name=${line##*[ *]}

  say "downloading $name"
  fetch "$from/$name" "$work/$name"
  actual=$(sum_of "$work/$name")
  [ "$actual" = "$wanted" ] || die "$name is not what SHA256SUMS says ($actual, not $wanted). Nothing was installed."

  tar -xzf "$work/$name" -C "$work" fabra 2>/dev/null || die "$name holds no fabra. Nothing was installed."
  [ ! -d "$to/fabra" ] || die "$to/fabra is a folder. Nothing was installed."
  mkdir -p "$to" 2>/dev/null || die "cannot make $to. Set FABRA_INSTALL_DIR to a folder of yours."
  # Tried where it will be, then put in place by a rename: a running fabra keeps the old file, and nobody sees half of one.
  { cp "$work/fabra" "$new" && chmod 755 "$new"; } 2>/dev/null || die "cannot write to $to. Set FABRA_INSTALL_DIR to a folder of yours."
  version=$("$new" version 2>/dev/null) || die "$name does not run here: on a slim Linux install libstdc++6. Nothing was installed."
  mv -f "$new" "$to/fabra" 2>/dev/null || die "cannot replace $to/fabra. Nothing was installed."
  say "installed fabra $version in $to"
  case ":$PATH:" in
    *":$to:"*) ;;
    *) say "add it to your PATH: export PATH=\"$to:\$PATH\"" ;;
  esac
}

main
