/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/defs.h"

/* Well-formed sequences by their first two bytes (Unicode, table 3-7); all
 * bytes after the second are 80..BF. */
static const struct {
	unsigned char first, last, min, max, len;
} sequences[] = {
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

/* Length of the sequence that a NUL-terminated text begins with; 0: none. */
static size_t
sequence(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t i, n;

	for (i = 0; i < countof(sequences); i++)
		if (*p >= sequences[i].first && *p <= sequences[i].last)
			break;
	if (i == countof(sequences) || p[1] < sequences[i].min ||
	    p[1] > sequences[i].max)
		return 0;
	for (n = 2; n < sequences[i].len; n++)
		if ((p[n] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* One character that cannot stand as it is; returns the bytes it took. */
static size_t
put_escaped(struct buf *to, const char *p)
{
	static const char from[] = "\"\\\b\f\n\r\t", as[] = "\"\\bfnrt";
	const char *at = strchr(from, *p);
	size_t n;

	if (at != NULL) {
		buf_printf(to, "\\%c", as[at - from]);
		return 1;
	}
	if ((unsigned char)*p < 0x20 || *p == 0x7f) {
		buf_printf(to, "\\u%04x", (unsigned)*p);
		return 1;
	}
	if ((n = sequence(p)) > 0) {
		buf_put(to, p, n);
		return n;
	}
	buf_puts(to, "\\ufffd");
	return 1;
}

static bool
stands(char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void
put_string(struct buf *to, const char *p)
{
	size_t n;

	buf_putc(to, '"');
	while (*p != '\0') {
		for (n = 0; stands(p[n]); n++)
			;
		buf_put(to, p, n);
		p += n;
		if (*p != '\0')
			p += put_escaped(to, p);
	}
	buf_putc(to, '"');
}

/* All that comes before a value. */
static void
begin(struct json *j, const char *key)
{
	if (j->comma)
		buf_putc(j->to, ',');
	j->comma = true;
	if (key != NULL) {
		put_string(j->to, key);
		buf_putc(j->to, ':');
	}
}

void
json_open(struct json *j, const char *key, char bracket)
{
	begin(j, key);
	buf_putc(j->to, bracket);
	j->comma = false;
}

void
json_close(struct json *j, char bracket)
{
	buf_putc(j->to, bracket);
	j->comma = true;
}

void
json_str(struct json *j, const char *key, const char *text)
{
	if (text == NULL) {
		json_null(j, key);
		return;
	}
	begin(j, key);
	put_string(j->to, text);
}

void
json_uint(struct json *j, const char *key, uint64_t v)
{
	begin(j, key);
	buf_printf(j->to, "%" PRIu64, v);
}

void
json_int(struct json *j, const char *key, int64_t v)
{
	begin(j, key);
	buf_printf(j->to, "%" PRId64, v);
}

void
json_num(struct json *j, const char *key, double v)
{
	char text[40];
	int digits;

	if (!isfinite(v)) {
		json_null(j, key);
		return;
	}
	for (digits = 6; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	begin(j, key);
	buf_puts(j->to, text);
}

void
json_null(struct json *j, const char *key)
{
	begin(j, key);
	buf_puts(j->to, "null");
}
