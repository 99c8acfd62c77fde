# SPDX-License-Identifier: BSD-3-Clause
#
# src/conf/options.def, and what `asgid -T` prints for the defaults, as the
# list of options of asgid.conf(5).
#	awk -f options.awk printed-defaults options.def

# "\tcount = 1;" inside "workers = {"
FNR == NR {
	if ($0 ~ /^[a-z_]+ = \{$/)
		group = $1 "."
	else if ($0 ~ /^};/)
		group = ""
	else if ($0 ~ /^\t?[a-z_]+ = .*;$/) {
		value = $0
		sub(/^[^=]*= /, "", value)
		sub(/;$/, "", value)
		default_of[group $1] = value
	}
	next
}

/^OPTION\(/ {
	line = $0
	sub(/^OPTION\(/, "", line)
	split(line, f, /, /)
	key = f[1]
	gsub(/"/, "", key)
	class = f[7]
	name = f[8]
	gsub(/[",]/, "", name)
	next
}

/^    ".*"\)$/ {
	text = $0
	sub(/^    "/, "", text)
	sub(/"\)$/, "", text)
	gsub(/\\"/, "\"", text)
	if (!(key in default_of)) {
		print "no default printed for " key > "/dev/stderr"
		exit 1
	}
	printf ".It Ic %s = Ar %s\n", key, f[3]
	print text "."
	value = default_of[key]
	print "Default:"
	gsub(/"/, "\\(dq", value)
	gsub(/[][]/, "\\\\\\&&", value)
	# bounds that nobody meets are not told
	bounded = f[3] != "bool" && f[3] != "mode" && f[3] != "duration" &&
	    f[6] != "0" && f[6] != "INT64_MAX"
	printf ".Li %s%s\n", value, bounded ? " ;" : " ."
	if (bounded) {
		sub(/INT32_MAX/, "2147483647", f[6])
		printf "%s to %s.\n", f[5], f[6]
	}
	print (class == "LIVE" ? "A reload changes it at once, in workers " \
	    "with the next generation." : class == "WORKER" ? \
	    "A reload changes it with the new workers." : \
	    "A change needs a restart.")
	if (name ~ /^--/) {
		print "Command line:"
		printf ".Fl %s .\n", substr(name, 2)
	}
}
