/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/heap.h"

#include <stdlib.h>

#include "test_base.h"

struct item {
	int	key, order;
	size_t	index;
};

static int
item_less(const struct item *a, const struct item *b)
{
	return a->key != b->key ? a->key < b->key : a->order < b->order;
}

HEAP_GENERATE(item_heap, struct item, index, item_less)

#define N	2000

static struct item items[N];

static void
fill(struct heap *h)
{
	int i;

	srand(7);
	for (i = 0; i < N; i++) {
		items[i] = (struct item){ rand() % 100, i, HEAP_NONE };
		ck_assert_int_eq(item_heap_insert(h, &items[i]), 0);
		ck_assert_ptr_eq(h->at[items[i].index], &items[i]);
	}
}

/* All come out in order, ties in that of insertion; how many there were. */
static int
drain(struct heap *h)
{
	const struct item *last = NULL;
	struct item *e;
	int n = 0;

	while ((e = item_heap_min(h)) != NULL) {
		ck_assert(last == NULL || item_less(last, e));
		last = e;
		item_heap_remove(h, e);
		ck_assert_uint_eq(e->index, HEAP_NONE);
		n++;
	}
	return n;
}

START_TEST(sorts)
{
	struct heap h = { NULL, 0, 0 };

	ck_assert_ptr_null(item_heap_min(&h));
	fill(&h);
	ck_assert_int_eq(drain(&h), N);
	ck_assert_uint_eq(h.len, 0);
	heap_fini(&h);
}
END_TEST

START_TEST(removes_from_anywhere)
{
	struct heap h = { NULL, 0, 0 };
	int i, removed = 0;

	fill(&h);
	for (i = 0; i < N; i += 3) {
		item_heap_remove(&h, &items[i]);
		ck_assert_uint_eq(items[i].index, HEAP_NONE);
		removed++;
	}
	for (i = 0; i < N; i++)
		if (items[i].index != HEAP_NONE)
			ck_assert_ptr_eq(h.at[items[i].index], &items[i]);
	ck_assert_int_eq(drain(&h), N - removed);
	heap_fini(&h);
}
END_TEST

START_TEST(insert_and_remove_mixed)
{
	struct heap h = { NULL, 0, 0 };
	int i, in = 0;

	srand(11);
	for (i = 0; i < N; i++)
		items[i].index = HEAP_NONE;
	for (i = 0; i < 20 * N; i++) {
		struct item *e = &items[rand() % N];

		if (e->index != HEAP_NONE) {
			item_heap_remove(&h, e);
			in--;
		} else {
			e->key = rand() % 1000;
			e->order = i;
			ck_assert_int_eq(item_heap_insert(&h, e), 0);
			in++;
		}
		ck_assert_uint_eq(h.len, (size_t)in);
	}
	ck_assert_int_eq(drain(&h), in);
	heap_fini(&h);
}
END_TEST

Suite *
heap_suite(void)
{
	Suite *s = suite_create("heap");
	TCase *t = tcase_create("heap");

	tcase_add_test(t, sorts);
	tcase_add_test(t, removes_from_anywhere);
	tcase_add_test(t, insert_and_remove_mixed);
	suite_add_tcase(s, t);
	return s;
}
