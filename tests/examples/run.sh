#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The example application of the README, called as a server would call it.
here=$(cd "$(dirname "$0")" && pwd)
PYTHONDONTWRITEBYTECODE=1 exec "${PYTHON_EXECUTABLE:-python3}" -W error \
	"$here/test_hello.py" "$@"
