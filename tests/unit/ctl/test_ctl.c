/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/ctl.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct buf why;

static void
setup(void)
{
	why = (struct buf)BUF_INIT;
}

static void
teardown(void)
{
	buf_fini(&why);
}

static int
parse(struct ctl_request *r, const char *line)
{
	static char copy[256];

	buf_reset(&why);
	snprintf(copy, sizeof(copy), "%s", line);
	return ctl_parse_line(r, copy, &why);
}

START_TEST(names_and_their_beginnings)
{
	struct ctl_request r;

	ck_assert_int_eq(parse(&r, "stop"), 0);
	ck_assert_ptr_eq(r.command, &ctl_commands[CTL_stop]);
	ck_assert_int_eq(parse(&r, "  rest\t2 \r"), 0);
	ck_assert_ptr_eq(r.command, &ctl_commands[CTL_restart_worker]);
	ck_assert_str_eq(r.args[0], "2");
	/* a whole name wins over what it begins */
	ck_assert_int_eq(parse(&r, "stat"), -1);
	ck_assert_str_eq(buf_str(&why), "stat: which one? status stats");
	ck_assert_int_eq(parse(&r, "st"), -1);
	ck_assert_str_eq(buf_str(&why), "st: which one? status stats stop");
	ck_assert_int_eq(parse(&r, "relaod"), -1);
	ck_assert_str_eq(buf_str(&why),
	    "relaod: no such command, did you mean reload?");
	ck_assert_int_eq(parse(&r, "xyzzyxyzzy"), -1);
	ck_assert_str_eq(buf_str(&why),
	    "xyzzyxyzzy: no such command, try help");
	ck_assert_int_eq(parse(&r, " "), -1);
	ck_assert_str_eq(buf_str(&why), "a command is missing, try help");
}
END_TEST

START_TEST(flags_and_arguments)
{
	struct ctl_request r;

	ck_assert_int_eq(parse(&r, "stats --json"), 0);
	ck_assert_uint_eq(r.flags, CTL_F_JSON);
	ck_assert_int_eq(parse(&r, "wait drained 10s"), 0);
	ck_assert_uint_eq(r.nargs, 2);
	/* what asgictl says of itself is legal everywhere */
	ck_assert_int_eq(parse(&r, "ping --color --progress"), 0);
	ck_assert_int_eq(parse(&r, "stop --json"), -1);
	ck_assert_str_eq(buf_str(&why),
	    "stop: --json is not for it, expected: stop [--now]");
	/* they are alternatives; twice the same is once */
	ck_assert_int_eq(parse(&r, "stats --json --openmetrics"), -1);
	ck_assert_str_eq(buf_str(&why), "stats: one flag at most, expected: "
	    "stats [--json|--openmetrics|--prometheus]");
	ck_assert_int_eq(parse(&r, "stats --color --json --json"), 0);
	ck_assert_int_eq(parse(&r, "scale"), -1);
	ck_assert_str_eq(buf_str(&why),
	    "too few arguments, expected: scale N");
	ck_assert_int_eq(parse(&r, "ping now"), -1);
	ck_assert_str_eq(buf_str(&why),
	    "too many arguments, expected: ping");
	ck_assert_int_eq(parse(&r, "wait red"), -1);
	ck_assert_str_eq(buf_str(&why),
	    "red: expected: wait ready|drained [TIMEOUT]");
	ck_assert_int_eq(parse(&r, "wait 1 2 3 4 5 6 7 8"), -1);
	ck_assert_str_eq(buf_str(&why), "too many words");
}
END_TEST

/* Nobody can say two lines in one. */
START_TEST(words_of_argv)
{
	const char *const forged[] = { "scale", "2\nstop" };
	const char *const blank[] = { "scale", "2 3" };
	struct ctl_request r;

	ck_assert_int_eq(ctl_parse_words(&r, forged, 2, &why), -1);
	ck_assert_int_eq(ctl_parse_words(&r, blank, 2, &why), -1);
}
END_TEST

START_TEST(printed_and_read_again)
{
	struct ctl_request r, again;
	struct buf line = BUF_INIT;

	ck_assert_int_eq(parse(&r, "sta --openmetrics"), -1);
	ck_assert_int_eq(parse(&r, "wor --json --color"), 0);
	ctl_print_request(&r, &line);
	ck_assert_str_eq(buf_str(&line), "workers --json --color\n");
	line.data[line.len - 1] = '\0';
	ck_assert_int_eq(ctl_parse_line(&again, line.data, &why), 0);
	ck_assert_ptr_eq(again.command, r.command);
	ck_assert_uint_eq(again.flags, r.flags);
	buf_fini(&line);
}
END_TEST

START_TEST(answers)
{
	struct buf b = BUF_INIT;
	size_t length;
	int code;

	ctl_print_answer(&b, CTL_R_DENIED, STR("no\n"));
	ck_assert_str_eq(buf_str(&b), "403 3\nno\n");
	buf_fini(&b);
	ck_assert_int_eq(ctl_parse_head(STR("200 17"), &code, &length), 0);
	ck_assert_int_eq(code, 200);
	ck_assert_uint_eq(length, 17);
	ck_assert_int_eq(ctl_parse_head(STR("200"), &code, &length), -1);
	ck_assert_int_eq(ctl_parse_head(STR("20 17"), &code, &length), -1);
	ck_assert_int_eq(ctl_parse_head(STR("200 "), &code, &length), -1);
	ck_assert_int_eq(ctl_parse_head(STR("200 x"), &code, &length), -1);
	ck_assert_int_eq(ctl_parse_head(STR("HTTP/1.1 200"), &code,
	    &length), -1);
	ck_assert_int_eq(ctl_exit_status(200), 0);
	ck_assert_int_eq(ctl_exit_status(403), 4);
	ck_assert_int_eq(ctl_exit_status(408), 5);
	ck_assert_int_eq(ctl_exit_status(422), 6);
	ck_assert_int_eq(ctl_exit_status(599), 1);
}
END_TEST

/* What help, completions and the manual rely on. */
START_TEST(table_is_sound)
{
	const struct ctl_command *c;
	struct buf b = BUF_INIT;
	size_t i, j;

	for (i = 0; i < CTL_NCOMMANDS; i++) {
		c = &ctl_commands[i];
		ck_assert(c->min <= c->max);
		ck_assert_int_eq(c->max > 0, *c->arguments != '\0');
		ck_assert(*c->text != '\0' && strlen(c->text) <= 72);
		for (j = 0; j < i; j++)
			ck_assert_str_ne(ctl_commands[j].name, c->name);
		ctl_help(c, &b);
	}
	ctl_help(NULL, &b);
	ck_assert(!b.failed);
	for (i = 1; i < CTL_NRESULTS; i++)
		ck_assert_int_lt(ctl_results[i - 1].code,
		    ctl_results[i].code);
	buf_fini(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ctl");
	TCase *tc = tcase_create("ctl");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, names_and_their_beginnings);
	tcase_add_test(tc, flags_and_arguments);
	tcase_add_test(tc, words_of_argv);
	tcase_add_test(tc, printed_and_read_again);
	tcase_add_test(tc, answers);
	tcase_add_test(tc, table_is_sound);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
