#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# bench.sh [SCRIPT] [OPTIONS]: runs bench.py, or another script of this
# folder (soak.py, say), from the build tree, in a virtual environment with
# asgid's peers. ASGID_BENCH_PYTHON: another interpreter than the one that
# asgid embeds (they must be of the same version).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
: "${ASGID_BUILDDIR:=$(pwd)}"
export ASGID_BUILDDIR
if [ ! -f "$ASGID_BUILDDIR/Makefile" ]; then
	echo "bench.sh: run it in the build tree" >&2
	exit 2
fi
: "${ASGID_BENCH_PYTHON:=$(sed -n 's/^PYTHON_EXECUTABLE = //p' \
	"$ASGID_BUILDDIR/Makefile")}"

make -s -C "$ASGID_BUILDDIR" src/asgid src/asgid-worker tests/bench/bare_mhd
venv=$(sh "$here/../frameworks/venv.sh" "$ASGID_BENCH_PYTHON" \
	"$here/requirements.txt" "$ASGID_BUILDDIR/tests/bench")

script=bench.py
case ${1:-} in
*.py)	script=$1; shift ;;
esac
PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" "$here/$script" "$@"
