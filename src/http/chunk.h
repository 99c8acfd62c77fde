/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A strict look at chunk framing (RFC 9112 7.1) as it passes.
 * libmicrohttpd before 1.0 takes a bare LF for a line end there, which
 * others in front may not, and waits for ever for the end of a line that is
 * longer than its buffer.
 */
#ifndef HTTP_CHUNK_H
#define HTTP_CHUNK_H

#include <stddef.h>
#include <stdint.h>

enum chunk_state {
	CHUNK_SIZE,		/* first digit of a size */
	CHUNK_DIGITS,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER,		/* first byte of a trailer line */
	CHUNK_TRAILER_TEXT,
	CHUNK_TRAILER_LF,
	CHUNK_LAST_LF,
	CHUNK_DONE,
	CHUNK_BAD,
};

struct chunk_scan {
	enum chunk_state state;
	uint64_t	 left;		/* size while its line is read; then
					 * what is missing of the data */
	uint32_t	 line;		/* octets of lines without data */
};

/* Look at the next bytes, up to the end of the body: how many were used. The
 * state is CHUNK_DONE or CHUNK_BAD at the end. Begin with all zero. */
size_t	 chunk_scan(struct chunk_scan *, const char *, size_t);

#endif
