# SPDX-License-Identifier: BSD-3-Clause
#
# Sourced by the scripts beside it: packages by apt or dnf, as root or with
# sudo. Nothing is asked of the package manager when all is there.

# Debian package, Fedora package
build_packages='
gcc			gcc
libc6-dev		glibc-devel
make			make
autoconf		autoconf
automake		automake
pkg-config		pkgconf-pkg-config
libmicrohttpd-dev	libmicrohttpd-devel
libconfig-dev		libconfig-devel
python3-dev		python3-devel
python3-venv		python3
curl			curl
'
test_packages='
check			check-devel
prometheus		golang-github-prometheus
python3-prometheus-client python3-prometheus_client
clang			clang
gcc			libasan
gcc			libubsan
python3-pytest		python3-pytest
python3-pytest-xdist	python3-pytest-xdist
libpythonX.Y-testsuite	python3-test
strace			strace
procps			procps-ng
iproute2		iproute
mandoc			mandoc
wrk			wrk
nghttp2-client		nghttp2
nginx-light		nginx
haproxy			haproxy
openssl			openssl
binutils		binutils
xz-utils		xz
zsh			zsh
fish			fish
'

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# column 1 or 2 of the tables given
column()
{
	n=$1
	shift
	printf '%s\n' "$@" | awk -v n="$n" 'NF { print $n }'
}

# X.Y in a Debian package's name is the version of python3
debian_name()
{
	case $1 in
	*X.Y*)	version=$(/usr/bin/python3 -c \
		    'import sys; print("%d.%d" % sys.version_info[:2])')
		echo "${1%%X.Y*}$version${1#*X.Y}" ;;
	*)	echo "$1" ;;
	esac
}

# Debian starts the daemons that it installs; only the programs are wanted.
apt_install()
{
	policy=/usr/sbin/policy-rc.d
	made=
	if ! [ -e "$policy" ]; then
		made=1
		as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy &&
		    chmod 755 $policy"
	fi
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
	    --no-install-recommends install "$@" >/dev/null
	result=$?
	[ -z "$made" ] || as_root rm -f "$policy"
	return $result
}

# install_packages TABLE
install_packages()
{
	if command -v apt-get >/dev/null; then
		missing=
		for p in $(column 1 "$@"); do
			p=$(debian_name "$p")
			dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null |
			    grep -q ' installed$' || missing="$missing $p"
		done
		[ -z "$missing" ] && return 0
		echo "installing:$missing"
		as_root apt-get -qq update && apt_install $missing
	elif command -v dnf >/dev/null; then
		as_root dnf -q -y install $(column 2 "$@" | sort -u)
	else
		echo "neither apt-get nor dnf: contrib/packages.sh says what" \
		    "is needed" >&2
		return 1
	fi
}

# build FOLDER CONFIGURE-ARGUMENT...: out of tree, again only when needed
build()
{
	dir=$1
	shift
	if ! [ -x "$top/configure" ]; then
		said=$(cd "$top" && autoreconf -fi 2>&1) || {
			echo "$said" >&2
			return 1
		}
	fi
	mkdir -p "$dir" && cd "$dir" || return 1
	[ -f Makefile ] || "$top/configure" -q "$@" || return 1
	make -s -j "$(nproc)"
}
