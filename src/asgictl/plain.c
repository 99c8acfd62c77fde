/* SPDX-License-Identifier: BSD-3-Clause */
#include "asgictl/plain.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/defs.h"

/* Bytes of the UTF-8 character that is next, 0: that is none. */
static size_t
character(const unsigned char *p, size_t len, uint32_t *c)
{
	static const struct {
		unsigned char	 mask, lead;
		uint32_t	 least;
	} forms[] = {
		{ 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 },
		{ 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 },
	};
	size_t n, i;

	for (n = 0; n < countof(forms); n++)
		if ((*p & forms[n].mask) == forms[n].lead)
			break;
	if (n == countof(forms) || n >= len)
		return 0;
	*c = *p & (unsigned char)~forms[n].mask;
	for (i = 1; i <= n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (p[i] & 0x3f);
	}
	return *c < forms[n].least || *c > 0x10ffff ||
	    (*c >= 0xd800 && *c < 0xe000) ? 0 : n + 1;
}

/* Controls, C0 and C1, and those that change the order of what is read or
 * begin a line. */
static bool
is_printed(uint32_t c)
{
	static const struct { uint32_t from, to; } not[] = {
		{ 0, 0x08 }, { 0x0b, 0x1f }, { 0x7f, 0x9f },
		{ 0x061c, 0x061c }, { 0x200e, 0x200f }, { 0x2028, 0x202e },
		{ 0x2066, 0x2069 },
	};
	size_t i;

	for (i = 0; i < countof(not); i++)
		if (c >= not[i].from && c <= not[i].to)
			return false;
	return true;
}

/* "\033[0m", "\033[32m": the foreground, and back. */
static size_t
colour(const char *p, size_t len)
{
	if (len >= 4 && memcmp(p, "\033[0m", 4) == 0)
		return 4;
	return len >= 5 && memcmp(p, "\033[3", 3) == 0 && p[3] >= '1' &&
	    p[3] <= '6' && p[4] == 'm' ? 5 : 0;
}

static void
put_byte(struct buf *to, unsigned char byte, enum plain_form form)
{
	if (form == PLAIN_JSON)
		buf_puts(to, "\\ufffd");
	else
		buf_printf(to, "\\x%02x", byte);
}

void
plain_put(struct buf *to, const char *text, size_t len, enum plain_form form)
{
	const char *end = text + len;
	uint32_t c;
	size_t n;

	for (; text < end; text += n) {
		if (form == PLAIN_COLOURED &&
		    (n = colour(text, (size_t)(end - text))) > 0) {
			buf_put(to, text, n);
			continue;
		}
		n = character((const unsigned char *)text,
		    (size_t)(end - text), &c);
		if (n == 0) {
			n = 1;
			put_byte(to, (unsigned char)*text, form);
		} else if (is_printed(c))
			buf_put(to, text, n);
		else if (c < 0x80 && form != PLAIN_JSON)
			put_byte(to, (unsigned char)c, form);
		else
			buf_printf(to, "\\u%04x", (unsigned)c);
	}
}
