#!/usr/bin/env bash
# Everything that can be tested here, LANES steps at a time; a failed step does not hide the next. What a step prints is in
# build/test-all/STEP.log. The last lines say what failed and what was left out for want of an interpreter. Called by
# `make test-all`, which has installed what is needed.
#
#   tools/test_all.sh PYTHON [STEP...]   (all steps, or those named; FUZZ_SECONDS, JOBS and LANES (2) from the environment)
set -uo pipefail
set -m # A step is a process group, so that an interrupt ends all that it has started.

python=$1
shift
wanted=("$@")
tag_of() { "$1" -c 'import sys; print("cp%d%d" % sys.version_info[:2])'; }
tag=$(tag_of "$python")
venv=build/venv/$tag
logs=build/test-all
failed=() passed=()
declare -A running=() began=() # process to step, step to the second it began

mkdir -p "$logs"
rm -f "$logs/left-out"
trap 'for pid in "${!running[@]}"; do kill -INT -- "-$pid"; done; wait; exit 130' INT TERM

LEFT_OUT=77 # what a step exits with that has nothing to run on here: neither passed nor failed
leave_out() { echo "left out: $*" >>"$logs/left-out"; }

step() { # NAME COMMAND...: begins it as soon as fewer than LANES are running
  local name=$1
  shift
  if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $name "* ]]; then return; fi
  [ ${#running[@]} -lt "${LANES:-2}" ] || finish
  echo "=== $name: begins"
  "$@" >"$logs/$name.log" 2>&1 </dev/null &
  running[$!]=$name
  began[$name]=$SECONDS
}

finish() { # waits for the step that ends first, and prints the end of what it printed: longer when it failed
  local pid code=0 name
  wait -n -p pid "${!running[@]}" || code=$?
  name=${running[$pid]}
  unset "running[$pid]"
  if [ $code -eq 0 ] || [ $code -eq $LEFT_OUT ]; then
    [ $code -ne 0 ] || passed+=("$name")
    tail -n 3 "$logs/$name.log"
  else
    failed+=("$name")
    tail -n 60 "$logs/$name.log"
  fi
  echo "=== $name: $((SECONDS - began[$name])) s, exit code $code"
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

cpp_default() { # and whether each library has its tests
  cpp default && "$venv/bin/python" tools/check_tests.py build/default
}

cpython_suites() { # TAG: CPython's own tests with our importers
  "build/venv/$1/bin/python" tests/cpython/run.py --site "build/site/$1"
  local code=$?
  [ $code -ne $LEFT_OUT ] || leave_out "CPython's own tests on $1: that interpreter comes without them"
  return $code
}

other_python() { # INTERPRETER: the whole suite with every package, and CPython's own tests on it
  local name
  name=$(tag_of "$1")
  tools/install.sh "$1" "$name" || return
  suite "$name" --all-packages
  local code=$? of_cpython
  cpython_suites "$name"
  of_cpython=$?
  [ $of_cpython -eq 0 ] || [ $of_cpython -eq $LEFT_OUT ] && return $code
}

# Without a GIL, on an interpreter that is built for it where none is there: the tests of import, threads and
# interpreters. The rest needs tools that are not to be had for CPython 3.13 without one, as newer hypothesis is not.
free_threaded() {
  local found code
  found=$(tools/free_threaded.sh)
  code=$?
  if [ $code -eq 3 ]; then leave_out "free-threaded: no such interpreter, see $logs/free-threaded.log"; return $LEFT_OUT; fi
  [ $code -eq 0 ] && TOOLS="pytest pytest-timeout hypothesis<6.140" tools/install.sh "$found" cp313t &&
    build/venv/cp313t/bin/pytest --site=build/site/cp313t tests/engine/test_{concurrency,file_loading,finder,importing,interpreters,isolation,loader,mount,native,patching,roots,shutdown,trace,trace_command}.py
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

# The longest first, so that no lane is left alone at the end.
for version in 3.11 3.12 3.13; do
  if found=$(find_python $version); then
    [ "$(tag_of "$found")" = "$tag" ] || step "python-$version" other_python "$found"
  else
    leave_out "python-$version: no such interpreter here"
  fi
done
step upstream "$venv/bin/python" tests/upstream/compare.py
step python suite "$tag" --all-packages
step tsan-python under_tsan
step asan-python under_asan
step clang-python built_with_clang
step cpython cpython_suites "$tag"
step free-threaded free_threaded
step tsan cpp_tsan
step asan cpp asan
if [ "$(uname -m)" = x86_64 ]; then step aarch64 cpp aarch64; else leave_out "aarch64: this is not x86-64"; fi
step fuzz tools/fuzz.sh
if [ "$(uname -m)" = x86_64 ] && [ "$tag" = cp311 ]; then
  step aarch64-app aarch64_app
else
  leave_out "aarch64-app: this is not x86-64 with Python 3.11, which is Debian's for aarch64"
fi
step cpp cpp_default
step clang cpp clang
step clean-clone clean_clone
step demo "$venv/bin/python" demo/run.py
while [ ${#running[@]} -gt 0 ]; do finish; done

printf '\n'
[ ! -e "$logs/left-out" ] || cat "$logs/left-out"
for name in "${failed[@]}"; do echo "FAILED: $name ($logs/$name.log)"; done
echo "${#passed[@]} passed, ${#failed[@]} failed"
[ ${#failed[@]} -eq 0 ] && [ ${#passed[@]} -gt 0 ]
