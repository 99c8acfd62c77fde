#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Replay the corpus of each fuzz target.  To search for more:
#	F="clang -g -fsanitize=fuzzer,address,undefined -include config.h -Isrc"
#	$F tests/fuzz/fuzz_conf.c src/conf/*.c src/ctl/*.c src/base/*.c \
#	    -lconfig -o /tmp/fuzz_conf && /tmp/fuzz_conf tests/fuzz/corpus/conf
#	$F tests/fuzz/fuzz_check.c tests/unit/http/mhd_head.c \
#	    src/http/check.c src/http/head.c src/base/*.c \
#	    -o /tmp/fuzz_check && /tmp/fuzz_check tests/fuzz/corpus/check
#	$F tests/fuzz/fuzz_chunk.c src/http/chunk.c src/http/head.c \
#	    src/base/*.c -o /tmp/fuzz_chunk && \
#	    /tmp/fuzz_chunk tests/fuzz/corpus/chunk
srcdir=$(cd "${srcdir:-.}" && pwd)
builddir=$(pwd)
fuzz=$builddir/tests/fuzz
corpus=$srcdir/tests/fuzz/corpus
cd "$srcdir/tests/conf" || exit 99	# the corpus includes files from there
status=0
"$fuzz/fuzz_conf" "$corpus/conf" "$srcdir"/tests/conf/*.in \
    "$srcdir"/etc/asgid.conf || status=1
"$fuzz/fuzz_check" "$corpus/check" || status=1
"$fuzz/fuzz_chunk" "$corpus/chunk" || status=1
exit $status
