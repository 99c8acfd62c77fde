#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# make check: the whole-server tests, from the build folder.  $PYTEST names
# the runner, $ASGID_BUILD the build folder (default: the current one).
here=$(cd "$(dirname "$0")" && pwd) || exit 99
: "${ASGID_BUILD:=$(pwd)}"
export ASGID_BUILD PYTHONDONTWRITEBYTECODE=1
. "$here/../pytest.sh"

# these tests mostly wait; a module stays on one process for its daemon
if $PYTEST --help 2>/dev/null | grep -q -- --numprocesses; then
	set -- -n 4 --dist loadfile "$@"
fi
exec $PYTEST -q -p no:cacheprovider "$@" "$here"
