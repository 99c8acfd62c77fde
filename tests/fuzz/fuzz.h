/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A fuzz target is one function.  Linked with replay.c it runs over files,
 * in `make check`; linked with -fsanitize=fuzzer it searches.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#endif
