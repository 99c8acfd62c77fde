/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Before libconfig sees a text, a scan of ours looks for what it does badly.
 * An included file that opens but cannot be read (a directory) makes its
 * scanner end the whole process, and a device would be read for ever; of one
 * that is not there it does not say the name.  Files that include one another
 * more than once are read again and again, and each setting is compared with
 * all before it.  An integer of more than 32 bits without an L is silently cut
 * (before 1.7).  A string or comment that is not closed is reported at the end
 * of the file, or not at all, and leaks.
 */
#include "conf/conf_priv.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "conf/lex.h"

#define INCLUDE_DEPTH	10	/* libconfig's own limit */
#define INCLUDES_MAX	100
#define SETTINGS_MAX	2048	/* libconfig takes n * n steps for them */
#define FILE_MAX	(1 << 20)

/* Of all files together. */
struct amount {
	unsigned		 includes, settings;
	bool			 too_much;	/* nothing is read any more */
};

struct scan {
	struct conf_parse	*p;
	struct amount		*amount;
	const char		*name;	/* of this text */
	struct lex		 at;
	unsigned		 depth;	/* of includes */
	int			 result;
};

static void scan_text(struct scan *);

static void
scan_error(struct scan *sc, struct str token, const char *why)
{
	struct conf_source where = { CONF_BY_FILE, sc->name, sc->at.line };

	conf_error(sc->p, &where, NULL, STR_FMT "%s%s", STR_ARG(token),
	    token.n > 0 ? ": " : "", why);
	sc->result = -1;
}

static void
too_much(struct scan *sc, struct str token, const char *why)
{
	if (!sc->amount->too_much)
		scan_error(sc, token, why);
	sc->amount->too_much = true;
	sc->result = -1;
}

/* ---- files -------------------------------------------------------------- */

const char *
conf_file_error(int error)
{
	switch (error) {
	case EINVAL:
		return "not a regular file";
	case EILSEQ:
		return "not a text file, it holds a NUL";
	case EFBIG:
		return "larger than 1 MB";
	default:
		return strerror(error);
	}
}

char *
conf_read_file(const char *path)
{
	struct stat st;
	char *text = NULL;
	int fd, saved;
	size_t len;

	/* a FIFO must not hang us */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) == -1)
		goto done;
	if (S_ISDIR(st.st_mode))
		errno = EISDIR;
	else if (!S_ISREG(st.st_mode))
		errno = EINVAL;
	else if (st.st_size > FILE_MAX)
		errno = EFBIG;
	else if ((text = fd_read_all(fd, &len)) != NULL &&
	    memchr(text, '\0', len) != NULL) {
		free(text);
		text = NULL;
		errno = EILSEQ;
	}
done:
	saved = errno;
	fd_close(&fd);
	errno = saved;
	return text;
}

/* ---- includes ----------------------------------------------------------- */

/* The name between the quotes; NULL after an error, else what is behind. */
static const char *
include_name(struct scan *sc, const char *t, char path[PATH_MAX])
{
	size_t n = 0;

	for (t++; *t != '"'; path[n++] = *t++) {
		if (*t == '\\' && (t[1] == '\\' || t[1] == '"'))
			t++;
		if (*t == '\0' || *t == '\n' || n + 1 == PATH_MAX) {
			scan_error(sc, STR("@include"),
			    "the file's name is not closed");
			return NULL;
		}
	}
	path[n] = '\0';
	return t + 1;
}

/* A relative name is libconfig's to find: in the current directory, not beside
 * the file that includes. */
static void
cannot_open(struct scan *sc, struct str token, const char *path)
{
	struct buf why = BUF_INIT;
	int error = errno;
	char *cwd;

	buf_printf(&why, "cannot open include file: %s",
	    conf_file_error(error));
	if (error == ENOENT && *path != '/' &&
	    (cwd = getcwd(NULL, 0)) != NULL) {
		buf_printf(&why, " in the current directory, %s", cwd);
		free(cwd);
	}
	scan_error(sc, token, buf_str(&why));
	buf_fini(&why);
}

/* Behind "@include": the file is tried and scanned. */
static void
scan_include(struct scan *sc)
{
	struct scan inner = { .p = sc->p, .amount = sc->amount,
	    .at.line = 1, .depth = sc->depth + 1 };
	char path[PATH_MAX], *text;
	struct str token;
	const char *end;

	sc->at.t += strspn(sc->at.t, " \t");
	token.p = sc->at.t;
	if (*token.p != '"')
		return;
	if ((end = include_name(sc, token.p, path)) == NULL) {
		sc->at.t += strlen(sc->at.t);
		return;
	}
	token.n = (size_t)(end - token.p);
	sc->at.t = end;
	if (sc->depth == INCLUDE_DEPTH) {
		too_much(sc, token, "more than 10 files, one inside another");
		return;
	}
	if (sc->amount->includes++ == INCLUDES_MAX) {
		too_much(sc, token, "more than 100 included files");
		return;
	}
	if ((text = conf_read_file(path)) == NULL) {
		cannot_open(sc, token, path);
		return;
	}
	inner.name = path;
	inner.at.t = text;
	scan_text(&inner);
	if (inner.result == -1)
		sc->result = -1;
	free(text);
}

/* ---- text --------------------------------------------------------------- */

static void
scan_number(struct scan *sc)
{
	struct str word = lex_word(&sc->at);
	char digits[32], *end;
	long long number;

	snprintf(digits, sizeof(digits), STR_FMT, STR_ARG(word));
	errno = 0;
	/* "010" is ten there */
	number = strtoll(digits, &end, strncmp(digits, "0x", 2) == 0 ||
	    strncmp(digits, "0X", 2) == 0 ? 16 : 10);
	if (errno == ERANGE && (*end == '\0' || *end == 'L'))
		scan_error(sc, word, "more than 64 bits");
	else if (*end == '\0' && (number > INT32_MAX || number < INT32_MIN))
		scan_error(sc, word,
		    "more than 32 bits, an L is needed at the end");
}

/* What has no end takes the rest. */
static void
pass(struct scan *sc, bool (*skip)(struct lex *), const char *why)
{
	if (skip(&sc->at))
		return;
	scan_error(sc, STR(""), why);
	sc->at.t += strlen(sc->at.t);
}

static void
scan_text(struct scan *sc)
{
	bool line_start = true;
	const char *p;

	while (*(p = sc->at.t) != '\0' && !sc->amount->too_much) {
		if (*p == '\n') {
			sc->at.line++;
			line_start = true;
			sc->at.t++;
			continue;
		}
		if (*p == '"')
			pass(sc, lex_string, "a string is not closed");
		else if (lex_at_comment(&sc->at))
			pass(sc, lex_comment, "a comment is not closed");
		else if (line_start && strncmp(p, "@include", 8) == 0) {
			sc->at.t += 8;
			scan_include(sc);
		} else if (strchr("+-0123456789", *p) != NULL)
			scan_number(sc);
		else if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z'))
			(void)lex_word(&sc->at);
		else {
			if ((*p == '=' || *p == ':') &&
			    sc->amount->settings++ == SETTINGS_MAX)
				too_much(sc, STR(""),
				    "more than 2048 settings");
			sc->at.t++;
		}
		line_start = line_start && (*p == ' ' || *p == '\t');
	}
}

int
conf_scan(struct conf_parse *p, const char *text, const char *name)
{
	struct amount amount = { 0 };
	struct scan sc = { .p = p, .amount = &amount, .name = name,
	    .at = { text, 1 } };

	scan_text(&sc);
	return sc.result;
}
