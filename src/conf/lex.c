/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf/lex.h"

#define WORD_ENDS	" \t\r\n\f,;(){}[]=:#/\""

bool
lex_string(struct lex *l)
{
	struct lex at = *l;

	for (at.t++; *at.t != '\0' && *at.t != '"'; at.t++) {
		if (*at.t == '\\' && at.t[1] != '\0')
			at.t++;
		at.line += *at.t == '\n';
	}
	if (*at.t == '\0')
		return false;
	at.t++;
	*l = at;
	return true;
}

bool
lex_comment(struct lex *l)
{
	struct lex at = *l;

	if (at.t[0] != '/' || at.t[1] != '*') {
		l->t = strchrnul(l->t, '\n');
		return true;
	}
	for (at.t += 2; *at.t != '\0' && !(at.t[0] == '*' && at.t[1] == '/');
	    at.t++)
		at.line += *at.t == '\n';
	if (*at.t == '\0')
		return false;
	at.t += 2;
	*l = at;
	return true;
}

bool
lex_blank(struct lex *l)
{
	for (;;) {
		if (lex_at_comment(l)) {
			if (!lex_comment(l))
				return false;
			continue;
		}
		if (*l->t == '\0' || strchr(" \t\r\n\f", *l->t) == NULL)
			return true;
		l->line += *l->t == '\n';
		l->t++;
	}
}

struct str
lex_word(struct lex *l)
{
	struct str word = { l->t, strcspn(l->t, WORD_ENDS) };

	l->t += word.n;
	return word;
}
