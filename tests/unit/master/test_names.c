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

/* Who writes it may have been taken over since the first. */
START_TEST(the_first_answer_counts)
{
	struct buf text = BUF_INIT, forged = BUF_INIT;
	struct names_user u;
	char *at;

	names_ask(NAMES_USER, "4123456", &text);
	names_ask(NAMES_USER, "0", &forged);
	/* the one for "0" shall be for "4123456" */
	at = memmem(forged.data, forged.len, "0\0", 3);
	ck_assert_ptr_nonnull(at);
	memcpy(at, "4123456", sizeof("4123456"));
	buf_put(&text, forged.data, forged.len);
	ck_assert_int_eq(names_learn(&text), 2);
	ck_assert_int_eq(names_user("4123456", &u), 0);
	ck_assert_uint_eq(u.uid, 4123456);
	/* another text is another matter */
	ck_assert_int_eq(names_learn(&forged), 1);
	ck_assert_int_eq(names_user("4123456", &u), 0);
	ck_assert_uint_eq(u.uid, 0);
	buf_fini(&forged);
	buf_fini(&text);
	names_forget();
}
END_TEST

static void
note(enum names_kind kind, const char *name UNUSED, struct buf *to)
{
	buf_putc(to, "ugh"[kind]);
}

/* Those that strangers answer for. */
START_TEST(hosts_are_asked_for_last)
{
	struct buf errors = BUF_INIT, kinds = BUF_INIT;
	struct conf *conf = conf_from_text("app = \"a:b\"; user = \"u\";"
	    "group = \"g\"; control = { group = \"c\"; };"
	    "metrics = { listen = \"m.test:1\"; };"
	    "listen = ({ address = \"a.test:1\"; }, { unix = \"/s\";"
	    "owner = \"o\"; group = \"g\"; }, { address = \"b.test:1\"; });",
	    "text", &errors);

	ck_assert_msg(conf != NULL, "%s", buf_str(&errors));
	ck_assert_uint_eq(names_each(conf, note, &kinds), 8);
	ck_assert_str_eq(buf_str(&kinds), "uggughhh");
	conf_free(&conf);
	buf_fini(&kinds);
	buf_fini(&errors);
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
	tcase_add_test(t, the_first_answer_counts);
	tcase_add_test(t, hosts_are_asked_for_last);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
