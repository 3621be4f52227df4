#!/usr/bin/env bash
# Makes a CPython without a GIL (PEP 703) under build/free-threaded and prints where it is. Debian packages none for its stable
# releases, so it is built from the source package of Debian 13's Python 3.13, which apt fetches and checks, from the mirror
# that this machine's apt is set to. Nothing of the system is changed. Made once: afterwards it only prints.
#
#   tools/free_threaded.sh          exit code 3: none can be had here, and the last line of stderr says why
set -euo pipefail

release=trixie package=python3.13
place=$PWD/build/free-threaded
python=$place/bin/python3.13t

without() { echo "free-threaded: $*" >&2; exit 3; }

# A state of apt's own: its sources are one suite of the mirror that the system's own release comes from.
fetch() {
  local mirror
  mirror=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    sed -n "s/^Debian $(. /etc/os-release && echo "${VERSION_CODENAME:-}") //p" | sort -u | head -n 1)
  [ -n "$mirror" ] || without "apt is set to no mirror of Debian (or was never updated)"
  mkdir -p "$place"/apt/{lists/partial,archives/partial,source}
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" >"$place/apt/sources.list"
  local options=(-qq -o "Dir::Etc::SourceList=$place/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$place/apt/lists" -o "Dir::Cache=$place/apt" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update >&2 || without "$release cannot be fetched"
  (cd "$place/apt/source" && apt-get "${options[@]}" source --download-only "$package" >&2) || without "$package cannot be fetched"
}

# Debian's patches concern where its packages lie: the release as CPython made it is what is built.
build() {
  mkdir "$place/source"
  tar -xf "$place"/apt/source/"$package"_*.orig.tar.xz -C "$place/source" --strip-components=1
  (cd "$place/source" && ./configure -q --disable-gil --enable-shared --prefix="$place" LDFLAGS="-Wl,-rpath,$place/lib" &&
    make -s -j "${JOBS:-2}" && make -s install) >"$place/build.log" 2>&1 || { tail -n 20 "$place/build.log" >&2; return 1; }
  rm -rf "$place/source"
}

if [ ! -e "$place/.made" ]; then
  command -v apt-get >/dev/null || without "there is no apt-get"
  rm -rf "$place"
  fetch
  echo "free-threaded: building $package of $release; some minutes" >&2
  build
  "$python" -c 'import sys, ssl, ctypes, zlib, sqlite3; sys.exit(sys._is_gil_enabled())'
  touch "$place/.made"
fi
echo "$python"
