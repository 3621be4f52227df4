#!/usr/bin/env bash
# Builds the wheel of this tree for one interpreter and installs it as a user would, twice: into a virtual environment
# with the test tools (build/venv/NAME, the tests' interpreter), and alone into build/site/NAME, for the processes
# that must see intact and the standard library and nothing else. The source tree is never on anybody's path.
#
#   tools/install.sh PYTHON NAME [CMAKE_DEFINE=VALUE...]      (TOOLS from the environment: other test tools than all)
set -euo pipefail

python=$1 name=$2
shift 2
venv=build/venv/$name site=build/site/$name dist=build/dist/$name

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  { echo "install: $python is older than Python 3.11; choose one with make PYTHON=..." >&2; exit 1; }

pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

# Tools once, until pyproject.toml asks for others.
if [ ! -e "$venv/.tools" ] || [ pyproject.toml -nt "$venv/.tools" ]; then
  echo "install: tools for $name in $venv"
  "$python" -m venv "$venv"
  mapfile -t tools < <("$venv/bin/python" - <<'EOF'
import os, tomllib
project = tomllib.load(open("pyproject.toml", "rb"))
tools = os.environ.get("TOOLS", "").split() or project["project"]["optional-dependencies"]["test"]
print(*project["build-system"]["requires"], *tools, sep="\n")
EOF
  )
  pip install -q --upgrade "pip>=23.1"
  pip install -q "${tools[@]}"
  touch "$venv/.tools"
fi

defines=()
for define in "$@"; do defines+=("-Ccmake.define.$define"); done
echo "install: building intact for $name"
rm -rf "$dist"
pip wheel -q --no-deps --no-build-isolation -w "$dist" -Cbuild-dir="build/wheel/$name" "${defines[@]}" .
pip install -q --no-deps --force-reinstall "$dist"/intact-*.whl
rm -rf "$site"
pip install -q --no-deps --target "$site" "$dist"/intact-*.whl
