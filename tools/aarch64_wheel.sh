#!/usr/bin/env bash
# Cross-builds intact's wheel for aarch64 and CPython 3.11 by the same back end as every wheel of it, and fetches Debian's Python 3.11
# for aarch64, which the build needs the headers of and the tests run under qemu. Debian lets that Python not be installed
# beside the machine's own, so its packages are unpacked. Needs what tools/setup.sh --all and tools/install.sh install.
#
#   tools/aarch64_wheel.sh VENV     (of Python 3.11, with the tools of a build)
#
#   build/aarch64-app/intact-…-cp311-cp311-linux_aarch64.whl
#   build/aarch64-app/python        its packages' files; qemu-aarch64 -L build/aarch64-app/python …/usr/bin/python3.11
set -euo pipefail

venv=$1 out=$PWD/build/aarch64-app
root=$out/python
packages=(python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libpython3.11-dev
  libbz2-1.0 libcrypt1 libdb5.3 libexpat1 libffi8 liblzma5 libncursesw6 libnsl2 libreadline8 libsqlite3-0 libssl3 libtinfo6
  libtirpc3 libuuid1 zlib1g)

"$venv/bin/python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
  { echo "aarch64_wheel: $venv is not of Python 3.11, which Debian 12 has for aarch64" >&2; exit 1; }

if [ ! -e "$root/.complete" ]; then
  rm -rf "$root" "$out/packages"
  mkdir -p "$root" "$out/packages"
  (cd "$out/packages" && apt-get download -q "${packages[@]/%/:arm64}")
  for package in "$out"/packages/*.deb; do dpkg-deb -x "$package" "$root"; done
  rm -r "$out/packages"
  touch "$root/.complete"
fi

# The two variables are what cross builds of Python tell every back end: the platform in the wheel's name, the extension's suffix.
# Debian's pyconfig.h includes one of aarch64-linux-gnu/, which is sought where the packages are unpacked.
rm -f "$out"/intact-*.whl
_PYTHON_HOST_PLATFORM=linux-aarch64 SETUPTOOLS_EXT_SUFFIX=.cpython-311-aarch64-linux-gnu.so CXXFLAGS="-idirafter $root/usr/include" \
  "$venv/bin/python" -m pip --disable-pip-version-check wheel -q --no-deps --no-build-isolation -w "$out" \
  -Cbuild-dir=build/wheel/aarch64 \
  -Ccmake.define.CMAKE_TOOLCHAIN_FILE="$PWD/tools/aarch64.cmake" \
  -Ccmake.define.Python_INCLUDE_DIR="$root/usr/include/python3.11" .
ls "$out"/intact-*.whl
