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

fetch() {
  case "$1" in
    /*) cp "$1" "$2" || die "cannot read $1." ;;
    *)
      if has curl; then curl -fsSL --retry 2 --connect-timeout 10 -o "$2" "$1" || die "cannot download $1."
      elif has wget; then wget -q -T 30 -O "$2" "$1" || die "cannot download $1."
      else die 'neither curl nor wget is here. Install one of them.'
      fi
      ;;
  esac
}

sum_of() {
  if has sha256sum; then sha256sum "$1" | cut -d ' ' -f 1
  elif has shasum; then shasum -a 256 "$1" | cut -d ' ' -f 1
  else die 'neither sha256sum nor shasum is here: the download cannot be verified.'
  fi
}

main() {
  from=${FABRA_RELEASE:-@RELEASE@}
  case "$from" in @*) die 'FABRA_RELEASE is not set. Set it to the address of a release.' ;; esac
  to=${FABRA_INSTALL_DIR:-${HOME:?set HOME or FABRA_INSTALL_DIR}/.local/bin}
  system=$(system)
  work=$(mktemp -d "${TMPDIR:-/tmp}/fabra-install.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' HUP INT TERM

  fetch "${from%/}/SHA256SUMS" "$work/SHA256SUMS"
  line=$(grep -E "^[0-9a-f]{64} [ *]fabra-[^/]*-$system\.tar\.gz$" "$work/SHA256SUMS" | head -n 1) || true
  [ -n "$line" ] || die "SHA256SUMS names no archive for $system."
  wanted=${line%% *}
  name=${line##*[ *]}

  say "downloading $name"
  fetch "${from%/}/$name" "$work/$name"
  actual=$(sum_of "$work/$name")
  [ "$actual" = "$wanted" ] || die "$name is not what SHA256SUMS says ($actual, not $wanted). Nothing was installed."

  tar -xzf "$work/$name" -C "$work" fabra || die "$name holds no fabra."
  mkdir -p "$to" || die "cannot make $to. Set FABRA_INSTALL_DIR to a folder of yours."
  # In place by a rename: a running fabra keeps the old file, and nobody sees half of one.
  new="$to/.fabra.$$"
  { cp "$work/fabra" "$new" && chmod 755 "$new" && mv -f "$new" "$to/fabra"; } || { rm -f "$new"; die "cannot write to $to. Set FABRA_INSTALL_DIR to a folder of yours."; }
  version=$("$to/fabra" version) || die "$to/fabra does not run here. On a slim Linux install libstdc++6."
  say "installed fabra $version in $to"
  case ":$PATH:" in
    *":$to:"*) ;;
    *) say "add it to your PATH: export PATH=\"$to:\$PATH\"" ;;
  esac
}

main
