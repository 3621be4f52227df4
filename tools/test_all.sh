#!/usr/bin/env bash
# Everything that can be tested here, one step after another; a failed step does not hide the next. The last lines say what
# failed and what was left out for want of an interpreter. Called by `make test-all`, which has installed what is needed.
#
#   tools/test_all.sh PYTHON [STEP...]      (all steps, or those named; FUZZ_SECONDS and JOBS from the environment)
set -uo pipefail

python=$1
shift
wanted=("$@")
tag_of() { "$1" -c 'import sys; print("cp%d%d" % sys.version_info[:2])'; }
tag=$(tag_of "$python")
venv=build/venv/$tag
failed=() passed=() left_out=()

step() { # NAME COMMAND...
  local name=$1 begin=$SECONDS
  shift
  if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $name "* ]]; then return; fi
  printf '\n=== %s\n' "$name"
  if "$@"; then passed+=("$name"); else failed+=("$name"); fi
  printf '=== %s: %s s\n' "$name" $((SECONDS - begin))
}

cpp() { # PRESET
  cmake --preset "$1" >/dev/null && cmake --build --preset "$1" -j "${JOBS:-2}" && ctest --preset "$1" -j "${JOBS:-2}"
}

cpp_tsan() { # ThreadSanitizer of gcc 12 and clang 14 wants less address-space randomisation than newer kernels give.
  cmake --preset tsan >/dev/null &&
    setarch -R cmake --build --preset tsan -j "${JOBS:-2}" &&
    setarch -R ctest --preset tsan -j "${JOBS:-2}"
}

suite() { # NAME OPTIONS...: the Python suite with what tools/install.sh called NAME
  local name=$1
  shift
  "build/venv/$name/bin/pytest" tests --site="build/site/$name" "$@"
}

other_python() { # INTERPRETER: the whole suite and every package on it
  tools/install.sh "$1" "$(tag_of "$1")" && suite "$(tag_of "$1")" --all-packages
}

# Without a GIL, on an interpreter that is built for it where none is there: the tests of import, threads and
# interpreters. The rest needs tools that are not to be had for CPython 3.13 without one, as newer hypothesis is not.
free_threaded() {
  local found code
  found=$(tools/free_threaded.sh)
  code=$?
  if [ $code -eq 3 ]; then left_out+=("free-threaded: no such interpreter, see above"); return 0; fi
  [ $code -eq 0 ] && TOOLS="pytest pytest-timeout hypothesis<6.140" tools/install.sh "$found" cp313t &&
    build/venv/cp313t/bin/pytest --site=build/site/cp313t tests/engine/test_{concurrency,file_loading,finder,importing,interpreters,isolation,loader,mount,native,patching,roots,shutdown,trace}.py
}

built_with_clang() {
  tools/install.sh "$python" clang CMAKE_CXX_COMPILER=clang++ && suite clang --no-packages
}

# An interpreter that was not built for a sanitizer has its runtime loaded first. What leaks at exit is CPython's.
under_asan() {
  tools/install.sh "$python" asan INTACT_SANITIZE=address,undefined &&
    LD_PRELOAD="$(g++ -print-file-name=libasan.so):$(g++ -print-file-name=libstdc++.so.6)" \
      ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 suite asan
}

# Of what was not built for it (interpreter, packages) ThreadSanitizer does not see every lock, so it is told to take no memory
# access of theirs for a race; their synchronisation still counts.
under_tsan() {
  tools/install.sh "$python" tsan INTACT_SANITIZE=thread &&
    LD_PRELOAD="$(g++ -print-file-name=libtsan.so):$(g++ -print-file-name=libstdc++.so.6)" \
      TSAN_OPTIONS="halt_on_error=1:allocator_may_return_null=1:report_signal_unsafe=0:ignore_noninstrumented_modules=1:die_after_fork=0" setarch -R \
      "build/venv/tsan/bin/python" -m pytest tests --site=build/site/tsan
}

aarch64_app() { # apps for another machine, run under qemu
  tools/aarch64_wheel.sh "$venv" && "$venv/bin/pytest" tests/cross --aarch64=build/aarch64-app
}

clean_clone() { # pip install . as a user does it, from what is committed and nothing else
  local clone
  clone=$(mktemp -d)
  git clone -q . "$clone/intact" && "$python" -m venv "$clone/venv" &&
    "$clone/venv/bin/python" -m pip --disable-pip-version-check install -q "$clone/intact" &&
    (cd "$clone" && venv/bin/intact --help >/dev/null && venv/bin/python -c 'import intact; print(intact.__file__)')
  local result=$?
  rm -rf "$clone"
  return $result
}

find_python() { # VERSION: a python of that version that runs, from the path or from pyenv
  local candidate
  for candidate in "python$1" "$HOME"/.pyenv/versions/"$1".*/bin/python; do
    if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

cpython_suites() { # CPython's own tests with our importers, on every interpreter that comes with them
  local result=0 seen="" each name code
  for each in "$python" "$(find_python 3.12)" "$(find_python 3.13)"; do
    [ -n "$each" ] || continue
    name=$(tag_of "$each")
    [[ " $seen " != *" $name "* ]] || continue
    seen+=" $name"
    [ -d "build/site/$name" ] || tools/install.sh "$each" "$name" || { result=1; continue; }
    "build/venv/$name/bin/python" tests/cpython/run.py --site "build/site/$name"
    code=$?
    if [ $code -eq 2 ]; then left_out+=("cpython: $each comes without its tests"); elif [ $code -ne 0 ]; then result=1; fi
  done
  return $result
}

step cpp cpp default
step python suite "$tag" --all-packages
step test-files "$venv/bin/python" tools/check_tests.py build/default
for version in 3.12 3.13; do
  if found=$(find_python $version); then
    [ "$(tag_of "$found")" = "$tag" ] || step "python-$version" other_python "$found"
  else
    left_out+=("python-$version: no such interpreter here")
  fi
done
step free-threaded free_threaded
step clang cpp clang
step clang-python built_with_clang
step asan cpp asan
step asan-python under_asan
step tsan cpp_tsan
step tsan-python under_tsan
if [ "$(uname -m)" = x86_64 ]; then step aarch64 cpp aarch64; else left_out+=("aarch64: this is not x86-64"); fi
if [ "$(uname -m)" = x86_64 ] && [ "$tag" = cp311 ]; then
  step aarch64-app aarch64_app
else
  left_out+=("aarch64-app: this is not x86-64 with Python 3.11, which is Debian's for aarch64")
fi
step fuzz tools/fuzz.sh
step clean-clone clean_clone
step demo "$venv/bin/python" demo/run.py
step cpython cpython_suites
step upstream "$venv/bin/python" tests/upstream/compare.py

printf '\n'
for line in "${left_out[@]}"; do echo "left out: $line"; done
for name in "${failed[@]}"; do echo "FAILED: $name"; done
echo "${#passed[@]} passed, ${#failed[@]} failed"
[ ${#failed[@]} -eq 0 ] && [ ${#passed[@]} -gt 0 ]
