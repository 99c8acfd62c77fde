/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The strict check of a request head (RFC 9112), made on what the parser
 * left of it.  Anything ambiguous about framing is refused, never guessed.
 */
#ifndef HTTP_CHECK_H
#define HTTP_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/http.h"
#include "stats/stats.h"

/* What is to be looked at. */
struct check_head {
	struct str	 method, target, version;
	struct http_field *fields;
	size_t		 nfields;
	size_t		 header_size;	/* octets from method to empty line */
};

/* What was learned on the way. */
struct check_facts {
	struct str	 path, query;
	int		 minor;
	bool		 chunked;
	bool		 has_length;
	uint64_t	 length;
	bool		 expect_continue;
	bool		 closes;	/* the client wants no more requests */
};

struct check_limits {
	uint64_t	 header_size;
	uint64_t	 body_size;	/* 0: no limit */
};

/* Why a request is refused: a row of refusals.def. */
enum refusal {
	REFUSAL_NONE,
#define REFUSAL(id, ...)		REFUSAL_##id,
#include "http/refusals.def"
#undef REFUSAL
	REFUSAL_COUNT
};

struct refusal_info {
	unsigned	 status;
	enum stat_id	 counter;
	const char	*text;
};

extern const struct refusal_info refusals[REFUSAL_COUNT];

/* The answer to it: a head to be http_head_fini'ed, and a static text. */
void	 refusal_head(struct http_head *, enum refusal);
struct http_data refusal_body(enum refusal);

enum refusal check_request(const struct check_head *,
	    const struct check_limits *, struct check_facts *);

/*
 * libmicrohttpd before 1.0 cuts lines at NUL, joins folded lines into names
 * and takes bare LF: all of these leave names and values at other places than
 * a well-formed head does.  Are all parts where they belong?  Values must not
 * have been trimmed yet.
 */
bool	 check_contiguous(const struct check_head *);

#endif
