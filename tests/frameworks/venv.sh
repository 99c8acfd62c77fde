#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# venv.sh PYTHON REQUIREMENTS FOLDER
#
# Makes a virtual environment of PYTHON with what REQUIREMENTS names below
# FOLDER, or finds the one made before, and prints its path. Its name holds a
# hash of the file and of the interpreter, so a change of either makes a new
# one. Ends with 1 and says why when it cannot (no network, say).
set -eu

if [ $# -ne 3 ]; then
	echo "usage: venv.sh PYTHON REQUIREMENTS FOLDER" >&2
	exit 2
fi
python=$1 requirements=$2 folder=$3

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
hash=$({ "$python" -c 'import sys; print(sys.version, sys.executable)'
	cat "$requirements"; } | sha256sum | cut -c1-12)
venv=$folder/venv-$hash

# two test scripts may come at once: one makes it, the other waits
exec 9>"$folder/.venv.lock"
flock 9
if [ ! -e "$venv/.complete" ]; then
	rm -rf "$venv"
	{
		"$python" -m venv "$venv" &&
		"$venv/bin/python" -m pip install --quiet --no-input \
			--disable-pip-version-check --requirement "$requirements"
	} >&2 || {
		rm -rf "$venv"
		echo "venv.sh: cannot make a virtual environment with" \
			"$requirements" >&2
		exit 1
	}
	touch "$venv/.complete"
fi
echo "$venv"
