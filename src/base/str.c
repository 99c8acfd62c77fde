/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct unit {
	const char	*name;
	uint64_t	 factor;
};

/* largest first: printing takes the first that divides */
static const struct unit size_units[] = {
	{ "G", UINT64_C(1) << 30 },
	{ "M", UINT64_C(1) << 20 },
	{ "K", UINT64_C(1) << 10 },
	{ "", 1 },
};

static const struct unit duration_units[] = {
	{ "h", 3600 * (uint64_t)NSEC_PER_SEC },
	{ "m", 60 * (uint64_t)NSEC_PER_SEC },
	{ "s", (uint64_t)NSEC_PER_SEC },
	{ "ms", (uint64_t)NSEC_PER_MSEC },
	{ "us", 1000 },
	{ "ns", 1 },
};

static bool
is_ows(char c)
{
	return c == ' ' || c == '\t';
}

struct str
str_trim(struct str s)
{
	while (s.n > 0 && is_ows(s.p[0]))
		s.p++, s.n--;
	while (s.n > 0 && is_ows(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool
str_next_element(struct str *rest, struct str *element)
{
	const char *comma;

	while (rest->n > 0) {
		comma = memchr(rest->p, ',', rest->n);
		element->p = rest->p;
		element->n = comma == NULL ? rest->n :
		    (size_t)(comma - rest->p);
		rest->p += element->n + (comma != NULL);
		rest->n -= element->n + (comma != NULL);
		*element = str_trim(*element);
		if (element->n > 0)
			return true;
	}
	return false;
}

bool
str_has_token(struct str list, struct str token)
{
	struct str element;

	while (str_next_element(&list, &element))
		if (str_ieq(element, token))
			return true;
	return false;
}

int
str_to_uint(struct str s, uint64_t *value)
{
	uint64_t v = 0;
	size_t i;

	if (s.n == 0)
		return -1;
	for (i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' ||
		    __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return -1;
	}
	*value = v;
	return 0;
}

/* "1.5h" style: digits with an optional fraction, then a unit by its name. */
static int
parse_units(const char *text, const struct unit *units, size_t n,
    uint64_t bare, uint64_t *value)
{
	size_t digits = strspn(text, "0123456789"), i, frac = 0;
	const char *unit = text + digits;
	uint64_t whole, factor = bare;
	double fraction = 0;

	if (str_to_uint((struct str){ text, digits }, &whole) == -1)
		return -1;
	if (*unit == '.') {
		frac = strspn(unit + 1, "0123456789");
		if (frac == 0 || frac > 9)
			return -1;
		fraction = strtod(unit, NULL);
		unit += 1 + frac;
	}
	if (*unit != '\0') {
		for (i = 0; i < n && strcasecmp(unit, units[i].name) != 0; i++)
			;
		if (i == n)
			return -1;
		factor = units[i].factor;
	}
	if (__builtin_mul_overflow(whole, factor, value) ||
	    __builtin_add_overflow(*value,
	    (uint64_t)(fraction * (double)factor + 0.5), value))
		return -1;
	return 0;
}

int
str_to_size(const char *text, uint64_t *value)
{
	return parse_units(text, size_units, countof(size_units), 1, value);
}

int
str_to_duration(const char *text, nsec_t *value)
{
	uint64_t v;

	if (parse_units(text, duration_units, countof(duration_units),
	    (uint64_t)NSEC_PER_SEC, &v) == -1 || v > INT64_MAX)
		return -1;
	*value = (nsec_t)v;
	return 0;
}

static void
print_units(uint64_t v, const struct unit *units, const char *zero,
    char text[32])
{
	while (v % units->factor != 0)
		units++;
	if (v == 0)
		snprintf(text, 32, "%s", zero);
	else
		snprintf(text, 32, "%" PRIu64 "%s", v / units->factor,
		    units->name);
}

void
str_from_size(uint64_t v, char text[32])
{
	print_units(v, size_units, "0", text);
}

void
str_from_duration(nsec_t v, char text[32])
{
	print_units((uint64_t)v, duration_units, "0s", text);
}

void
str_from_age(nsec_t age, char text[32])
{
	int64_t s = age / NSEC_PER_SEC;

	if (s < 60)		/* cut, not rounded: 60.0s is 1m00s */
		snprintf(text, 32, "%d.%ds", (int)s, (int)(age %
		    NSEC_PER_SEC / (NSEC_PER_SEC / 10)));
	else if (s < 3600)
		snprintf(text, 32, "%dm%02ds", (int)(s / 60), (int)(s % 60));
	else if (s < 86400)
		snprintf(text, 32, "%dh%02dm", (int)(s / 3600),
		    (int)(s % 3600 / 60));
	else
		snprintf(text, 32, "%" PRId64 "d%02dh", s / 86400,
		    (int)(s % 86400 / 3600));
}

unsigned
str_distance(const char *a, const char *b)
{
	unsigned row[64], up, left_up, i, j;
	size_t n = strlen(b);

	if (n >= countof(row))
		return (unsigned)n;
	for (j = 0; j <= n; j++)
		row[j] = j;
	for (i = 1; a[i - 1] != '\0'; i++) {
		left_up = row[0];
		row[0] = i;
		for (j = 1; j <= n; j++) {
			up = row[j];
			row[j] = left_up + (a[i - 1] != b[j - 1]);
			if (up + 1 < row[j])
				row[j] = up + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			left_up = up;
		}
	}
	return row[n];
}
