/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Any octets as a chunked body: the same is found whole, one by one, or cut
 * in two, and it is what a plain reading of RFC 9112 7.1 finds.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "http/chunk.h"

/* Shorter inputs reach none of the scanner's limits. */
#define SHORT	512

struct reading {
	const uint8_t	*p, *end;
	bool		 bad;
};

static struct chunk_scan
scan_parts(const char *p, size_t n, size_t part, size_t *used)
{
	struct chunk_scan s = { 0 };
	size_t done = 0, now, got;

	while (done < n) {
		now = n - done < part ? n - done : part;
		got = chunk_scan(&s, p + done, now);
		if (got > now)
			abort();
		done += got;
		if (got < now) {
			if (s.state < CHUNK_DONE)
				abort();	/* stopped for no reason */
			break;
		}
	}
	*used = done;
	return s;
}

static void
compare(const char *p, size_t n, size_t part)
{
	struct chunk_scan whole, parts;
	size_t used, used_parts;

	whole = scan_parts(p, n, n > 0 ? n : 1, &used);
	parts = scan_parts(p, n, part, &used_parts);
	if (used != used_parts || whole.state != parts.state ||
	    whole.left != parts.left || whole.line != parts.line)
		abort();
}

/* ---- the plain reading ---- */

/* Take c: false at the end of the input, or when there is something else. */
static bool
expect(struct reading *r, char c)
{
	if (r->p == r->end)
		return false;
	r->bad = *r->p++ != (uint8_t)c;
	return !r->bad;
}

static bool
crlf(struct reading *r)
{
	return expect(r, '\r') && expect(r, '\n');
}

/* Text up to, and without, a CR. */
static bool
text(struct reading *r)
{
	for (; r->p < r->end && *r->p != '\r'; r->p++)
		if ((*r->p < ' ' && *r->p != '\t') || *r->p == 0x7f) {
			r->bad = true;
			return false;
		}
	return r->p < r->end;
}

static bool
size_line(struct reading *r, uint64_t *size)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const uint8_t *start = r->p;
	const char *d;
	unsigned v;

	for (*size = 0; r->p < r->end; r->p++) {
		d = *r->p != '\0' ? strchr(digits, *r->p) : NULL;
		if (d == NULL)
			break;
		v = (unsigned)(d - digits);
		if (*size >> 58 != 0) {
			r->bad = true;
			return false;
		}
		*size = *size * 16 + (v < 16 ? v : v - 6);
	}
	if (r->p == r->end)
		return false;
	if (r->p == start) {
		r->bad = true;
		return false;
	}
	if (*r->p == ';') {
		r->p++;
		if (!text(r))
			return false;
	}
	return crlf(r);
}

static bool
body(struct reading *r)
{
	uint64_t size;

	for (;;) {
		if (!size_line(r, &size))
			return false;
		if (size == 0)
			break;
		if (size > (uint64_t)(r->end - r->p))
			return false;
		r->p += size;
		if (!crlf(r))
			return false;
	}
	while (r->p < r->end && *r->p != '\r')
		if (!text(r) || !crlf(r))
			return false;
	return crlf(r);
}

static void
compare_reading(const uint8_t *data, size_t n)
{
	struct reading r = { data, data + n, false };
	enum chunk_state state;
	size_t used;

	state = scan_parts((const char *)data, n, n + 1, &used).state;
	if (body(&r) ? state != CHUNK_DONE || used != (size_t)(r.p - data) :
	    r.bad ? state != CHUNK_BAD : state >= CHUNK_DONE)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	compare((const char *)data, n, 1);
	if (n > 0)
		compare((const char *)data, n, data[n - 1] % 29u + 2);
	compare_reading(data, n < SHORT ? n : SHORT);
	return 0;
}
