/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Slices of bytes that somebody else owns, and strict parsing of numbers.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/defs.h"
#include "base/mono.h"

struct str {
	const char	*p;
	size_t		 n;
};

#define STR(lit)	((struct str){ (lit), sizeof(lit) - 1 })
#define STR_FMT		"%.*s"
#define STR_ARG(s)	(int)(s).n, (s).p

static inline struct str
str_of(const char *p)
{
	return (struct str){ p, strlen(p) };
}

static inline bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
str_ieq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

/* Without blanks and tabs at either end (OWS, RFC 9110 5.6.3). */
struct str str_trim(struct str);
/* Cut the next comma-separated element off *rest, trimmed; false: no more. */
bool	 str_next_element(struct str *rest, struct str *element);
/* Does a comma-separated list hold this token, in any case? */
bool	 str_has_token(struct str list, struct str token);

/* All of the text or nothing: 0, or -1. */
int	 str_to_uint(struct str, uint64_t *);		/* decimal digits */
int	 str_to_size(const char *, uint64_t *);		/* 512, 16K, 1M, 2G */
int	 str_to_duration(const char *, nsec_t *);	/* 250ms 10s 5m */
/* Shortest text that str_to_* reads back to the same value. */
void	 str_from_size(uint64_t, char buf[32]);
void	 str_from_duration(nsec_t, char buf[32]);
/* For people, in the two largest units: "3.2s", "14m05s", "3d04h". */
void	 str_from_age(nsec_t, char buf[32]);

/* Edit distance, for "did you mean". */
unsigned str_distance(const char *, const char *);

#endif
