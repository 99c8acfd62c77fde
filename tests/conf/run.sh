#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Golden configurations.  NN.in either is accepted: then `asgid -T` prints
# what NN.ok holds (comments left out), prints the same when it reads its own
# output, and `asgid -t` is content (unless the file begins with "# elsewhere":
# it names what is not on this machine).  Or it is refused with exit status 6 and
# exactly the messages of NN.err.
#
#	run.sh [-u] [NN...]	-u: write NN.ok and NN.err anew
export LC_ALL=C
unset WEB_CONCURRENCY

asgid=${ASGID:-$(pwd)/src/asgid}
cd "${srcdir:-.}/tests/conf" || exit 99
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT

update=
if [ "$1" = -u ]; then
	update=1
	shift
fi
[ $# -gt 0 ] || set -- $(ls ./*.in | sed 's,^\./,,; s,\.in$,,')
[ $# -gt 1 ] || [ -f "$1.in" ] || { echo "no cases found"; exit 99; }

failed=0
fail() {
	echo "FAIL: $*"
	failed=$((failed + 1))
}

accepted() {
	sed '/^[[:blank:]]*#/d' "$tmp/out" > "$tmp/plain"
	[ -s "$tmp/err" ] && fail "$1: accepted, but says: $(cat "$tmp/err")"
	if [ -n "$update" ]; then
		rm -f "$1.err"
		cp "$tmp/plain" "$1.ok"
	fi
	[ -f "$1.ok" ] || { fail "$1: accepted"; return; }
	diff -u "$1.ok" "$tmp/plain" || fail "$1: differs from $1.ok"
	"$asgid" -T -c "$tmp/out" > "$tmp/again" ||
	    fail "$1: its own output is refused"
	diff -u "$tmp/out" "$tmp/again" || fail "$1: loads to something else"
	grep -q "^# elsewhere" "$1.in" ||
	    "$asgid" -t -c "$1.in" > "$tmp/check" 2>&1 ||
	    fail "$1: refused by -t"
}

refused() {
	sed "s,$(pwd -P),HERE," "$tmp/err" > "$tmp/plain"
	if [ -n "$update" ]; then
		rm -f "$1.ok"
		cp "$tmp/plain" "$1.err"
	fi
	[ "$2" -eq 6 ] || fail "$1: exit status $2, not 6"
	[ -s "$tmp/out" ] && fail "$1: refused, but prints"
	[ -f "$1.err" ] || { fail "$1: refused:"; cat "$tmp/err"; return; }
	diff -u "$1.err" "$tmp/plain" || fail "$1: other messages"
	"$asgid" -t -c "$1.in" > "$tmp/check" 2>&1
	[ $? -eq 6 ] || fail "$1: not refused by -t"
}

for case; do
	"$asgid" -T -c "$case.in" > "$tmp/out" 2> "$tmp/err"
	status=$?
	if [ $status -eq 0 ]; then
		accepted "$case"
	else
		refused "$case" $status
	fi
done
echo "$# cases, $failed failures"
[ $failed -eq 0 ]
