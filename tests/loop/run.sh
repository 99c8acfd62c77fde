#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The asyncio loop: our cases on asyncio's loop and on ours, then CPython's
# own tests. Arguments are pytest's, and leave the second part out. Needs the
# network once, for the packages of requirements.txt.
#
# ASGID_TESTS_STRICT=1    nothing may be skipped (CI sets it)
# ASGID_TESTS_VENVS=DIR   where the virtual environment is kept
set -u

here=$(cd "$(dirname "$0")" && pwd)
: "${ASGID_BUILDDIR:=$(pwd)}"
if [ -z "${PYTHON_EXECUTABLE:-}" ]; then
	# the Python that asgid embeds
	PYTHON_EXECUTABLE=$(sed -n 's/^PYTHON_EXECUTABLE = //p' \
		"$ASGID_BUILDDIR/Makefile" 2>/dev/null)
	: "${PYTHON_EXECUTABLE:=/usr/bin/python3}"
fi
pyloop=$ASGID_BUILDDIR/tests/loop/pyloop
strict=${ASGID_TESTS_STRICT:-0}

venv=$(sh "$here/../frameworks/venv.sh" "$PYTHON_EXECUTABLE" \
	"$here/requirements.txt" \
	"${ASGID_TESTS_VENVS:-$ASGID_BUILDDIR/tests}/loop")
if [ $? -ne 0 ]; then
	[ "$strict" = 1 ] && exit 1
	echo "loop: SKIP: no packages from PyPI"
	exit 77
fi
PYLOOP_PYTHON=$venv/bin/python
PYTHONDONTWRITEBYTECODE=1
export PYLOOP_PYTHON PYTHONDONTWRITEBYTECODE
if grep -q '^ASGID_LDFLAGS = .*-fsanitize' "$ASGID_BUILDDIR/Makefile"; then
	# Python's own arenas would hide errors, and it leaks by design
	export PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0
fi

# a hang is a failure, and shows where
timeout -k 5 600 "$pyloop" -m pytest -q -rsfE -o faulthandler_timeout=60 \
	-p no:cacheprovider --rootdir "$here" "$@" \
	"$here" || exit 1
[ $# -gt 0 ] && exit 0

timeout -k 5 900 "$pyloop" "$here/cpython.py"
status=$?
[ $status -eq 77 ] && [ "$strict" != 1 ] && exit 0
exit $status
