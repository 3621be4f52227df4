#!/usr/bin/env bash
# The one place that names the system packages intact needs on Debian 12, by what they are for.
# Installs only what is missing and asks the package index for news only then, so that a second
# run does nothing and needs no network and no rights.
#
#   tools/setup.sh          what make demo, make test and make bench need
#   tools/setup.sh --all    and what make test-all needs besides: gdb, clang, sanitizers, the aarch64 cross build
set -euo pipefail

build=(build-essential cmake ninja-build pkg-config libdeflate-dev libzstd-dev liblzma-dev libbz2-dev libarchive-dev nettle-dev)
tests=(libgtest-dev libgmock-dev strace chromium 7zip libarchive-tools bzip2 cpio gcab genisoimage lz4 xorriso xz-utils zip zstd)
python=(python3 python3-dev python3-venv)
all=(gdb clang libclang-rt-14-dev git g++-aarch64-linux-gnu qemu-user util-linux
  libssl-dev libffi-dev zlib1g-dev libsqlite3-dev) # these four for tools/free_threaded.sh
cross=(libc6 libstdc++6 libdeflate-dev libzstd-dev liblzma-dev libbz2-dev libarchive13 nettle-dev libgtest-dev libgmock-dev)

wanted=("${build[@]}" "${tests[@]}")
# An interpreter given with PYTHON= brings its own headers and venv; the system's needs its packages.
case "$(command -v "${PYTHON:-python3}" || true)" in
  "" | /usr/bin/* | /bin/*) wanted+=("${python[@]}") ;;
esac
if [ "${1:-}" = --all ]; then
  wanted+=("${all[@]}")
  if [ "$(dpkg --print-architecture)" = amd64 ]; then wanted+=("${cross[@]/%/:arm64}"); fi
fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed* ]] || missing+=("$package")  # once for each architecture it is there for
done
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi

echo "setup: installing ${missing[*]}"
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
case " ${missing[*]} " in
  *:arm64*) "${as_root[@]}" dpkg --add-architecture arm64 ;;
esac
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
