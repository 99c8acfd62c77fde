#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The master process against workers that misbehave.  Run in the build
# folder; any arguments are pytest's.  $PYTEST is the command that runs it.
# ASGID_TESTS_STRICT=1: to be without pytest is a failure.
here=$(cd "$(dirname "$0")" && pwd) || exit 99
: "${ASGID_BUILD:=$(pwd)}"
export ASGID_BUILD PYTHONDONTWRITEBYTECODE=1
. "$here/../pytest.sh"

# these tests mostly wait
if $PYTEST --help 2>/dev/null | grep -q -- --numprocesses; then
	set -- -n 2 "$@"
fi
exec $PYTEST -q -rsfE -p no:cacheprovider --rootdir "$here" "$@" "$here"
