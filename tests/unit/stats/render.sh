#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# What statistics look like, of the example in test_render.c, in all formats;
# and whether those who read them do: promtool, prometheus_client and Python's
# json, as far as they are there.
#
#	render.sh [-u]		-u: write the golden texts anew
#
# ASGID_TESTS_STRICT=1	nothing may be skipped (CI sets it)
export LC_ALL=C

stats=$(pwd)/tests/unit/stats/test_stats
cd "${srcdir:-.}/tests/unit/stats" || exit 99
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
failed=0

fail() {
	echo "FAIL: $*"
	failed=1
}

for format in text json openmetrics prometheus; do
	"$stats" $format > "$tmp/$format" || fail "$format: nothing"
	sed 's/\(^asgid \|version":"\|version="\)[0-9][0-9a-z.~-]*/\1VERSION/' \
		"$tmp/$format" > "$tmp/plain"
	[ "$1" != -u ] || cp "$tmp/plain" "$format.ok"
	diff -u "$format.ok" "$tmp/plain" || fail "$format"
done

skip() {
	echo "SKIP: $*"
	[ "${ASGID_TESTS_STRICT:-0}" != 1 ] || failed=1
}

# it knows the older dialect only
if command -v promtool > /dev/null; then
	promtool check metrics < "$tmp/prometheus" || fail "promtool"
else
	skip "no promtool"
fi

python=${PYTHON_EXECUTABLE:-python3}
"$python" -c 'import json, sys; json.load(open(sys.argv[1]))' \
	"$tmp/json" || fail "no JSON"
if "$python" -c 'import prometheus_client' 2> /dev/null; then
	"$python" - "$tmp" <<- 'END' || fail "prometheus_client"
	import sys
	import prometheus_client.openmetrics.parser as new
	import prometheus_client.parser as old
	def read(parser, name):
	    with open("%s/%s" % (sys.argv[1], name)) as f:
	        return {(s.name, *sorted(s.labels.items())): s.value
	                for m in parser.text_string_to_metric_families(f.read())
	                for s in m.samples}
	a, b = read(new, "openmetrics"), read(old, "prometheus")
	assert a == b and len(a) > 100, set(a.items()) ^ set(b.items())
	assert a["asgid_requests_total",] == 1080
	assert a["asgid_worker_busy_seconds", ("worker", "3")] == 12
	END
else
	skip "no prometheus_client"
fi
exit $failed
