#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# etc/asgid.conf: it is accepted and means the defaults; with each option's
# comment sign taken off it still is and does; each option is there once.
export LC_ALL=C
unset WEB_CONCURRENCY

asgid=${ASGID:-$(pwd)/src/asgid}
cd "${srcdir:-.}" || exit 99
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
failed=0

echo 'app = "main:app";' > "$tmp/minimal"
"$asgid" -T -c "$tmp/minimal" > "$tmp/defaults" || exit 1

"$asgid" -T -c etc/asgid.conf > "$tmp/asis" || failed=1
diff -u "$tmp/defaults" "$tmp/asis" || {
	echo "FAIL: the example is not the defaults"
	failed=1
}

sed 's/^\([[:blank:]]*\)#\([a-z_]* = \)/\1\2/' etc/asgid.conf > "$tmp/all"
cmp -s etc/asgid.conf "$tmp/all" && { echo "FAIL: no comments"; failed=1; }
"$asgid" -T -c "$tmp/all" > "$tmp/printed" || failed=1
diff -u "$tmp/defaults" "$tmp/printed" || {
	echo "FAIL: what is commented out is not the default"
	failed=1
}

# keys of the example, with their groups, against the table
awk '/^[a-z_]+ = \{/ { group = $1 "."; next }
    /^};/ { group = ""; next }
    /^[ \t]*[a-z_]+ = / { print group $1 }' "$tmp/all" | sort > "$tmp/keys"
{
	sed -n 's/^OPTION("\([a-z_.]*\)".*/\1/p' src/conf/options.def
	echo listen
} | sort > "$tmp/table"
diff -u "$tmp/keys" "$tmp/table" || {
	echo "FAIL: the example does not show each option once"
	failed=1
}
exit $failed
