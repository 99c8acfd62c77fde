/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Any octets as a request head, given to the checks as libmicrohttpd 0.9.75
 * would: what they let through is a head by the letter of RFC 9112, and says
 * what they say it does.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/http/mhd_head.h"

static const struct check_limits limits = { 4096, 1000000 };

/* Fields that decide about framing, as found by a reading of our own. */
struct found {
	unsigned	 hosts, lengths, codings;
	struct str	 length, coding;
};

static void
require(bool holds)
{
	if (!holds)
		abort();
}

static bool
is_token(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f ||
		    strchr("\"(),/:;<=>?@[\\]{}", s.p[i]) != NULL)
			return false;
	return s.n > 0;
}

/* Cut off what stands before the next c, and c. */
static struct str
cut(struct str *rest, char c)
{
	const char *at = memchr(rest->p, c, rest->n);
	struct str part = { rest->p, 0 };

	require(at != NULL);
	part.n = (size_t)(at - rest->p);
	rest->p += part.n + 1;
	rest->n -= part.n + 1;
	return part;
}

/* A line without its end. */
static struct str
cut_line(struct str *rest)
{
	struct str line = cut(rest, '\n');

	require(line.n > 0 && line.p[--line.n] == '\r');
	require(memchr(line.p, '\r', line.n) == NULL);
	return line;
}

static void
read_request_line(struct str line, const struct check_head *head,
    const struct check_facts *facts)
{
	struct str part = cut(&line, ' ');
	size_t i;

	require(str_eq(part, head->method) && is_token(part));
	part = cut(&line, ' ');
	require(str_eq(part, head->target) && part.n > 0);
	for (i = 0; i < part.n; i++)
		require(part.p[i] > ' ' && part.p[i] < 0x7f);
	require(str_eq(line, facts->minor == 1 ? STR("HTTP/1.1") :
	    STR("HTTP/1.0")));
	require(facts->path.n + facts->query.n <= part.n + 1);
	require(facts->path.p[0] == '/' || (str_eq(part, STR("*")) &&
	    str_eq(facts->path, part)));
	require(memchr(facts->path.p, '?', facts->path.n) == NULL);
	require(memchr(part.p, '#', part.n) == NULL);
}

static void
read_field(struct str line, const struct http_field *f, struct found *found)
{
	struct str name = cut(&line, ':'), value = str_trim(line);
	size_t i;

	require(is_token(name) && str_eq(name, f->name));
	require(str_eq(value, f->value));
	for (i = 0; i < value.n; i++)
		require(((unsigned char)value.p[i] >= ' ' &&
		    value.p[i] != 0x7f) || value.p[i] == '\t');
	if (str_ieq(name, STR("host")))
		found->hosts++;
	if (str_ieq(name, STR("content-length"))) {
		found->lengths++;
		found->length = value;
	}
	if (str_ieq(name, STR("transfer-encoding"))) {
		found->codings++;
		found->coding = value;
	}
}

static void
require_framing(const struct found *found, const struct check_facts *facts)
{
	size_t i;

	require(found->hosts <= 1 && found->lengths + found->codings <= 1);
	require(found->hosts == 1 || facts->minor == 0);
	require(facts->has_length == (found->lengths == 1));
	require(facts->chunked == (found->codings == 1));
	require(!facts->chunked || facts->minor == 1);
	if (facts->chunked)
		require(str_ieq(found->coding, STR("chunked")));
	if (facts->has_length) {
		for (i = 0; i < found->length.n; i++)
			require(found->length.p[i] >= '0' &&
			    found->length.p[i] <= '9');
		require(strtoull(found->length.p, NULL, 10) ==
		    facts->length);
	}
	require(facts->length <= limits.body_size);
}

static void
require_strict(const char *raw, const struct mhd_head *m,
    const struct check_facts *facts)
{
	struct str rest = { raw + m->skipped, m->head.header_size };
	struct found found = { 0 };
	size_t i;

	require(rest.n <= limits.header_size);
	/* the library makes NULs of CR and LF: at the end of a line, those
	 * that were sent cannot always be told from them */
	if (memchr(rest.p, '\0', rest.n) != NULL)
		return;
	read_request_line(cut_line(&rest), &m->head, facts);
	for (i = 0; i < m->head.nfields; i++)
		read_field(cut_line(&rest), &m->head.fields[i], &found);
	require(cut_line(&rest).n == 0 && rest.n == 0);
	require_framing(&found, facts);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct check_facts facts;
	struct mhd_head m;
	enum refusal why;
	bool whole;

	if (mhd_head_parse(&m, (const char *)data, size)) {
		whole = check_contiguous(&m.head);
		mhd_head_trim(&m);
		why = check_request(&m.head, &limits, &facts);
		require(why < REFUSAL_COUNT);
		if (whole && why == REFUSAL_NONE)
			require_strict((const char *)data, &m, &facts);
	}
	mhd_head_fini(&m);
	return 0;
}
