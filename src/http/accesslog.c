/* SPDX-License-Identifier: BSD-3-Clause */
#include "http/accesslog.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/defs.h"
#include "base/log.h"
#include "stats/stats.h"

/* Past this the lines are written before the turn ends. */
#define FLUSH_SIZE	(64 * 1024)

static void
put_escaped(struct buf *b, struct str s)
{
	static const char hex[] = "0123456789abcdef";
	char *to = buf_reserve(b, 4 * s.n), *p = to;
	unsigned char c;
	size_t i;

	if (to == NULL)
		return;
	for (i = 0; i < s.n; i++) {
		c = (unsigned char)s.p[i];
		if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') {
			*p++ = (char)c;
			continue;
		}
		*p++ = '\\';
		*p++ = 'x';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	b->len += (size_t)(p - to);
	b->data[b->len] = '\0';
}

static void
put_request_line(struct buf *b, const struct accesslog_entry *e,
    const char *prefix)
{
	if (e->method.n == 0) {
		buf_putc(b, '-');	/* no request line was understood */
		return;
	}
	put_escaped(b, e->method);
	buf_putc(b, ' ');
	put_escaped(b, str_of(prefix));
	put_escaped(b, e->path);
	if (e->query.n > 0) {
		buf_putc(b, '?');
		put_escaped(b, e->query);
	}
	buf_puts(b, e->minor == 1 ? " HTTP/1.1" : " HTTP/1.0");
}

/* INFO:     127.0.0.1:41822 - "GET / HTTP/1.1" 200 OK */
static void
format_uvicorn(struct buf *b, const struct accesslog_entry *e)
{
	char client[SOCK_TEXT_MAX] = "";

	if (!sock_is_unix(&e->ends->peer))
		sock_text(&e->ends->peer, client);
	buf_puts(b, "INFO:     ");
	buf_puts(b, client);
	buf_puts(b, " - \"");
	put_request_line(b, e, e->root_path);
	buf_printf(b, "\" %u %s\n", e->status, http_reason(e->status));
}

static void
put_common(struct buf *b, const struct accesslog_entry *e)
{
	char host[SOCK_HOST_MAX];

	if (sock_is_unix(&e->ends->peer))
		strcpy(host, "-");
	else
		sock_host(&e->ends->peer, host);
	buf_puts(b, host);
	buf_puts(b, " - - [");
	buf_put(b, date_clf(), DATE_CLF_LEN);
	buf_puts(b, "] \"");
	put_request_line(b, e, "");
	buf_printf(b, "\" %u %" PRIu64, e->status, e->bytes);
}

static void
format_common(struct buf *b, const struct accesslog_entry *e)
{
	put_common(b, e);
	buf_putc(b, '\n');
}

static void
put_quoted(struct buf *b, struct str s)
{
	buf_puts(b, " \"");
	put_escaped(b, s.n > 0 ? s : STR("-"));
	buf_putc(b, '"');
}

/* Apache's combined, then the duration in seconds. */
static void
format_combined(struct buf *b, const struct accesslog_entry *e)
{
	put_common(b, e);
	put_quoted(b, e->referer);
	put_quoted(b, e->user_agent);
	buf_printf(b, " %" PRId64 ".%06" PRId64 "\n",
	    e->duration / NSEC_PER_SEC, e->duration % NSEC_PER_SEC / 1000);
}

static const struct {
	const char		*name;
	accesslog_format_f	*format;
} formats[] = {
	{ "uvicorn", format_uvicorn },
	{ "common", format_common },
	{ "combined", format_combined },
};

/* What a pipe's reader does not take is told when it takes some again, other
 * failures once. */
static void
write_lines(struct accesslog *log)
{
	uint64_t before = log->out.lost;
	size_t dropped;

	if (log->lines.len > 0 && log->out.fd != -1) {
		dropped = outlet_write(&log->out, log->lines.data,
		    log->lines.len);
		STAT_ADD(log_lines_dropped, dropped);
		if (dropped > 0 && errno != EAGAIN && !log->failed) {
			log_err("access log: %s", strerror(errno));
			log->failed = true;
		}
		if (dropped == 0 && before > 0) {
			log_warn("access log: %" PRIu64 " line(s) were "
			    "dropped: %s", before, outlet_reason(&log->out));
			log->out.lost = 0;
		}
	}
	buf_reset(&log->lines);
}

static void
on_flush(struct loop *loop UNUSED, struct loop_work *work)
{
	write_lines(container_of(work, struct accesslog, flush));
}

void
accesslog_init(struct accesslog *log, struct loop *loop, int fd,
    const char *format)
{
	size_t i;

	*log = (struct accesslog){ .loop = loop, .out = OUTLET_INIT(fd),
	    .format = format_combined };
	for (i = 0; i < countof(formats); i++)
		if (strcmp(formats[i].name, format) == 0)
			log->format = formats[i].format;
	loop_work_init(&log->flush, LOOP_FLUSH, on_flush);
}

void
accesslog_fini(struct accesslog *log)
{
	write_lines(log);
	loop_work_del(log->loop, &log->flush);
	buf_fini(&log->lines);
}

void
accesslog_set_fd(struct accesslog *log, int fd)
{
	write_lines(log);
	log->out = (struct outlet)OUTLET_INIT(fd);
}

void
accesslog_add(struct accesslog *log, const struct accesslog_entry *e)
{
	if (log->out.fd == -1)
		return;
	log->format(&log->lines, e);
	if (log->lines.len > FLUSH_SIZE)
		write_lines(log);
	else
		loop_work_add(log->loop, &log->flush);
}
