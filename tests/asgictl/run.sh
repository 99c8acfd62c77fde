#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# asgictl, against peers that are broken and against asgid.  Run in the build
# folder; any arguments are pytest's.
here=$(cd "$(dirname "$0")" && pwd) || exit 99
: "${ASGID_BUILD:=$(pwd)}"
export ASGID_BUILD PYTHONDONTWRITEBYTECODE=1
. "$here/../pytest.sh"

# these tests mostly wait
if $PYTEST --help 2>/dev/null | grep -q -- --numprocesses; then
	set -- -n 4 "$@"
fi
exec $PYTEST -q -rsfE -p no:cacheprovider --rootdir "$here" "$@" "$here"
