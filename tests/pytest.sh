# SPDX-License-Identifier: BSD-3-Clause
#
# Sourced by the run.sh of folders whose tests are clients of asgid: sets
# $PYTEST, the command that runs pytest, unless the caller has. Which Python
# that is does not matter, so the first one with pytest will do: the one that
# asgid embeds, the system's, the first on PATH. Without any, the script that
# sources this ends: skipped, or failed with ASGID_TESTS_STRICT=1.
if [ -z "${PYTEST:-}" ]; then
	for python in "${PYTHON_EXECUTABLE:-}" /usr/bin/python3 python3; do
		[ -n "$python" ] || continue
		PYTEST="$python -m pytest"
		$PYTEST --version >/dev/null 2>&1 && break
	done
fi
if ! $PYTEST --version >/dev/null 2>&1; then
	echo "pytest is missing: install python3-pytest (Debian, Fedora)"
	[ "${ASGID_TESTS_STRICT:-0}" = 1 ] && exit 1
	exit 77
fi
