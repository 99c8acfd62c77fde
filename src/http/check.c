/* SPDX-License-Identifier: BSD-3-Clause */
#include "http/check.h"

#include <string.h>

#include "base/defs.h"
#include "http/head.h"

const struct refusal_info refusals[REFUSAL_COUNT] = {
#define REFUSAL(id, status, kind, text)	\
	[REFUSAL_##id] = { status, STAT_errors_##kind, text },
#include "http/refusals.def"
#undef REFUSAL
};

void
refusal_head(struct http_head *head, enum refusal why)
{
	http_head_init(head);
	http_head_reset(head, refusals[why].status);
	http_head_add(head, "Content-Type", 12, "text/plain; charset=utf-8",
	    25);
	if (head->status == 503)
		http_head_add(head, "Retry-After", 11, "1", 1);
	if (head->status == 405)
		http_head_add(head, "Allow", 5, "GET, HEAD, POST", 15);
}

struct http_data
refusal_body(enum refusal why)
{
	return (struct http_data){ .p = refusals[why].text,
	    .n = strlen(refusals[why].text) };
}

/* ---- request line ------------------------------------------------------- */

static bool
starts_with_i(struct str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && strncasecmp(s.p, prefix, n) == 0;
}

/* Cut scheme and authority off an absolute-form target (RFC 9112 3.2.2). */
static bool
skip_authority(struct str *t)
{
	const char *end;
	size_t skip;

	if (starts_with_i(*t, "http://"))
		skip = 7;
	else if (starts_with_i(*t, "https://"))
		skip = 8;
	else
		return false;
	t->p += skip;
	t->n -= skip;
	for (end = t->p; end < t->p + t->n && *end != '/' && *end != '?'; end++)
		;
	if (end == t->p)
		return false;		/* empty authority */
	t->n -= (size_t)(end - t->p);
	t->p = end;
	return true;
}

static enum refusal
check_target(const struct check_head *head, struct check_facts *facts)
{
	struct str t = head->target;
	const char *q;
	size_t i;

	for (i = 0; i < t.n; i++)
		if (t.p[i] <= ' ' || t.p[i] >= 0x7f || t.p[i] == '#')
			return REFUSAL_TARGET;	/* 8-bit: one or the other */
	if (str_eq(head->method, STR("CONNECT")))
		return REFUSAL_CONNECT;
	if (str_eq(t, STR("*"))) {
		if (!str_eq(head->method, STR("OPTIONS")))
			return REFUSAL_TARGET;
	} else if (t.n == 0 || (t.p[0] != '/' && !skip_authority(&t)))
		return REFUSAL_TARGET;
	q = t.n > 0 ? memchr(t.p, '?', t.n) : NULL;
	facts->path = q == NULL ? t : (struct str){ t.p, (size_t)(q - t.p) };
	facts->query = q == NULL ? STR("") :
	    (struct str){ q + 1, t.n - facts->path.n - 1 };
	if (facts->path.n == 0)
		facts->path = STR("/");
	return REFUSAL_NONE;
}

static enum refusal
check_version(const struct check_head *head, struct check_facts *facts)
{
	if (str_eq(head->version, STR("HTTP/1.1")))
		facts->minor = 1;
	else if (str_eq(head->version, STR("HTTP/1.0")))
		facts->minor = 0;
	else
		return REFUSAL_VERSION;
	return REFUSAL_NONE;
}

/* ---- fields that decide about framing and routing ----------------------- */

struct tally {
	unsigned	 hosts, lengths, encodings;
	bool		 close, keep_alive;	/* in Connection */
	struct check_facts *facts;
};

typedef enum refusal field_f(struct tally *, struct str value);

static enum refusal
field_host(struct tally *t, struct str value)
{
	size_t i;

	if (++t->hosts > 1)
		return REFUSAL_HOST_TWICE;
	for (i = 0; i < value.n; i++)
		if (strchr(" \t/?#@\\,", value.p[i]) != NULL)
			return REFUSAL_HOST;
	return REFUSAL_NONE;
}

static enum refusal
field_length(struct tally *t, struct str value)
{
	if (++t->lengths > 1)
		return REFUSAL_LENGTH_TWICE;
	if (value.n > 18 || str_to_uint(value, &t->facts->length) == -1)
		return REFUSAL_LENGTH;
	t->facts->has_length = true;
	return REFUSAL_NONE;
}

static enum refusal
field_encoding(struct tally *t, struct str value)
{
	if (++t->encodings > 1 || !str_ieq(value, STR("chunked")))
		return REFUSAL_TE;
	t->facts->chunked = true;
	return REFUSAL_NONE;
}

static enum refusal
field_expect(struct tally *t, struct str value)
{
	if (str_ieq(value, STR("100-continue")))
		t->facts->expect_continue = true;
	return REFUSAL_NONE;
}

static enum refusal
field_connection(struct tally *t, struct str value)
{
	t->close = t->close || str_has_token(value, STR("close"));
	t->keep_alive = t->keep_alive ||
	    str_has_token(value, STR("keep-alive"));
	return REFUSAL_NONE;
}

static const struct {
	struct str	 name;
	field_f		*take;
} known_fields[] = {
	{ { "host", 4 }, field_host },
	{ { "content-length", 14 }, field_length },
	{ { "transfer-encoding", 17 }, field_encoding },
	{ { "expect", 6 }, field_expect },
	{ { "connection", 10 }, field_connection },
};

static enum refusal
check_field(struct tally *t, const struct http_field *f)
{
	size_t i;

	if (!http_is_token(f->name.p, f->name.n))
		return REFUSAL_NAME;
	if (!http_is_field_value(f->value.p, f->value.n))
		return REFUSAL_VALUE;
	for (i = 0; i < countof(known_fields); i++)
		if (str_ieq(f->name, known_fields[i].name))
			return known_fields[i].take(t, f->value);
	return REFUSAL_NONE;
}

static enum refusal
check_framing(const struct tally *t)
{
	if (t->facts->minor == 1 && t->hosts == 0)
		return REFUSAL_HOST_MISSING;
	if (t->encodings > 0 && t->lengths > 0)
		return REFUSAL_LENGTH_AND_TE;
	if (t->encodings > 0 && t->facts->minor == 0)
		return REFUSAL_TE_1_0;
	return REFUSAL_NONE;
}

static enum refusal
check_sizes(const struct check_head *head, const struct check_limits *limits,
    const struct check_facts *facts)
{
	if (head->target.n > limits->header_size)
		return REFUSAL_TARGET_SIZE;
	if (head->header_size > limits->header_size)
		return REFUSAL_HEADER_SIZE;
	if (limits->body_size > 0 && facts->has_length &&
	    facts->length > limits->body_size)
		return REFUSAL_BODY_SIZE;
	return REFUSAL_NONE;
}

enum refusal
check_request(const struct check_head *head,
    const struct check_limits *limits, struct check_facts *facts)
{
	struct tally t = { .facts = facts };
	enum refusal r;
	size_t i;

	*facts = (struct check_facts){ .minor = 1 };
	if (!http_is_token(head->method.p, head->method.n))
		return REFUSAL_METHOD;
	if ((r = check_version(head, facts)) != REFUSAL_NONE ||
	    (r = check_target(head, facts)) != REFUSAL_NONE)
		return r;
	for (i = 0; i < head->nfields; i++)
		if ((r = check_field(&t, &head->fields[i])) != REFUSAL_NONE)
			return r;
	if ((r = check_framing(&t)) != REFUSAL_NONE)
		return r;
	facts->closes = t.close || (facts->minor == 0 && !t.keep_alive);
	return check_sizes(head, limits, facts);
}

bool
check_contiguous(const struct check_head *head)
{
	const char *at = head->method.p + head->method.n + 1;
	const struct http_field *f;
	size_t i;

	if (head->target.p != at)
		return false;
	at += head->target.n + 1;
	if (head->version.p != at)
		return false;
	at += head->version.n + 2;
	for (i = 0; i < head->nfields; i++) {
		f = &head->fields[i];
		if (f->name.p != at || f->value.p < at + f->name.n + 1)
			return false;
		for (at += f->name.n + 1; at < f->value.p; at++)
			if (*at != ' ' && *at != '\t')
				return false;
		at += f->value.n;
		/* CR and LF have become NULs, both of them */
		if (at[0] != '\0' || at[1] != '\0')
			return false;
		at += 2;
	}
	/* the empty line, CR and LF, ends it */
	return at + 2 == head->method.p + head->header_size;
}
