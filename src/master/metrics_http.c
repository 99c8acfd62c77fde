/* SPDX-License-Identifier: BSD-3-Clause
 *
 * As much of HTTP as the metrics listener needs: one request a connection,
 * GET or HEAD, no body.
 */
#include "master/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "base/date.h"
#include "base/defs.h"
#include "base/str.h"
#include "stats/render.h"

struct request {
	struct str	 method, target, version;
	struct str	 accept;
	unsigned	 hosts;
	bool		 bad;
};

/* ---- reading ------------------------------------------------------------ */

/* Cut off what comes before the separator. false: there is none. */
static bool
cut(struct str *rest, char at, struct str *to)
{
	const char *p = rest->n > 0 ? memchr(rest->p, at, rest->n) : NULL;

	if (p == NULL)
		return false;
	*to = (struct str){ rest->p, (size_t)(p - rest->p) };
	rest->n -= to->n + 1;
	rest->p = p + 1;
	return true;
}

/* The next line without its end; a lone LF ends one too (RFC 9112 2.2). */
static bool
next_line(struct str *rest, struct str *line)
{
	if (!cut(rest, '\n', line))
		return false;
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return true;
}

static bool
is_plain(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' ||
		    (unsigned char)s.p[i] >= 0x7f)
			return false;
	return s.n > 0;
}

static void
parse_field(struct request *r, struct str line)
{
	struct str name;

	if (!cut(&line, ':', &name) || !is_plain(name))
		r->bad = true;
	else if (str_ieq(name, STR("Host")))
		r->hosts++;
	else if (str_ieq(name, STR("Accept")) && r->accept.n == 0)
		r->accept = str_trim(line);
}

static void
parse(struct request *r, struct str head)
{
	struct str line;

	*r = (struct request){ .accept = STR("") };
	if (!next_line(&head, &line) || !cut(&line, ' ', &r->method) ||
	    !cut(&line, ' ', &r->target)) {
		r->bad = true;
		return;
	}
	r->version = line;
	if (!is_plain(r->method) || !is_plain(r->target))
		r->bad = true;
	while (next_line(&head, &line) && line.n > 0)
		parse_field(r, line);
	if (str_eq(r->version, STR("HTTP/1.1")))
		r->bad = r->bad || r->hosts != 1;
	else if (!str_eq(r->version, STR("HTTP/1.0")))
		r->bad = true;
}

/* Without scheme, authority and query. */
static struct str
path_of(struct str target)
{
	static const char http[] = "http://";
	const char *p;

	if (target.n > strlen(http) &&
	    strncasecmp(target.p, http, strlen(http)) == 0) {
		target.p += strlen(http);
		target.n -= strlen(http);
		if ((p = memchr(target.p, '/', target.n)) == NULL)
			return STR("/");
		target.n -= (size_t)(p - target.p);
		target.p = p;
	}
	if ((p = memchr(target.p, '?', target.n)) != NULL)
		target.n = (size_t)(p - target.p);
	return target;
}

/* ---- which dialect ------------------------------------------------------ */

/* "q=0.5" among the parameters behind a media type; 1 without one. */
static double
quality(struct str parameters)
{
	struct str p;
	char text[8];
	bool more = true;

	while (more) {
		more = cut(&parameters, ';', &p);
		p = str_trim(more ? p : parameters);
		if (p.n < 3 || p.n - 2 >= sizeof(text) ||
		    strncasecmp(p.p, "q=", 2) != 0)
			continue;
		memcpy(text, p.p + 2, p.n - 2);
		text[p.n - 2] = '\0';
		return strtod(text, NULL);
	}
	return 1;
}

/* The most that a type is wanted; 0: not at all. */
static double
wanted(struct str accept, const char *type)
{
	struct str element, name;
	double best = 0, q;

	while (str_next_element(&accept, &element)) {
		if (!cut(&element, ';', &name)) {
			name = element;
			element = STR("");
		}
		if (!str_ieq(str_trim(name), str_of(type)))
			continue;
		q = quality(element);
		best = q > best ? q : best;
	}
	return best;
}

static enum metrics_format
dialect(struct str accept)
{
	double open = wanted(accept, "application/openmetrics-text");

	return open > 0 && open >= wanted(accept, "text/plain") ?
	    METRICS_OPENMETRICS : METRICS_PROMETHEUS;
}

/* ---- answering ---------------------------------------------------------- */

static void
put_answer(struct buf *to, const char *status, const char *type,
    const struct buf *body, bool head_only)
{
	buf_printf(to, "HTTP/1.1 %s\r\nContent-Type: %s\r\n"
	    "Content-Length: %zu\r\nConnection: close\r\n"
	    "Cache-Control: no-store\r\nDate: %s\r\n%s\r\n", status, type,
	    body->len, date_http(), strncmp(status, "405", 3) == 0 ?
	    "Allow: GET, HEAD\r\n" : "");
	if (!head_only)
		buf_put(to, body->data, body->len);
}

static void
refuse(struct buf *to, const char *status, bool head_only)
{
	struct buf body = BUF_INIT;

	buf_printf(&body, "%s\n", status + 4);
	put_answer(to, status, "text/plain; charset=utf-8", &body, head_only);
	buf_fini(&body);
}

static void
put_escaped(struct buf *to, const struct buf *text)
{
	static const char special[] = "&<>\"";
	static const char *const as[] = { "&amp;", "&lt;", "&gt;", "&quot;" };
	const char *p = buf_str(text);
	size_t n;

	for (;; p++) {
		n = strcspn(p, special);
		buf_put(to, p, n);
		p += n;
		if (*p == '\0')
			return;
		buf_puts(to, as[strchr(special, *p) - special]);
	}
}

/* Without anything to fetch: it is served on its own. */
static void
put_page(struct buf *to, const struct buf *text)
{
	buf_puts(to, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
	    "<meta charset=\"utf-8\">\n<title>asgid</title>\n</head>\n"
	    "<body>\n<pre>\n");
	put_escaped(to, text);
	buf_puts(to, "</pre>\n<p><a href=\"/metrics\">metrics</a></p>\n"
	    "</body>\n</html>\n");
}

static void
answer_page(const struct request *r UNUSED, metrics_render_f *render,
    void *arg, struct buf *body, const char **type)
{
	struct buf text = BUF_INIT;

	render(METRICS_TEXT, &text, arg);
	put_page(body, &text);
	body->failed = body->failed || text.failed;
	buf_fini(&text);
	*type = "text/html; charset=utf-8";
}

static void
answer_metrics(const struct request *r, metrics_render_f *render, void *arg,
    struct buf *body, const char **type)
{
	enum metrics_format format = dialect(r->accept);

	render(format, body, arg);
	*type = format == METRICS_OPENMETRICS ? STATS_OPENMETRICS_TYPE :
	    STATS_PROMETHEUS_TYPE;
}

static const struct {
	const char	*path;
	void		(*answer)(const struct request *, metrics_render_f *,
			    void *, struct buf *, const char **);
} pages[] = {
	{ "/metrics", answer_metrics },
	{ "/", answer_page },
};

static void
answer(const struct request *r, metrics_render_f *render, void *arg,
    struct buf *to)
{
	bool head_only = str_eq(r->method, STR("HEAD"));
	struct str path = path_of(r->target);
	struct buf body = BUF_INIT;
	const char *type;
	size_t i;

	for (i = 0; i < countof(pages); i++)
		if (str_eq(path, str_of(pages[i].path)))
			break;
	if (i == countof(pages)) {
		refuse(to, "404 Not Found", head_only);
		return;
	}
	if (!head_only && !str_eq(r->method, STR("GET"))) {
		refuse(to, "405 Method Not Allowed", false);
		return;
	}
	pages[i].answer(r, render, arg, &body, &type);
	if (body.failed)
		refuse(to, "503 Service Unavailable", head_only);
	else
		put_answer(to, "200 OK", type, &body, head_only);
	buf_fini(&body);
}

void
metrics_answer(const char *head, size_t len, metrics_render_f *render,
    void *arg, struct buf *to)
{
	struct request r;

	if (len >= METRICS_HEAD_MAX) {
		refuse(to, "431 Request Header Fields Too Large", false);
		return;
	}
	parse(&r, (struct str){ head, len });
	if (r.bad)
		refuse(to, "400 Bad Request", false);
	else
		answer(&r, render, arg, to);
}
