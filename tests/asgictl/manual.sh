#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# asgictl(8) tells of the commands, flags, results, metrics and fields as the
# tables have them.
#	manual.sh [-u]		-u: put all but the commands into it
export LC_ALL=C

build=${ASGID_BUILD:-$(pwd)}
tables=$build/tests/asgictl/tables
asgictl=$build/src/asgictl/asgictl
cd "${srcdir:-.}" || exit 99
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
failed=0
man=man/asgictl.8

fail()
{
	echo "FAIL: $1"
	failed=1
}

# what stands between two comments of the manual
part()
{
	sed -n '/^\.\\" begin '"$1"'/,/^\.\\" end '"$1"'/p' $man |
	    sed '/^\.\\" /d'
}

for name in flags results metrics fields; do
	"$tables" $name >"$tmp/$name" && [ -s "$tmp/$name" ] || exit 99
	if [ "$1" = -u ]; then
		sed -e '/^\.\\" begin '$name'/r '"$tmp/$name" \
		    -e '/^\.\\" begin '$name'/,/^\.\\" end '$name'/{
			/^\.\\" /!d
		}' $man >"$tmp/new" && cat "$tmp/new" >$man
	fi
	part $name >"$tmp/manual"
	diff -u "$tmp/manual" "$tmp/$name" ||
	    fail "$man: $name differ from the table: tests/asgictl/manual.sh -u"
done

# commands are explained further: their synopsis and first sentence are ours
"$tables" commands >"$tmp/commands"
part commands | awk '/^\.It Ic/ { print; getline; print }' >"$tmp/manual"
diff -u "$tmp/manual" "$tmp/commands" ||
    fail "$man: the commands differ from commands.def"

# every exit status has its line, those that no answer leads to too
sed -n '/^\.Sh EXIT STATUS/,/^\.Sh EXAMPLES/s/^\.It \([0-9]\)$/\1/p' $man \
    >"$tmp/manual"
{ echo 3; awk '$2 ~ /^[0-9]/ && $4 ~ /^[0-9]/ { print $4 }' "$tmp/results"; } |
    sort -u >"$tmp/statuses"
diff -u "$tmp/manual" "$tmp/statuses" ||
    fail "$man: the exit statuses differ from results.def"

# every option of --help, and the other way round
"$asgictl" --help | sed -n 's/^  \(-[a-zA-Z]\).*/\1/p' | sort >"$tmp/help"
sed -n '/^\.Sh DESCRIPTION/,/^\.Ss/s/^\.It Fl \([a-zA-Z]\).*/-\1/p' $man |
    sort >"$tmp/manual"
[ -s "$tmp/help" ] || fail "--help lists no option"
diff -u "$tmp/manual" "$tmp/help" || fail "$man and --help differ"

if command -v mandoc >/dev/null; then
	mandoc -T lint -W style $man >"$tmp/lint"
	# the system's own pages need not be installed
	grep -v 'referenced manual not found\|Mdocdate' "$tmp/lint" &&
	    fail "mandoc complains"
fi
exit $failed
