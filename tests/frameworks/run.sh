#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Real frameworks and real clients against asgid, over real sockets. Any
# arguments are pytest's. Needs the network once, for the packages of
# requirements.txt; without it the tests are skipped.
#
# ASGID_TESTS_STRICT=1    nothing may be skipped: a missing program or package
#                         is a failure (CI sets it)
# ASGID_TESTS_SERVER=uvicorn  the same tests on uvicorn, to see whose fault
#                         a failure is
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
export ASGID_BUILDDIR

# venv NAME: the environment with the packages of NAME.txt
venv()
{
	sh "$here/venv.sh" "$PYTHON_EXECUTABLE" "$here/$1.txt" \
	    "${ASGID_TESTS_VENVS:-$ASGID_BUILDDIR/tests/frameworks}"
}

venv=$(venv requirements) && older=$(venv anyio-4.4) &&
	older="$older $(venv anyio-4.11)" || {
	[ "${ASGID_TESTS_STRICT:-0}" = 1 ] && exit 1
	echo "frameworks: SKIP: no packages from PyPI"
	exit 77
}
export ASGID_TESTS_VENV="$venv" ASGID_TESTS_ANYIO="$older"

PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" -m pytest -q -rsfE \
	-p no:cacheprovider --rootdir "$here" "$@" "$here"
