#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The master process against workers that misbehave.  Run in the build
# folder; any arguments are pytest's.  $PYTEST is the command that runs it.
# ASGID_TESTS_STRICT=1: to be without pytest is a failure.
set -u

here=$(cd "$(dirname "$0")" && pwd)
: "${PYTEST:=python3 -m pytest}"
: "${ASGID_BUILD:=$(pwd)}"
export ASGID_BUILD

if ! $PYTEST --version >/dev/null 2>&1; then
	[ "${ASGID_TESTS_STRICT:-0}" = 1 ] && exit 1
	echo "master: SKIP: no pytest ($PYTEST)"
	exit 77
fi
PYTHONDONTWRITEBYTECODE=1 exec $PYTEST -q -rsfE -p no:cacheprovider \
	--rootdir "$here" "$@" "$here"
