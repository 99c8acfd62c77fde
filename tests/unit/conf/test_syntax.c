/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is said of texts that cannot be loaded.
 */
#include <string.h>

#include "test_conf.h"

/* libconfig 1.5 loses the string at which it stops. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\n";
}

static const struct {
	const char	*text, *error;
} slips[] = {
	{ "app = main:app;", "1: syntax error: main:app: a string needs double "
	    "quotes, \"main:app\"" },
	{ "app = \"a:b\";\nuser = 'www';\n", "2: syntax error: a string has "
	    "double quotes (\"), not single ones" },
	{ "app = \xe2\x80\x9c" "a:b\xe2\x80\x9d;", "1: syntax error: a string "
	    "has straight quotes (\"), not typographic ones" },
	{ "timeouts = {\n header = 10s;\n};", "2: syntax error: 10s: a string "
	    "needs double quotes, \"10s\"" },
	{ "factory = yes;", "1: syntax error: yes: write true or false, or a "
	    "string in double quotes" },
	{ "\nworkers.count = 4;", "2: syntax error: workers.count: an option "
	    "of a group is written workers = { count = ...; };" },
	{ "\xef\xbb\xbf" "app = \"a:b\";", "1: syntax error: the file begins "
	    "with a byte order mark: save it as UTF-8 without one" },
	{ "app = \"a:b\" 5;", "1: syntax error: app: a second value behind its "
	    "value" },
	{ "app = \"a:b\";;", "1: syntax error: a ';' too many" },
	{ "listen = (\n{ fd = 3; }\n{ fd = 4; } );", "3: syntax error: a ',' is "
	    "missing between the elements of a list" },
	{ "listen = ( \"a:1\", );", "1: syntax error: a ',' too many before "
	    "')'" },
	{ "listen = [ { fd = 3; } ];", "1: syntax error: an array [ ] holds "
	    "plain values; groups and lists stand in ( )" },
	{ "log = { level = \"info\";\nuser = \"x\";\n\n", "1: syntax error: "
	    "the '{' is not closed" },
	{ "log = {\n level = \"info\"; };\n};", "3: syntax error: a '}' too "
	    "many" },
	{ "listen = (\n{ fd = 3; ] );", "2: syntax error: the '{' of line 2 is "
	    "closed by ']'" },
	{ "user =\ngroup = \"x\";", "1: syntax error: user: the value is "
	    "missing" },
	{ "workers:\n  count: 4\n", "1: syntax error: workers: the value is "
	    "missing" },
	{ "user = ;", "1: syntax error: user: the value is missing" },
	{ "user == \"x\";", "1: syntax error: user: '=' twice" },
	{ "user \"x\";", "1: syntax error: user: '=' is missing behind it" },
	{ "[asgid]\nuser = \"x\";", "1: syntax error: a group is written "
	    "name = { ... };" },
	{ "{ \"app\": \"a:b\" }", "1: syntax error: no braces around all "
	    "settings" },
	{ "# x\n\"app\" = \"a:b\";", "2: syntax error: the name of a setting "
	    "has no quotes" },
	{ "2x = 5;", "1: syntax error: 2x: not the name of a setting" },
	/* what is found is what libconfig means */
	{ "listen = [ 1, \"a\" ];\nuser = 'x';", "1: mismatched element type "
	    "in array" },
	{ "log = { level = \"info\"; };\nuser = \"a\";\nlog = { };", "3: "
	    "duplicate setting name: log: set already at line 1" },
	{ "listen = ( { fd = 3; }, { fd = 4;\nfd = 5; } );", "2: duplicate "
	    "setting name: fd: set already at line 1" },
	{ "user = \"a\";\n@include \"/nowhere/x\"", "2: \"/nowhere/x\": cannot "
	    "open include file: No such file or directory" },
	{ "@include \"/dev/null\"", "1: \"/dev/null\": cannot open include "
	    "file: not a regular file" },
};

START_TEST(usual_slips)
{
	struct buf expected = BUF_INIT;

	ck_assert_ptr_null(conf_from_text(slips[_i].text, "x.conf", &errors));
	buf_printf(&expected, "x.conf:%s\n", slips[_i].error);
	ck_assert_str_eq(buf_str(&errors), buf_str(&expected));
	buf_fini(&expected);
}
END_TEST

/* A text of nothing but mistakes takes no time that is worth noting; without
 * bounds it would be a minute. */
START_TEST(too_many_mistakes)
{
	struct buf text = BUF_INIT;
	int i;

	for (i = 0; i < 2048; i++)
		buf_printf(&text, "the_same_beginning_of_%d = %d;\n", i, i);
	ck_assert_ptr_null(conf_from_text(buf_str(&text), "x", &errors));
	ck_assert_ptr_nonnull(strstr(buf_str(&errors),
	    "x:1000: the_same_beginning_of_999: unknown option\n"
	    "1049 more errors\n"));
	for (; i < 20000; i++)
		buf_printf(&text, "the_same_beginning_of_%d = %d;\n", i, i);
	buf_reset(&errors);
	ck_assert_ptr_null(conf_from_text(buf_str(&text), "x", &errors));
	ck_assert_str_eq(buf_str(&errors), "x:2049: more than 2048 "
	    "settings\n");
	buf_reset(&text);
	buf_puts(&text, "control = { grant = [ \"x\"");
	for (i = 0; i < 20000; i++)
		buf_printf(&text, ", \"the_same_beginning_of_%d\"", i);
	buf_puts(&text, " ]; };");
	buf_reset(&errors);
	ck_assert_ptr_null(conf_from_text(buf_str(&text), "x", &errors));
	buf_fini(&text);
}
END_TEST

TCase *
syntax_tests(void)
{
	TCase *t = tcase_create("syntax");

	tcase_add_checked_fixture(t, conf_setup, conf_teardown);
	tcase_set_timeout(t, 60);	/* a busy machine, a sanitizer */
	tcase_add_loop_test(t, usual_slips, 0, (int)countof(slips));
	tcase_add_test(t, too_many_mistakes);
	return t;
}
