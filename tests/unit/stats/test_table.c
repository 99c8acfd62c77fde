/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What must hold of counters.def for the names of metrics to be right.
 */
#include "stats/stats.h"

#include <ctype.h>
#include <string.h>

#include "test_stats.h"

static bool
ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

START_TEST(lines_are_complete)
{
	const struct stats_line *l = &stats_lines[_i];
	const char *p;

	ck_assert_str_ne(l->member, "");
	ck_assert_str_ne(l->family, "");
	for (p = l->family; *p != '\0'; p++)
		ck_assert(islower((unsigned char)*p) || *p == '_');
	if (l->unit[0] != '\0')
		ck_assert(ends_with(l->family, l->unit));
	/* what the formats put behind names */
	ck_assert(!ends_with(l->family, "_total"));
	ck_assert(!ends_with(l->family, "_count"));
	ck_assert(!ends_with(l->family, "_sum"));
	ck_assert(!ends_with(l->family, "_bucket"));
	if (l->kind == STATS_HISTOGRAM) {
		ck_assert_str_eq(l->unit, "seconds");
		ck_assert_uint_lt(l->hist, STATS_NHISTS);
	}
}
END_TEST

/* A family's lines stand together; its first has the text, and the label's
 * name and all other facts are the same in all. */
START_TEST(families_are_whole)
{
	const struct stats_line *l = &stats_lines[_i], *o;
	bool first = _i == 0 || strcmp(l[-1].family, l->family) != 0;
	int i;

	ck_assert_int_eq(first, l->text[0] != '\0');
	for (i = 0; i < _i; i++) {
		o = &stats_lines[i];
		ck_assert_str_ne(o->member, l->member);
		if (strcmp(o->family, l->family) != 0)
			continue;
		ck_assert(!first);
		ck_assert_int_eq(o->kind, l->kind);
		ck_assert_int_eq(o->scope, l->scope);
		ck_assert_str_eq(o->unit, l->unit);
		ck_assert_str_ne(o->label, l->label);
		ck_assert_uint_eq(strcspn(o->label, "="),
		    strcspn(l->label, "="));
		ck_assert_uint_gt(strlen(l->label), 0);
	}
}
END_TEST

Suite *
table_suite(void)
{
	Suite *s = suite_create("table");
	TCase *t = tcase_create("table");

	tcase_add_loop_test(t, lines_are_complete, 0, STATS_NLINES);
	tcase_add_loop_test(t, families_are_whole, 0, STATS_NLINES);
	suite_add_tcase(s, t);
	return s;
}
