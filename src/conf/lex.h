/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Blanks, comments and strings of libconfig's syntax, for who reads a text
 * beside libconfig: scan.c before it, syntax.c after it has failed.
 */
#ifndef CONF_LEX_H
#define CONF_LEX_H

#include <stdbool.h>

#include "base/str.h"

struct lex {
	const char	*t;		/* what is next */
	unsigned	 line;		/* of it */
};

/* Behind the string, or the comment, that is next; false: it has no end, and
 * the lexer has not moved. */
bool	 lex_string(struct lex *);
bool	 lex_comment(struct lex *);
static inline bool
lex_at_comment(const struct lex *l)
{
	return *l->t == '#' || (*l->t == '/' &&
	    (l->t[1] == '/' || l->t[1] == '*'));
}
/* Behind blanks and comments; false: a comment has no end. */
bool	 lex_blank(struct lex *);
/* Behind a word: up to a blank or one of libconfig's signs. */
struct str lex_word(struct lex *);

#endif
