/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is believed of the answers of the process that looks names up, and what
 * is not.
 */
#include "master/names.h"

#include <netinet/in.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/defs.h"

static void
ask_all(struct buf *to)
{
	names_ask(NAMES_USER, "root", to);
	names_ask(NAMES_USER, "4123456", to);
	names_ask(NAMES_USER, "no-such-user", to);
	names_ask(NAMES_GROUP, "root", to);
	names_ask(NAMES_HOST, "127.0.0.1", to);
	ck_assert(!to->failed);
}

START_TEST(answers_come_through)
{
	struct buf text = BUF_INIT;
	const struct sock_addr *list;
	struct names_user u;
	size_t n;
	gid_t gid;

	ask_all(&text);
	ck_assert_int_eq(names_learn(&text), 5);
	/* the same again replaces them */
	ck_assert_int_eq(names_learn(&text), 5);
	buf_fini(&text);
	ck_assert_int_eq(names_user("root", &u), 0);
	ck_assert(u.uid == 0 && u.gid == 0 && strcmp(u.name, "root") == 0);
	ck_assert_int_eq(names_user("4123456", &u), 0);
	ck_assert(u.uid == 4123456 && u.gid == (gid_t)-1);
	ck_assert_str_eq(u.name, "4123456");
	ck_assert_str_eq(u.home, "/");
	ck_assert_int_eq(names_user("no-such-user", &u), -1);
	ck_assert(names_group("root", &gid) == 0 && gid == 0);
	ck_assert_int_eq(names_host("127.0.0.1", &list, &n), 0);
	ck_assert_int_eq(n, 1);
	ck_assert_int_eq(list[0].ss.ss_family, AF_INET);
	names_forget();
}
END_TEST

/* Cut anywhere, or with another octet anywhere: learnt or refused, and nothing
 * beyond it is touched (the sanitizers would tell). */
START_TEST(nonsense_is_refused)
{
	struct buf text = BUF_INIT, part = BUF_INIT;
	size_t i, whole = 0;

	ask_all(&text);
	for (i = 0; i < text.len; i += 7) {
		buf_reset(&part);
		buf_put(&part, text.data, i);
		whole += names_learn(&part) >= 0;
		buf_reset(&part);
		buf_put(&part, text.data, text.len);
		part.data[i] = (char)0xff;
		(void)names_learn(&part);
	}
	ck_assert(whole > 0 && whole < 10);
	memset(part.data, 0xff, part.len);
	ck_assert_int_eq(names_learn(&part), -1);
	ck_assert_int_eq(errno, EPROTO);
	buf_fini(&part);
	buf_fini(&text);
	names_forget();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("names");
	TCase *t = tcase_create("answers");
	SRunner *runner;
	int failed;

	tcase_add_test(t, answers_come_through);
	tcase_add_test(t, nonsense_is_refused);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
