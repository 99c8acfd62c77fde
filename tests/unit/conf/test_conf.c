/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The configuration from text, its differences, and what follows from it.
 * What files may hold is tested by tests/conf.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/defs.h"
#include "test_conf.h"

START_TEST(from_text)
{
	struct conf *c = conf_from_text("app = \"a:b\";\nuser = \"u\";",
	    "some.conf", &errors);

	ck_assert_ptr_nonnull(c);
	ck_assert_str_eq(c->user, "u");
	ck_assert_str_eq(c->log_format, "combined");
	ck_assert_int_eq(c->listen[0].source.origin, CONF_BY_DEFAULT);
	ck_assert_int_eq(conf_source(c, "app_dir")->origin, CONF_BY_DEFAULT);
	ck_assert_int_eq(conf_source(c, "user")->origin, CONF_BY_FILE);
	ck_assert_str_eq(conf_source(c, "user")->name, "some.conf");
	ck_assert_uint_eq(conf_source(c, "user")->line, 2);
	conf_free(&c);
	c = conf_from_text("listen = 5;", "some.conf", &errors);
	ck_assert_ptr_null(c);
	ck_assert_str_eq(buf_str(&errors), "some.conf:1: listen: expected an "
	    "address or a group { }, given the integer 5\n"
	    "some.conf: app: no application is named "
	    "(app = \"module:attribute\";)\n");
}
END_TEST

/* Strings of any bytes survive printing and loading. */
START_TEST(any_string_survives)
{
	struct buf text = BUF_INIT;
	struct conf *c = accept_line("a:b"), *back;
	char any[256];
	int i, n;

	srand((unsigned)_i);
	n = rand() % 255;
	for (i = 0; i < n; i++)
		any[i] = (char)(_i == 0 ? i + 1 : rand() % 255 + 1);
	any[n] = '\0';
	free(c->app_dir);
	c->app_dir = strdup(any);
	conf_print(c, &text);
	back = conf_from_text(buf_str(&text), "printed", &errors);
	ck_assert_msg(back != NULL, "%s", buf_str(&errors));
	ck_assert_str_eq(back->app_dir, any);
	conf_free(&back);
	conf_free(&c);
	buf_fini(&text);
}
END_TEST

static void
on_difference(const char *key, enum conf_class class, void *arg)
{
	buf_printf(arg, "%s:%d ", key, (int)class);
}

/* A list survives a reload that may not change it, and is seen to differ. */
START_TEST(lists_differ)
{
	struct buf keys = BUF_INIT;
	struct conf *a, *b;

	a = accept_line("a:b -o control.grant=status,stop -o reload.dirs=a,b");
	b = accept_line("a:b -o control.grant=status,stop,help -o reload.dirs=a,c");
	ck_assert_int_eq(conf_diff(a, b, on_difference, &keys),
	    CONF_RESTART);
	ck_assert_str_eq(buf_str(&keys), "control.grant:1 reload.dirs:3 ");
	ck_assert_int_eq(conf_keep_fixed(b, a), 0);
	ck_assert_str_eq(list_words(&b->reload_dirs), "a b");
	ck_assert_str_eq(list_words(&b->control_grant), "status stop help");
	buf_fini(&keys);
	conf_free(&a);
	conf_free(&b);
}
END_TEST

START_TEST(differences)
{
	struct buf keys = BUF_INIT;
	struct conf *a, *b;

	a = conf_from_text("app = \"a:b\"; pid_file = \"/one\";", "a",
	    &errors);
	b = conf_from_text("app = \"a:b\"; pid_file = \"/two\"; umask = "
	    "\"0077\"; workers = { count = \"auto\"; }; log = { level = "
	    "\"debug\"; }; listen = ({ address = \"127.0.0.1:8000\"; "
	    "backlog = 7; });", "b", &errors);
	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	ck_assert_int_eq(conf_diff(a, a, on_difference, &keys), CONF_SAME);
	ck_assert_str_eq(buf_str(&keys), "");
	ck_assert_int_eq(conf_diff(a, b, on_difference, &keys),
	    CONF_RESTART);
	ck_assert_str_eq(buf_str(&keys), "workers.count:2 log.level:1 "
	    "umask:2 pid_file:3 listen:2 ");
	ck_assert_int_eq(conf_keep_fixed(b, a), 0);
	ck_assert_str_eq(b->pid_file, "/one");
	ck_assert_uint_eq(b->umask, 077);
	ck_assert_int_eq(conf_diff(a, b, on_difference, &keys), CONF_WORKER);
	buf_fini(&keys);
	conf_free(&a);
	conf_free(&b);
}
END_TEST

START_TEST(auto_is_the_cpus_we_may_use)
{
	struct conf *c = accept_line("a:b --workers auto");
	cpu_set_t all, one;
	int cpu;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	/* or fewer, where a control group has a quota: see test_cpus.c */
	ck_assert_uint_le(conf_workers(c), (unsigned)CPU_COUNT(&all));
	for (cpu = 0; !CPU_ISSET(cpu, &all); cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	ck_assert_uint_eq(conf_workers(c), 1);
	conf_free(&c);
}
END_TEST

static const struct {
	const char	*app;
	bool		 good;
	const char	*meant;
} names_of_apps[] = {
	{ "main:app", true, "" },
	{ "pkg.main:create.app", true, "" },
	{ "my-app:a", true, "" },
	{ "main.py:app", true, "main:app" },
	{ "main", false, "" },
	{ "main:", false, "" },
	{ ":app", false, "" },
	{ "main.py", false, "main:app" },
	{ "pkg/main.py:app", false, "pkg.main:app" },
	{ "./pkg/main:make", false, "pkg.main:make" },
	{ "/srv/x/main.py:app", false, "main:app with app_dir = \"/srv/x/\"" },
	{ "../x/main.py", false, "main:app with app_dir = \"../x/\"" },
	{ "/:app", false, "" },
	{ ".py", false, "" },
	{ "a//b.py:app", false, "" },
	{ "main: app", false, "" },
	{ ".main:app", false, "" },
	{ "main.:app", false, "" },
	{ "main:a..b", false, "" },
};

START_TEST(forms_of_the_application)
{
	struct buf meant = BUF_INIT;
	const char *app = names_of_apps[_i].app;

	ck_assert_msg((conf_app_fault(app) == NULL) ==
	    names_of_apps[_i].good, "%s: %s", app, conf_app_fault(app));
	(void)conf_app_meant(app, &meant);
	ck_assert_str_eq(buf_str(&meant), names_of_apps[_i].meant);
	buf_fini(&meant);
}
END_TEST

static void
control_socket_is(const char *line, const char *path)
{
	struct conf *c = accept_line(line);
	char *is = conf_control_socket(c);

	ck_assert_str_eq(is, path);
	free(is);
	conf_free(&c);
}

START_TEST(control_socket)
{
	char long_dir[110];

	control_socket_is("a:b -o control.socket=", "");
	control_socket_is("a:b -o control.socket=x/y", "x/y");
	if (geteuid() == 0) {
		setenv("XDG_RUNTIME_DIR", "/run/user/0", 1);
		control_socket_is("a:b", "/run/asgid/control.sock");
		ck_assert_int_eq(seteuid(12345), 0);
	}
	setenv("XDG_RUNTIME_DIR", "/run/user/12345", 1);
	control_socket_is("a:b", "/run/user/12345/asgid/control.sock");
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	control_socket_is("a:b", "");
	memset(long_dir, '/', sizeof(long_dir) - 1);
	long_dir[sizeof(long_dir) - 1] = '\0';
	setenv("XDG_RUNTIME_DIR", long_dir, 1);
	control_socket_is("a:b", "");
	unsetenv("XDG_RUNTIME_DIR");
	control_socket_is("a:b", "");
	/* the leak check at exit may look at what it is allowed to */
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* Each file has its own, as long as their names differ. */
START_TEST(control_socket_of_a_file)
{
	static const struct {
		const char	*file, *socket;
	} names[] = {
		{ "asgid.conf", "control.sock" },
		{ "blog.conf", "control-blog.sock" },
		{ "b.log.cfg", "control-b.log.sock" },
		{ "blog", "control-blog.sock" },
		{ ".blog", "control-.blog.sock" },
	};
	char dir[] = "/tmp/test_conf.XXXXXX", line[96], path[64];
	const char *run = geteuid() == 0 ? "/run" : "/run/user/1";
	size_t i;
	FILE *f;

	setenv("XDG_RUNTIME_DIR", "/run/user/1", 1);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (i = 0; i < countof(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i].file);
		snprintf(line, sizeof(line), "a:b -c %s", path);
		ck_assert_ptr_nonnull(f = fopen(path, "w"));
		fclose(f);
		snprintf(path, sizeof(path), "%s/asgid/%s", run,
		    names[i].socket);
		control_socket_is(line, path);
		snprintf(path, sizeof(path), "%s/%s", dir, names[i].file);
		unlink(path);
	}
	rmdir(dir);
	unsetenv("XDG_RUNTIME_DIR");
}
END_TEST

static Suite *
conf_suite(void)
{
	Suite *s = suite_create("conf");
	TCase *t = tcase_create("conf");

	tcase_add_checked_fixture(t, conf_setup, conf_teardown);
	tcase_add_test(t, from_text);
	tcase_add_loop_test(t, any_string_survives, 0, 50);
	tcase_add_test(t, lists_differ);
	tcase_add_test(t, differences);
	tcase_add_test(t, auto_is_the_cpus_we_may_use);
	tcase_add_loop_test(t, forms_of_the_application, 0,
	    (int)countof(names_of_apps));
	tcase_add_test(t, control_socket);
	tcase_add_test(t, control_socket_of_a_file);
	suite_add_tcase(s, t);
	suite_add_tcase(s, cmdline_tests());
	suite_add_tcase(s, cpus_tests());
	suite_add_tcase(s, syntax_tests());
	return s;
}

int
main(void)
{
	SRunner *runner = srunner_create(conf_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
