#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Replay the corpus of each fuzz target.  To search for more:
#	clang -g -fsanitize=fuzzer,address -include config.h -Isrc \
#	    tests/fuzz/fuzz_conf.c src/conf/*.c src/base/*.c -lconfig \
#	    -o /tmp/fuzz_conf && /tmp/fuzz_conf tests/fuzz/corpus/conf
srcdir=$(cd "${srcdir:-.}" && pwd)
builddir=$(pwd)
cd "$srcdir/tests/conf" || exit 99	# the corpus includes files from there
"$builddir/tests/fuzz/fuzz_conf" "$srcdir/tests/fuzz/corpus/conf" \
    "$srcdir"/tests/conf/*.in "$srcdir"/etc/asgid.conf
