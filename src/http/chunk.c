/* SPDX-License-Identifier: BSD-3-Clause */
#include "http/chunk.h"

#include "http/head.h"

/* A size with its extensions; all trailers together. */
#define LINE_MAX_OCTETS		1024
#define TRAILERS_MAX_OCTETS	8192

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

typedef enum chunk_state step_f(struct chunk_scan *, char);

static enum chunk_state
on_digit(struct chunk_scan *s, char c)
{
	int d = digit(c);

	if (d >= 0) {
		if (s->left >> 58 != 0 || ++s->line > LINE_MAX_OCTETS)
			return CHUNK_BAD;
		s->left = s->left << 4 | (unsigned)d;
		return CHUNK_DIGITS;
	}
	if (s->state == CHUNK_SIZE)
		return CHUNK_BAD;
	if (c == ';')
		return CHUNK_EXTENSION;
	return c == '\r' ? CHUNK_SIZE_LF : CHUNK_BAD;
}

static enum chunk_state
on_extension(struct chunk_scan *s, char c)
{
	if (++s->line > LINE_MAX_OCTETS)
		return CHUNK_BAD;
	if (c == '\r')
		return CHUNK_SIZE_LF;
	return http_is_field_value(&c, 1) ? CHUNK_EXTENSION : CHUNK_BAD;
}

static enum chunk_state
on_size_lf(struct chunk_scan *s, char c)
{
	s->line = 0;
	if (c != '\n')
		return CHUNK_BAD;
	return s->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
}

static enum chunk_state
on_data_cr(struct chunk_scan *s, char c)
{
	(void)s;
	return c == '\r' ? CHUNK_DATA_LF : CHUNK_BAD;
}

static enum chunk_state
on_data_lf(struct chunk_scan *s, char c)
{
	(void)s;
	return c == '\n' ? CHUNK_SIZE : CHUNK_BAD;
}

static enum chunk_state
on_trailer(struct chunk_scan *s, char c)
{
	if (++s->line > TRAILERS_MAX_OCTETS)
		return CHUNK_BAD;
	if (c == '\r')
		return s->state == CHUNK_TRAILER ? CHUNK_LAST_LF :
		    CHUNK_TRAILER_LF;
	return http_is_field_value(&c, 1) ? CHUNK_TRAILER_TEXT : CHUNK_BAD;
}

static enum chunk_state
on_trailer_lf(struct chunk_scan *s, char c)
{
	(void)s;
	return c == '\n' ? CHUNK_TRAILER : CHUNK_BAD;
}

static enum chunk_state
on_last_lf(struct chunk_scan *s, char c)
{
	(void)s;
	return c == '\n' ? CHUNK_DONE : CHUNK_BAD;
}

static step_f *const steps[] = {
	[CHUNK_SIZE]		= on_digit,
	[CHUNK_DIGITS]		= on_digit,
	[CHUNK_EXTENSION]	= on_extension,
	[CHUNK_SIZE_LF]		= on_size_lf,
	[CHUNK_DATA_CR]		= on_data_cr,
	[CHUNK_DATA_LF]		= on_data_lf,
	[CHUNK_TRAILER]		= on_trailer,
	[CHUNK_TRAILER_TEXT]	= on_trailer,
	[CHUNK_TRAILER_LF]	= on_trailer_lf,
	[CHUNK_LAST_LF]		= on_last_lf,
};

size_t
chunk_scan(struct chunk_scan *s, const char *p, size_t n)
{
	size_t i = 0, part;

	while (i < n && s->state < CHUNK_DONE) {
		if (s->state != CHUNK_DATA) {
			s->state = steps[s->state](s, p[i++]);
			continue;
		}
		part = n - i < s->left ? n - i : (size_t)s->left;
		i += part;
		s->left -= part;
		if (s->left == 0)
			s->state = CHUNK_DATA_CR;
	}
	return i;
}
