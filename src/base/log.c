/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <sys/stat.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/outlet.h"
#include "base/syslog.h"

enum style { STYLE_PLAIN, STYLE_COLOUR, STYLE_JOURNAL, STYLE_SYSLOG,
	STYLE_FILE };

static struct {
	struct outlet	 out;
	enum style	 style;
	enum log_level	 level;
	const char	*ident;
	struct buf	*tee;
	uint64_t	*dropped;	/* counted there; NULL: nowhere */
} sink = { OUTLET_INIT(STDERR_FILENO), STYLE_PLAIN, LOG_L_INFO, "asgid",
	NULL, NULL };

const char *const log_level_names[] =
	{ "critical", "error", "warning", "info", "debug", "trace", NULL };

static const struct {
	const char	*label;		/* uvicorn's, padded to 9 columns */
	const char	*colour;
	int		 priority;
} levels[] = {
	[LOG_L_CRITICAL] = { "CRITICAL:", "91", LOG_CRIT },
	[LOG_L_ERROR]	= { "ERROR:", "31", LOG_ERR },
	[LOG_L_WARNING]	= { "WARNING:", "33", LOG_WARNING },
	[LOG_L_INFO]	= { "INFO:", "32", LOG_INFO },
	[LOG_L_DEBUG]	= { "DEBUG:", "36", LOG_DEBUG },
	[LOG_L_TRACE]	= { "TRACE:", "34", LOG_DEBUG },
};

/* Does $JOURNAL_STREAM ("device:inode") name our stderr? sd_journal(3) */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream != NULL && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	    fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev &&
	    st.st_ino == ino;
}

static enum style
style_of(const char *name)
{
	if (strcmp(name, "syslog") == 0)
		return STYLE_SYSLOG;
	if (strcmp(name, "stderr") != 0)
		return STYLE_FILE;
	if (stderr_is_journal())
		return STYLE_JOURNAL;
	return isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL ?
	    STYLE_COLOUR : STYLE_PLAIN;
}

bool
log_is_file(const char *name)
{
	return style_of(name) == STYLE_FILE;
}

void
log_adopt(int fd, const char *name, enum log_level level, const char *ident)
{
	enum style style = style_of(name);

	if (fd == -1 || style == STYLE_SYSLOG)
		fd = STDERR_FILENO;
	if (sink.out.fd != fd) {
		if (sink.out.fd > STDERR_FILENO)
			close(sink.out.fd);
		sink.out = (struct outlet)OUTLET_INIT(fd);
	}
	sink.style = style;
	sink.level = level;
	sink.ident = ident;
}

int
log_fd(void)
{
	return sink.style == STYLE_SYSLOG ? -1 : sink.out.fd;
}

void
log_count(uint64_t *dropped)
{
	sink.dropped = dropped;
}

void
log_tee(struct buf *to)
{
	sink.tee = to;
}

bool
log_enabled(enum log_level level)
{
	return level <= sink.level;
}

void
log_set_level(enum log_level level)
{
	sink.level = level;
}

static void
put_prefix(struct buf *b, enum log_level level)
{
	struct timespec ts;
	struct tm tm;
	char when[32];

	switch (sink.style) {
	case STYLE_PLAIN:
		buf_printf(b, "%-9s ", levels[level].label);
		break;
	case STYLE_COLOUR:
		buf_printf(b, "\033[%sm%.*s\033[0m:%*s", levels[level].colour,
		    (int)strlen(levels[level].label) - 1, levels[level].label,
		    10 - (int)strlen(levels[level].label), "");
		break;
	case STYLE_JOURNAL:
		buf_printf(b, "<%d>", levels[level].priority);
		break;
	case STYLE_FILE:
		clock_gettime(CLOCK_REALTIME, &ts);
		localtime_r(&ts.tv_sec, &tm);
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
		buf_printf(b, "%s.%03ld %s[%d]: %s: ", when,
		    ts.tv_nsec / 1000000, sink.ident, (int)getpid(),
		    log_level_names[level]);
		break;
	case STYLE_SYSLOG:
		break;
	}
}

/* Before the line with which it may flow again: they go together, so that a
 * pipe with little room does not fill up with notes. */
static void
put_note(struct buf *b)
{
	if (sink.out.lost == 0)
		return;
	put_prefix(b, LOG_L_WARNING);
	buf_printf(b, "%" PRIu64 " line(s) of this log were dropped: %s\n",
	    sink.out.lost, outlet_reason(&sink.out));
}

static void
put_out(const struct buf *b)
{
	uint64_t lost = sink.out.lost;
	size_t n;

	if (b->failed)
		return;
	sink.out.lost = 0;
	n = outlet_write(&sink.out, b->data, b->len);
	if (lost > 0 && n > 0 && n == outlet_lines(b->data, b->len)) {
		n--;			/* the note itself */
		sink.out.lost = lost + n;
	}
	if (sink.dropped != NULL)
		*sink.dropped += n;
}

static void
put_syslog(enum log_level level, const char *line)
{
	char note[96];

	if (sink.out.lost > 0) {
		snprintf(note, sizeof(note), "%" PRIu64 " line(s) of this log "
		    "were dropped: nobody read them in time", sink.out.lost);
		if (syslog_send(sink.ident, LOG_WARNING, note) == 0)
			sink.out.lost = 0;
	}
	if (syslog_send(sink.ident, levels[level].priority, line) == 0)
		return;
	sink.out.lost++;
	if (sink.dropped != NULL)
		++*sink.dropped;
}

void
log_vwrite(enum log_level level, const char *fmt, va_list ap)
{
	struct buf b = BUF_INIT;
	char *text = NULL, *line, *rest;

	if ((!log_enabled(level) && sink.tee == NULL) ||
	    vasprintf(&text, fmt, ap) == -1)
		return;
	if (sink.tee != NULL && level <= LOG_L_WARNING)
		buf_printf(sink.tee, "%s\n", text);
	if (!log_enabled(level)) {
		free(text);
		return;
	}
	if (sink.style == STYLE_SYSLOG) {
		for (rest = text; (line = strsep(&rest, "\n")) != NULL;)
			if (*line != '\0')
				put_syslog(level, line);
	} else {
		put_note(&b);
		/* the journal reads a priority at the start of each line */
		for (rest = text; (line = strsep(&rest, "\n")) != NULL;) {
			if (*line == '\0' && rest == NULL)
				break;
			if (line == text || sink.style == STYLE_JOURNAL)
				put_prefix(&b, level);
			buf_puts(&b, line);
			buf_putc(&b, '\n');
		}
		put_out(&b);
		buf_fini(&b);
	}
	free(text);
}

void
log_write(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vwrite(level, fmt, ap);
	va_end(ap);
}

void
fatal(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vwrite(LOG_L_CRITICAL, fmt, ap);
	va_end(ap);
	exit(status);
}
