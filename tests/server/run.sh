#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# make check: the whole-server tests, from the build folder.  $PYTEST names
# the runner, $ASGID_BUILD the build folder (default: the current one).
here=$(cd "$(dirname "$0")" && pwd) || exit 99
: "${PYTEST:=python3 -m pytest}"
: "${ASGID_BUILD:=$(pwd)}"
export ASGID_BUILD

if ! $PYTEST --version >/dev/null 2>&1; then
	echo "pytest is missing: install python3-pytest"
	exit 77
fi
# these tests mostly wait; a module stays on one process for its daemon
if $PYTEST --help 2>/dev/null | grep -q -- --numprocesses; then
	set -- -n 4 --dist loadfile "$@"
fi
exec $PYTEST -q -p no:cacheprovider "$@" "$here"
