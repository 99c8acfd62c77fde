/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A request head as libmicrohttpd 0.9.75 hands it over: it parses in place,
 * ends lines and parts with NULs, measures them with strlen(), takes a bare
 * LF for a line end, skips blanks, and glues folded lines to field names.
 */
#ifndef MHD_HEAD_H
#define MHD_HEAD_H

#include "http/check.h"

struct mhd_head {
	struct check_head head;		/* what check_contiguous() is given */
	size_t		 skipped;	/* octets before the method */
	char		*text;		/* of exactly the input's size */
	size_t		 size;
	struct http_field *fields;
	size_t		 cap;
	char		*folded[16];	/* names that had to be moved */
	size_t		 nfolded;
};

/* false: the library refuses it by itself, or waits for more. */
bool	 mhd_head_parse(struct mhd_head *, const char *, size_t);
/* What the front does between the two checks. */
void	 mhd_head_trim(struct mhd_head *);
void	 mhd_head_fini(struct mhd_head *);

#endif
