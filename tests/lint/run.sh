#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
exec "${PYTHON_EXECUTABLE:-python3}" "$(dirname "$0")/layers"
