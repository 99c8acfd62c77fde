# SPDX-License-Identifier: BSD-3-Clause
#
# Sourced by the scripts beside it: packages by apt or dnf, as root or with
# sudo. Nothing is asked of the package manager when all is there.

# Debian package, Fedora package
build_packages='
gcc			gcc
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
clang			clang
libclang-rt-14-dev	compiler-rt
python3-pytest		python3-pytest
python3-pytest-xdist	python3-pytest-xdist
libpython3.11-testsuite	python3-test
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

# install TABLE...
install_packages()
{
	if command -v apt-get >/dev/null; then
		missing=
		for p in $(column 1 "$@"); do
			dpkg-query -W -f '${Status}' "$p" 2>/dev/null |
			    grep -q ' installed$' || missing="$missing $p"
		done
		[ -z "$missing" ] && return 0
		echo "installing:$missing"
		as_root apt-get -qq update &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
		    --no-install-recommends install $missing >/dev/null
	elif command -v dnf >/dev/null; then
		as_root dnf -q -y install $(column 2 "$@")
	else
		echo "neither apt-get nor dnf: see $0 for what is needed" >&2
		return 1
	fi
}

# build FOLDER CONFIGURE-ARGUMENT...: out of tree, again only when needed
build()
{
	dir=$1
	shift
	[ -x "$top/configure" ] || (cd "$top" && autoreconf -fi) || return 1
	mkdir -p "$dir" && cd "$dir" || return 1
	[ -f Makefile ] || "$top/configure" -q "$@" || return 1
	make -s -j "$(nproc)"
}
