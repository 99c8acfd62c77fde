/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/list.h"

#include <string.h>

#include "test_base.h"

struct node {
	char		name;
	struct list	link;
};

static struct node a = { 'a', LIST_INIT(a.link) };
static struct node b = { 'b', LIST_INIT(b.link) };
static struct node c = { 'c', LIST_INIT(c.link) };

/* The names in order; the ring is also right backwards. */
static const char *
names(struct list *head)
{
	static char text[8];
	struct list *pos, *tmp;
	size_t n = 0;

	list_foreach_safe(pos, tmp, head) {
		ck_assert_ptr_eq(pos->next->prev, pos);
		ck_assert_ptr_eq(pos->prev->next, pos);
		text[n++] = list_entry(pos, struct node, link)->name;
	}
	text[n] = '\0';
	return text;
}

START_TEST(append_and_remove)
{
	struct list head = LIST_INIT(head);

	ck_assert(list_empty(&head));
	ck_assert_str_eq(names(&head), "");
	list_append(&head, &a.link);
	list_append(&head, &b.link);
	list_append(&head, &c.link);
	ck_assert(!list_empty(&head));
	ck_assert_str_eq(names(&head), "abc");
	list_remove(&b.link);
	list_remove(&b.link);
	ck_assert_str_eq(names(&head), "ac");
	list_append(&head, &b.link);
	list_remove(&a.link);
	ck_assert_str_eq(names(&head), "cb");
}
END_TEST

START_TEST(removal_while_walking)
{
	struct list head, *pos, *tmp;

	list_init(&head);
	list_append(&head, &a.link);
	list_append(&head, &b.link);
	list_append(&head, &c.link);
	list_foreach_safe(pos, tmp, &head)
		list_remove(pos);
	ck_assert(list_empty(&head));
	ck_assert(list_empty(&a.link));
}
END_TEST

START_TEST(splice)
{
	struct list one = LIST_INIT(one), two = LIST_INIT(two);

	list_splice(&one, &two);
	ck_assert(list_empty(&one));
	list_append(&two, &b.link);
	list_append(&two, &c.link);
	list_splice(&one, &two);
	ck_assert_str_eq(names(&one), "bc");
	ck_assert(list_empty(&two));
	list_append(&two, &a.link);
	list_splice(&one, &two);
	ck_assert_str_eq(names(&one), "bca");
	list_splice(&one, &two);
	ck_assert_str_eq(names(&one), "bca");
}
END_TEST

Suite *
list_suite(void)
{
	Suite *s = suite_create("list");
	TCase *t = tcase_create("list");

	tcase_add_test(t, append_and_remove);
	tcase_add_test(t, removal_while_walking);
	tcase_add_test(t, splice);
	suite_add_tcase(s, t);
	return s;
}
