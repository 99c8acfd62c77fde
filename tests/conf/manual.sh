#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# asgid.conf(5) lists the options as the table has them, asgid(8) each name of
# the command line, and both (8) the variables of the environment.
#
#	manual.sh [-u]		-u: put the list into the manual
export LC_ALL=C
unset WEB_CONCURRENCY

asgid=${ASGID:-$(pwd)/src/asgid}
cd "${srcdir:-.}" || exit 99
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
failed=0
man=man/asgid.conf.5

printf 'app = "APP";\n' > "$tmp/conf"
"$asgid" -T -c "$tmp/conf" | sed 's/^app = .*/app = "";/' > "$tmp/defaults"
awk -f tests/conf/options.awk "$tmp/defaults" src/conf/options.def \
    > "$tmp/list" || exit 1
[ "$(grep -c '^\.It' "$tmp/list")" -eq \
    "$(grep -c '^OPTION(' src/conf/options.def)" ] || {
	echo "options.def is not read right"
	exit 1
}

if [ "$1" = -u ]; then
	sed -e '/^\.\\" begin options/r '"$tmp/list" \
	    -e '/^\.\\" begin options/,/^\.\\" end options/{
		/^\.\\" /!d
	}' $man > "$tmp/new" && cat "$tmp/new" > $man
fi

sed -n '/^\.\\" begin options/,/^\.\\" end options/p' $man |
    sed '/^\.\\" /d' > "$tmp/manual"
diff -u "$tmp/manual" "$tmp/list" || {
	echo "FAIL: $man differs from options.def; run tests/conf/manual.sh -u"
	failed=1
}

# every option of --help is in asgid(8), and the other way round
"$asgid" --help | sed -n 's/^  *\(-[-a-zA-Z]*\).*/\1/p' | sort -u \
    > "$tmp/help"
sed -n 's/^\.It Fl \([-a-zA-Z]*\).*/-\1/p' man/asgid.8 | sort -u \
    > "$tmp/names"
[ -s "$tmp/help" ] || { echo "FAIL: --help lists nothing"; failed=1; }
diff -u "$tmp/names" "$tmp/help" || {
	echo "FAIL: man/asgid.8 and --help differ"
	failed=1
}

# each variable that is read is told of; Python's are told of as a whole
sed -n '/^\.Sh ENVIRONMENT/,/^\.Sh EXIT/s/^\.It Ev //p' man/asgid.8 \
    man/asgictl.8 | tr -d ' ' | tr ',' '\n' | sort -u > "$tmp/told"
grep -rhoE 'getenv\("[A-Z_]+"' src | cut -d '"' -f 2 | grep -v '^PYTHON' |
    sort -u > "$tmp/read"
[ -s "$tmp/read" ] || { echo "FAIL: no variable is read"; failed=1; }
for name in $(comm -13 "$tmp/told" "$tmp/read"); do
	echo "FAIL: no manual tells of \$$name"
	failed=1
done
# .. and what is told of is read, or set
while read -r name; do
	grep -rqE "\"$name[\"=]" src || {
		echo "FAIL: nobody reads or sets \$$name"
		failed=1
	}
done < "$tmp/told"

if command -v mandoc > /dev/null; then
	mandoc -T lint -W style man/asgid.8 man/asgid.conf.5 > "$tmp/lint"
	# the system's own pages need not be installed
	if grep -v 'referenced manual not found\|Mdocdate' "$tmp/lint"; then
		echo "FAIL: mandoc complains"
		failed=1
	fi
fi
exit $failed
