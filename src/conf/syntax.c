/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is wrong with a text that libconfig does not take: its "syntax error"
 * knows no more than a line.  Looked for are the mistakes that people make who
 * know other languages; what is right is never refused here, for nobody asks
 * before libconfig has.
 */
#include "conf/conf_priv.h"

#include <stdlib.h>
#include <string.h>

#include "conf/lex.h"

#define DEPTH_MAX	32
#define NAMES_MAX	4096

struct name {
	struct str	 text;
	unsigned	 line, group;	/* number of the group that has it */
};

struct syntax {
	struct lex	 at;
	struct buf	*why;
	unsigned	*line;		/* of the mistake */
	struct {
		char	 sign;
		unsigned line, group;
	} open[DEPTH_MAX];
	unsigned	 depth, ngroups;
	struct name	*names;		/* NULL: duplicates are not wanted */
	size_t		 nnames;
	struct str	 name;		/* of the setting that is read */
};

/* Found: always false, which ends the search. */
static bool found(struct syntax *, unsigned line, const char *fmt, ...)
    PRINTF(3, 4);

static bool
found(struct syntax *s, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(s->why, fmt, ap);
	va_end(ap);
	*s->line = line;
	return false;
}

/* The end without a word: what is here is beyond this search. */
static bool
lost(struct syntax *s)
{
	*s->line = 0;
	return false;
}

static bool
is_name(struct str w)
{
	size_t i;

	for (i = 0; i < w.n; i++)
		if (!((w.p[i] >= 'a' && w.p[i] <= 'z') ||
		    (w.p[i] >= 'A' && w.p[i] <= 'Z') || w.p[i] == '*' ||
		    (i > 0 && ((w.p[i] >= '0' && w.p[i] <= '9') ||
		    w.p[i] == '-' || w.p[i] == '_'))))
			return false;
	return w.n > 0;
}

static bool
is_number(struct str w)
{
	char text[64], *end;

	if (w.n == 0 || w.n >= sizeof(text) ||
	    strchr("+-.0123456789", *w.p) == NULL)
		return false;
	memcpy(text, w.p, w.n);
	text[w.n] = '\0';
	(void)strtod(text, &end);
	return strcmp(end + strspn(end, "L"), "") == 0;
}

static bool
is_bool(struct str w)
{
	return str_ieq(w, STR("true")) || str_ieq(w, STR("false"));
}

/* ---- values ------------------------------------------------------------- */

/* Up to what ends a value that has no quotes. */
static struct str
bare_word(const struct syntax *s)
{
	struct str w = { s->at.t, strcspn(s->at.t, " \t\r\n\f;,#(){}[]\"") };

	return w;
}

static bool
bad_value(struct syntax *s)
{
	static const char *const switches[] = { "on", "off", "yes", "no" };
	struct str w = bare_word(s);
	size_t i;

	if (w.n >= 3 && memcmp(w.p, "\xe2\x80", 2) == 0)
		return found(s, s->at.line, "a string has straight quotes "
		    "(\"), not typographic ones");
	if (*s->at.t == '\'')
		return found(s, s->at.line, "a string has double quotes (\"), "
		    "not single ones");
	for (i = 0; i < countof(switches); i++)
		if (str_ieq(w, str_of(switches[i])))
			return found(s, s->at.line, STR_FMT ": write true or "
			    "false, or a string in double quotes", STR_ARG(w));
	if (w.n > 0)
		return found(s, s->at.line, STR_FMT ": a string needs double "
		    "quotes, \"" STR_FMT "\"", STR_ARG(w), STR_ARG(w));
	return found(s, s->at.line, "'%c' where a value is expected",
	    *s->at.t);
}

static bool
open_bracket(struct syntax *s)
{
	if (s->depth == DEPTH_MAX)
		return lost(s);
	s->open[s->depth].sign = *s->at.t;
	s->open[s->depth].line = s->at.line;
	s->open[s->depth++].group = ++s->ngroups;
	s->at.t++;
	return true;
}

/* Behind '=': at once on this line, or is the next name taken for it? */
static bool
is_missing(const struct syntax *s, unsigned line)
{
	struct lex ahead = s->at;
	struct str w;

	if (*ahead.t == '\0' || strchr(";,})]", *ahead.t) != NULL)
		return true;
	if (ahead.line == line)
		return false;
	w = lex_word(&ahead);
	return is_name(w) && !is_bool(w) && lex_blank(&ahead) &&
	    (*ahead.t == '=' || *ahead.t == ':');
}

/* One value, or the beginning of one. */
static bool
value(struct syntax *s)
{
	struct str w;

	if (strchr("({[", *s->at.t) != NULL && *s->at.t != '\0') {
		if (s->depth > 0 && s->open[s->depth - 1].sign == '[')
			return found(s, s->at.line, "an array [ ] holds plain "
			    "values; groups and lists stand in ( )");
		return open_bracket(s);
	}
	if (*s->at.t == '"') {
		while (*s->at.t == '"')
			if (!lex_string(&s->at) || !lex_blank(&s->at))
				return lost(s);
		return true;
	}
	w = bare_word(s);
	if (!is_number(w) && !is_bool(w))
		return bad_value(s);
	s->at.t += w.n;
	return lex_blank(&s->at) || lost(s);
}

/* ---- settings ----------------------------------------------------------- */

static bool
is_duplicate(struct syntax *s, unsigned line)
{
	unsigned group = s->depth > 0 ? s->open[s->depth - 1].group : 0;
	size_t i;

	for (i = 0; i < s->nnames; i++)
		if (s->names[i].group == group &&
		    str_eq(s->names[i].text, s->name)) {
			(void)found(s, line, STR_FMT ": set already at line "
			    "%u", STR_ARG(s->name), s->names[i].line);
			return true;
		}
	if (s->nnames < NAMES_MAX)
		s->names[s->nnames++] = (struct name){ s->name, line, group };
	return false;
}

static bool
bad_name(struct syntax *s, struct str w)
{
	const char *dot = memchr(w.p, '.', w.n);
	unsigned line = s->at.line;

	if (memcmp(s->at.t, "\xef\xbb\xbf", strnlen(s->at.t, 3)) == 0 &&
	    *s->at.t != '\0')
		return found(s, line, "the file begins with a byte order "
		    "mark: save it as UTF-8 without one");
	if (*s->at.t == '{' && s->depth == 0)
		return found(s, line, "no braces around all settings");
	if (*s->at.t == '[')
		return found(s, line, "a group is written name = { ... };");
	if (*s->at.t == '"')
		return found(s, line, "the name of a setting has no quotes");
	if (*s->at.t == ';' || *s->at.t == ',')
		return found(s, line, "a '%c' too many", *s->at.t);
	if (dot != NULL && dot > w.p)
		return found(s, line, STR_FMT ": an option of a group is "
		    "written %.*s = { " STR_FMT " = ...; };", STR_ARG(w),
		    (int)(dot - w.p), w.p, (int)(w.p + w.n - dot - 1),
		    dot + 1);
	if (w.n > 0)
		return found(s, line, STR_FMT ": not the name of a setting",
		    STR_ARG(w));
	return found(s, line, "'%c' where the name of a setting is expected",
	    *s->at.t);
}

/* name = value; what is behind a group is the caller's. */
static bool
setting(struct syntax *s)
{
	struct str w = lex_word(&(struct lex){ s->at.t, 0 });
	unsigned line = s->at.line;

	if (!is_name(w))
		return bad_name(s, w);
	s->name = w;
	s->at.t += w.n;
	if (s->names != NULL && is_duplicate(s, line))
		return false;
	if (!lex_blank(&s->at))
		return lost(s);
	if (*s->at.t != '=' && *s->at.t != ':')
		return found(s, line, STR_FMT ": '=' is missing behind it",
		    STR_ARG(w));
	line = s->at.line;
	s->at.t++;
	if (!lex_blank(&s->at))
		return lost(s);
	if (is_missing(s, line))
		return found(s, line, STR_FMT ": the value is missing",
		    STR_ARG(w));
	if (*s->at.t == '=')
		return found(s, line, STR_FMT ": '=' twice", STR_ARG(w));
	return value(s);
}

/* ---- brackets ----------------------------------------------------------- */

static char
closing(char sign)
{
	return sign == '{' ? '}' : sign == '(' ? ')' : ']';
}

static bool
close_bracket(struct syntax *s)
{
	char top = s->depth > 0 ? s->open[s->depth - 1].sign : '\0';

	if (top == '\0')
		return found(s, s->at.line, "a '%c' too many", *s->at.t);
	if (*s->at.t != closing(top))
		return found(s, s->at.line, "the '%c' of line %u is closed by "
		    "'%c'", top, s->open[s->depth - 1].line, *s->at.t);
	s->depth--;
	s->at.t++;
	return lex_blank(&s->at) || lost(s);
}

/* Behind a value: in a group a sign may follow, in a list one must, unless
 * that ends. */
static bool
after_value(struct syntax *s)
{
	char top = s->depth > 0 ? s->open[s->depth - 1].sign : '{', sign;

	sign = *s->at.t;
	if (top == '{') {
		if (sign == ';' || sign == ',')
			s->at.t++;
		else if (sign == '"' || (sign != '\0' && strchr("-+0123456789",
		    sign) != NULL))
			return found(s, s->at.line, STR_FMT ": a second value "
			    "behind its value", STR_ARG(s->name));
		return true;
	}
	if (sign == closing(top) || sign == '\0')
		return true;
	if (sign != ',')
		return found(s, s->at.line, "a ',' is missing between the "
		    "elements of a list");
	s->at.t++;
	if (!lex_blank(&s->at))
		return lost(s);
	return *s->at.t != closing(top) ||
	    found(s, s->at.line, "a ',' too many before '%c'", *s->at.t);
}

static bool
is_include(struct syntax *s)
{
	if (strncmp(s->at.t, "@include", 8) != 0)
		return false;
	s->at.t = strchrnul(s->at.t, '\n');
	return true;
}

/* One step: a setting, an element, or a bracket that closes. */
static bool
step(struct syntax *s)
{
	char top = s->depth > 0 ? s->open[s->depth - 1].sign : '{';
	unsigned depth = s->depth;

	if (is_include(s))
		return true;
	if (strchr("})]", *s->at.t) != NULL) {
		if (!close_bracket(s))
			return false;
	} else if (!(top == '{' ? setting(s) : value(s)))
		return false;
	return s->depth > depth || after_value(s);
}

/* The first one stands in another file: the name at libconfig's line. */
static void
find_second(struct syntax *s, unsigned limit)
{
	size_t i = s->nnames;

	while (i > 0 && s->names[i - 1].line > limit)
		i--;
	if (i > 0)
		(void)found(s, s->names[i - 1].line, STR_FMT,
		    STR_ARG(s->names[i - 1].text));
}

bool
conf_syntax_look(const char *text, bool duplicates, unsigned *line,
    struct buf *why)
{
	unsigned limit = *line;
	struct syntax s = { .at = { text, 1 }, .why = why, .line = line };
	bool more = true;

	*line = 0;
	if (duplicates && (s.names = calloc(NAMES_MAX,
	    sizeof(*s.names))) == NULL)
		return false;
	while (more && (more = lex_blank(&s.at)) && *s.at.t != '\0')
		more = step(&s);
	if (duplicates && *line == 0)
		find_second(&s, limit);
	else if (more && s.depth > 0)
		(void)found(&s, s.open[s.depth - 1].line,
		    "the '%c' is not closed", s.open[s.depth - 1].sign);
	free(s.names);
	return *line > 0 && *line <= limit;
}
