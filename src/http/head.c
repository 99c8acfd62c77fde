/* SPDX-License-Identifier: BSD-3-Clause */
#include "http/head.h"

#include <string.h>

#include "base/defs.h"
#include "base/str.h"

enum { C_TOKEN = 1, C_VALUE = 2 };

/* one bit a class; filled by hand it would be read by nobody */
static unsigned char classes[256];

static __attribute__((constructor)) void
classes_init(void)
{
	const char *p;
	int c;

	for (c = 0; c < 256; c++)
		if (c == '\t' || (c >= ' ' && c != 0x7f))
			classes[c] |= C_VALUE;
	for (p = "!#$%&'*+-.^_`|~0123456789"
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"; *p; p++)
		classes[(unsigned char)*p] |= C_TOKEN;
}

static bool
all_of(const char *p, size_t n, unsigned char class)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!(classes[(unsigned char)p[i]] & class))
			return false;
	return true;
}

bool
http_is_token(const char *p, size_t n)
{
	return n > 0 && all_of(p, n, C_TOKEN);
}

bool
http_is_field_value(const char *p, size_t n)
{
	return all_of(p, n, C_VALUE);
}

void
http_head_init(struct http_head *h)
{
	*h = (struct http_head){ .length = HTTP_LENGTH_NONE };
}

void
http_head_fini(struct http_head *h)
{
	buf_fini(&h->text);
}

void
http_head_reset(struct http_head *h, unsigned status)
{
	struct buf text = h->text;

	text.len = 0;
	text.failed = false;
	*h = (struct http_head){ .status = status, .text = text,
	    .length = HTTP_LENGTH_NONE };
}

void
http_head_copy(struct http_head *to, const struct http_head *from)
{
	*to = *from;
	to->text = (struct buf)BUF_INIT;
	buf_put(&to->text, from->text.data, from->text.len);
}

/* ---- fields the server has a say in ------------------------------------- */

typedef enum http_head_error special_f(struct http_head *, struct str value,
    bool *drop);

static enum http_head_error
special_content_length(struct http_head *h, struct str value, bool *drop)
{
	uint64_t n;

	*drop = true;
	if (value.n > 18 || str_to_uint(value, &n) == -1)
		return HTTP_HEAD_LENGTH;
	if (h->length != HTTP_LENGTH_NONE && h->length != (int64_t)n)
		return HTTP_HEAD_LENGTH;
	h->length = (int64_t)n;
	return HTTP_HEAD_OK;
}

/* Only "close" is for us to honour; the rest is hop-by-hop and ours. */
static enum http_head_error
special_connection(struct http_head *h, struct str value, bool *drop)
{
	*drop = true;
	if (str_has_token(value, STR("close")))
		h->close = true;
	return HTTP_HEAD_OK;
}

static enum http_head_error
special_drop(struct http_head *h UNUSED, struct str value UNUSED, bool *drop)
{
	*drop = true;
	return HTTP_HEAD_OK;
}

static enum http_head_error
special_date(struct http_head *h, struct str value UNUSED, bool *drop UNUSED)
{
	h->has_date = true;
	return HTTP_HEAD_OK;
}

static enum http_head_error
special_server(struct http_head *h, struct str value UNUSED, bool *drop UNUSED)
{
	h->has_server = true;
	return HTTP_HEAD_OK;
}

static const struct {
	struct str	 name;
	special_f	*take;
} specials[] = {
	{ { "content-length", 14 }, special_content_length },
	{ { "connection", 10 }, special_connection },
	{ { "keep-alive", 10 }, special_drop },
	{ { "transfer-encoding", 17 }, special_drop },
	{ { "date", 4 }, special_date },
	{ { "server", 6 }, special_server },
};

static enum http_head_error
take_special(struct http_head *h, struct str name, struct str value,
    bool *drop)
{
	size_t i;

	for (i = 0; i < countof(specials); i++)
		if (str_ieq(name, specials[i].name))
			return specials[i].take(h, value, drop);
	return HTTP_HEAD_OK;
}

enum http_head_error
http_head_add(struct http_head *h, const char *name, size_t nlen,
    const char *value, size_t vlen)
{
	struct str v = str_trim((struct str){ value, vlen });
	enum http_head_error error;
	bool drop = false;
	char *to;

	if (!http_is_token(name, nlen))
		return HTTP_HEAD_NAME;
	if (!http_is_field_value(v.p, v.n))
		return HTTP_HEAD_VALUE;
	error = take_special(h, (struct str){ name, nlen }, v, &drop);
	if (error != HTTP_HEAD_OK || drop)
		return error;
	if ((to = buf_reserve(&h->text, nlen + v.n + 2)) == NULL)
		return HTTP_HEAD_VALUE;
	memcpy(to, name, nlen);
	to[nlen] = '\0';
	memcpy(to + nlen + 1, v.p, v.n);
	to[nlen + 1 + v.n] = '\0';
	h->text.len += nlen + v.n + 2;
	h->nfields++;
	return HTTP_HEAD_OK;
}

bool
http_head_next(const struct http_head *h, size_t *pos, const char **name,
    const char **value)
{
	if (*pos >= h->text.len)
		return false;
	*name = h->text.data + *pos;
	*value = *name + strlen(*name) + 1;
	*pos = (size_t)(*value + strlen(*value) + 1 - h->text.data);
	return true;
}

/* ---- reason phrases (IANA registry) ------------------------------------- */

static const char *const reasons[600] = {
	[100] = "Continue", [101] = "Switching Protocols",
	[102] = "Processing", [103] = "Early Hints",
	[200] = "OK", [201] = "Created", [202] = "Accepted",
	[203] = "Non-Authoritative Information", [204] = "No Content",
	[205] = "Reset Content", [206] = "Partial Content",
	[207] = "Multi-Status", [208] = "Already Reported", [226] = "IM Used",
	[300] = "Multiple Choices", [301] = "Moved Permanently",
	[302] = "Found", [303] = "See Other", [304] = "Not Modified",
	[305] = "Use Proxy", [307] = "Temporary Redirect",
	[308] = "Permanent Redirect",
	[400] = "Bad Request", [401] = "Unauthorized",
	[402] = "Payment Required", [403] = "Forbidden", [404] = "Not Found",
	[405] = "Method Not Allowed", [406] = "Not Acceptable",
	[407] = "Proxy Authentication Required", [408] = "Request Timeout",
	[409] = "Conflict", [410] = "Gone", [411] = "Length Required",
	[412] = "Precondition Failed", [413] = "Content Too Large",
	[414] = "URI Too Long", [415] = "Unsupported Media Type",
	[416] = "Range Not Satisfiable", [417] = "Expectation Failed",
	[418] = "I'm a Teapot", [421] = "Misdirected Request",
	[422] = "Unprocessable Content", [423] = "Locked",
	[424] = "Failed Dependency", [425] = "Too Early",
	[426] = "Upgrade Required", [428] = "Precondition Required",
	[429] = "Too Many Requests",
	[431] = "Request Header Fields Too Large",
	[451] = "Unavailable For Legal Reasons",
	[500] = "Internal Server Error", [501] = "Not Implemented",
	[502] = "Bad Gateway", [503] = "Service Unavailable",
	[504] = "Gateway Timeout", [505] = "HTTP Version Not Supported",
	[506] = "Variant Also Negotiates", [507] = "Insufficient Storage",
	[508] = "Loop Detected", [510] = "Not Extended",
	[511] = "Network Authentication Required",
};

const char *
http_reason(unsigned status)
{
	return status < countof(reasons) && reasons[status] != NULL ?
	    reasons[status] : "";
}
