/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The configuration from a command line, and what it makes of a file's and of
 * the environment's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/defs.h"
#include "test_conf.h"

START_TEST(application_alone)
{
	struct conf *c = accept_line("main:app");

	ck_assert_int_eq(action, CONF_RUN);
	ck_assert_str_eq(c->app, "main:app");
	ck_assert_str_eq(c->app_dir, "");
	ck_assert_str_eq(c->log_format, "uvicorn");
	ck_assert_str_eq(c->server_header, "asgid");
	ck_assert_str_eq(c->file, "");
	ck_assert_uint_eq(c->nlisten, 1);
	ck_assert_int_eq(c->listen[0].kind, CONF_LISTEN_TCP);
	ck_assert_str_eq(c->listen[0].host, "127.0.0.1");
	ck_assert_uint_eq(c->listen[0].port, 8000);
	ck_assert_int_eq(c->listen[0].backlog, 2048);
	ck_assert_int_eq(c->timeouts_keep_alive, 5 * NSEC_PER_SEC);
	ck_assert_int_eq(c->limits_header_size, 16384);
	ck_assert_int_eq(c->umask, 022);
	ck_assert_uint_eq(conf_workers(c), 1);
	conf_free(&c);
	ck_assert_ptr_null(c);
	conf_free(&c);
}
END_TEST

START_TEST(uvicorns_names)
{
	struct conf *c = accept_line("--app-dir /srv --factory --interface asgi2 "
	    "--lifespan off --root-path /p --no-server-header --venv=/v "
	    "--workers 3 --limit-max-requests 100 "
	    "--limit-max-requests-jitter 7 --limit-concurrency=9 "
	    "--timeout-keep-alive 65 --timeout-graceful-shutdown=1.5 "
	    "--timeout-worker-healthcheck 5 --log-level DEBUG "
	    "--no-access-log main:app");

	ck_assert_str_eq(c->app_dir, "/srv");
	ck_assert(c->factory);
	ck_assert_int_eq(c->interface, CONF_ASGI2);
	ck_assert_int_eq(c->lifespan, CONF_LIFESPAN_OFF);
	ck_assert_str_eq(c->root_path, "/p");
	ck_assert_str_eq(c->server_header, "");
	ck_assert_str_eq(c->python_venv, "/v");
	ck_assert_uint_eq(conf_workers(c), 3);
	ck_assert_int_eq(c->workers_max_requests, 100);
	ck_assert_int_eq(c->workers_max_requests_jitter, 7);
	ck_assert_int_eq(c->limits_concurrency, 9);
	ck_assert_int_eq(c->timeouts_keep_alive, 65 * NSEC_PER_SEC);
	ck_assert_int_eq(c->timeouts_graceful, 1500 * NSEC_PER_MSEC);
	ck_assert_int_eq(c->timeouts_hang, 5 * NSEC_PER_SEC);
	ck_assert_int_eq(c->log_level, LOG_L_DEBUG);
	ck_assert_str_eq(c->log_access, "off");
	conf_free(&c);
}
END_TEST

/* Every name of the table is a name of the command line. */
START_TEST(every_name_of_the_table)
{
	static const struct {
		const char *name, *type;
	} names[] = {
#define OPTION(key, member, type, def, min, max, class, name, text)	\
		{ name, #type },
#include "conf/options.def"
#undef OPTION
	};
	char line[128];
	struct conf *c;
	size_t i;

	for (i = 0; i < countof(names); i++) {
		if (names[i].name[0] != '-')
			continue;
		snprintf(line, sizeof(line), "a:b --no-such-option %s",
		    names[i].name);
		c = run_line(line);
		ck_assert_ptr_null(c);
		/* it may want a value, yet it is known */
		ck_assert_ptr_null(strstr(strchr(buf_str(&errors), '\n'),
		    "no such option"));
	}
}
END_TEST

static const struct {
	const char	*line, *host;
	unsigned	 port;
} tcp[] = {
	{ "a:b --host 0.0.0.0", "0.0.0.0", 8000 },
	{ "a:b --port 0", "127.0.0.1", 0 },
	{ "a:b --port=65535 --host=::1", "::1", 65535 },
	{ "a:b --host [::1] --port 1", "::1", 1 },
	{ "a:b --host=", "", 8000 },
	{ "a:b --host localhost", "localhost", 8000 },
	{ "a:b --port 1 --port 2", "127.0.0.1", 2 },
	{ "a:b -o listen=[::1]:7", "::1", 7 },
	{ "-c @ --port 80", "127.0.0.1", 80 },
};

START_TEST(tcp_listeners)
{
	struct conf *c;

	write_file("app = \"x:y\"; listen = ( \"a:1\", \"b:2\" );");
	c = accept_line(tcp[_i].line);
	ck_assert_uint_eq(c->nlisten, 1);
	ck_assert_int_eq(c->listen[0].kind, CONF_LISTEN_TCP);
	ck_assert_str_eq(c->listen[0].host, tcp[_i].host);
	ck_assert_uint_eq(c->listen[0].port, tcp[_i].port);
	conf_free(&c);
}
END_TEST

START_TEST(other_listeners)
{
	struct conf *c = accept_line("--uds /run/x.sock a:b --backlog 5");

	ck_assert_uint_eq(c->nlisten, 1);
	ck_assert_int_eq(c->listen[0].kind, CONF_LISTEN_UNIX);
	ck_assert_str_eq(c->listen[0].path, "/run/x.sock");
	ck_assert_uint_eq(c->listen[0].mode, 0666);
	ck_assert_int_eq(c->listen[0].backlog, 5);
	conf_free(&c);

	c = accept_line("--fd 0 a:b");
	ck_assert_uint_eq(c->nlisten, 1);
	ck_assert_int_eq(c->listen[0].kind, CONF_LISTEN_FD);
	ck_assert_int_eq(c->listen[0].fd, 0);
	conf_free(&c);

	/* alone it is for the listeners there are */
	write_file("app = \"x:y\"; listen = ( \"a:1\", { unix = \"/b\"; } );");
	c = accept_line("-c @ --backlog 7");
	ck_assert_uint_eq(c->nlisten, 2);
	ck_assert_str_eq(c->listen[0].host, "a");
	ck_assert_int_eq(c->listen[0].backlog, 7);
	ck_assert_int_eq(c->listen[1].backlog, 7);
	conf_free(&c);
	c = accept_line("a:b --backlog 7");
	ck_assert_uint_eq(c->nlisten, 1);
	ck_assert_uint_eq(c->listen[0].port, 8000);
	ck_assert_int_eq(c->listen[0].backlog, 7);
	conf_free(&c);
}
END_TEST

START_TEST(command_line_wins_over_file)
{
	struct conf *c;

	write_file("app = \"x:y\"; workers = { count = 4; };\n"
	    "log = { access = \"off\"; level = \"error\"; };\n"
	    "server_header = \"\"; limits = { connections = 5; };\n");
	c = accept_line("-c @");
	ck_assert_str_eq(c->app, "x:y");
	ck_assert_str_eq(c->log_format, "combined");
	ck_assert_str_eq(c->file, file);
	ck_assert_uint_eq(conf_workers(c), 4);
	conf_free(&c);
	c = accept_line("-c @ main:app --workers 2 --access-log --server-header "
	    "--log-level trace -o limits.connections=9 -o timeouts.body=1m");
	ck_assert_str_eq(c->app, "main:app");
	ck_assert_uint_eq(conf_workers(c), 2);
	ck_assert_str_eq(c->log_access, "stdout");
	ck_assert_str_eq(c->server_header, "asgid");
	ck_assert_int_eq(c->log_level, LOG_L_TRACE);
	ck_assert_int_eq(c->limits_connections, 9);
	ck_assert_int_eq(c->timeouts_body, 60 * NSEC_PER_SEC);
	conf_free(&c);
}
END_TEST

START_TEST(switches_keep_what_is_set)
{
	struct conf *c;

	write_file("app = \"x:y\"; log = { access = \"/a.log\"; };\n"
	    "server_header = \"mine\";");
	c = accept_line("-c @ --access-log --server-header");
	ck_assert_str_eq(c->log_access, "/a.log");
	ck_assert_str_eq(c->server_header, "mine");
	conf_free(&c);
	c = accept_line("-c @ --no-access-log --access-log --server-header "
	    "--no-server-header");
	ck_assert_str_eq(c->log_access, "/a.log");
	ck_assert_str_eq(c->server_header, "");
	conf_free(&c);
}
END_TEST

START_TEST(key_value)
{
	struct conf *c = accept_line("a:b -o factory=true -o umask=077 "
	    "-olimits.body_size=1M -o server_header=a=b -o user= "
	    "-o workers.count=auto -o log.format=common");

	ck_assert(c->factory);
	ck_assert_uint_eq(c->umask, 077);
	ck_assert_uint_eq(c->limits_body_size, 1 << 20);
	ck_assert_str_eq(c->server_header, "a=b");
	ck_assert_int_le(c->workers_count, 0);
	ck_assert_str_eq(c->log_format, "common");
	conf_free(&c);
}
END_TEST

START_TEST(no_idle_time_is_not_no_limit)
{
	struct conf *c = accept_line("a:b --timeout-keep-alive 0");

	ck_assert_int_eq(c->timeouts_keep_alive, 1);
	conf_free(&c);
	c = accept_line("a:b -o timeouts.keep_alive=0");
	ck_assert_int_eq(c->timeouts_keep_alive, 0);
	conf_free(&c);
}
END_TEST

START_TEST(actions)
{
	static const struct {
		const char *line;
		enum conf_action action;
	} cases[] = {
		{ "-t a:b", CONF_CHECK }, { "a:b -T", CONF_PRINT },
		{ "-tT a:b", CONF_PRINT }, { "-Tt a:b", CONF_PRINT },
		{ "--version", CONF_VERSION }, { "--help", CONF_HELP },
		{ "--bogus --help", CONF_HELP }, { "-t --version a b c",
		CONF_VERSION }, { "-- a:b", CONF_RUN },
	};
	struct conf *c;
	size_t i;

	for (i = 0; i < countof(cases); i++) {
		c = accept_line(cases[i].line);
		ck_assert_msg(action == cases[i].action, "%s",
		    cases[i].line);
		conf_free(&c);
	}
	write_file("app = \"x:y\";");
	c = accept_line("-tc @");
	ck_assert_int_eq(action, CONF_CHECK);
	conf_free(&c);
}
END_TEST

static const struct {
	const char	*line, *message;
} mistakes[] = {
	{ "", "neither a configuration file (-c FILE) nor an application "
	    "(module:attribute) is given\n" },
	{ "a:b c:d", "c:d: unexpected extra argument\n" },
	{ "--prot 3 a:b", "--prot: no such option, did you mean --port?\n" },
	{ "--log-levl=info a:b",
	    "--log-levl: no such option, did you mean --log-level?\n" },
	{ "--frobnicate", "--frobnicate: no such option\n" },
	{ "-x a:b", "-x: no such option\n" },
	{ "a:b --port", "--port: requires an argument\n" },
	{ "-c", "-c: requires an argument\n" },
	{ "a:b --factory=yes", "--factory: takes no value\n" },
	{ "a:b --no-access-log=1", "--no-access-log: takes no value\n" },
	{ "a:b --env-file .env", "--env-file: not supported by this "
	    "version\n" },
	{ "a:b -o control.grant=status,scael", "-o: control.grant: \"scael\": "
	    "no such command, did you mean scale?\n" },
	{ "a:b --reload-dir /nonexistent --reload", "--reload-dir: "
	    "reload.dirs: /nonexistent: No such file or directory\n" },
	{ "--ssl-keyfile k.pem a:b --ssl-certfile=c.pem",
	    "--ssl-keyfile: not supported by this version\n"
	    "--ssl-certfile: not supported by this version\n" },
	{ "a:b --port 65536",
	    "--port: expected an integer, 0 to 65535, given \"65536\"\n" },
	{ "a:b --port -1",
	    "--port: expected an integer, 0 to 65535, given \"-1\"\n" },
	{ "a:b --fd x",
	    "--fd: expected an integer, 0 to 2147483647, given \"x\"\n" },
	{ "a:b --backlog 0",
	    "--backlog: expected an integer, 1 to 65535, given \"0\"\n" },
	{ "a:b --host a/b",
	    "--host: \"a/b\": not a host name or an address\n" },
	{ "a:b --uds /x --port 80", "--host and --port, --uds, --fd and "
	    "-o listen exclude one another\n" },
	{ "a:b --uds=", "--uds: listen: the path is empty\n" },
	{ "a:b --workers 2000",
	    "--workers: workers.count: expected 1 to 1024, given \"2000\"\n" },
	{ "a:b --workers two", "--workers: workers.count: expected an "
	    "integer or \"auto\", given \"two\"\n" },
	{ "a:b --lifespan maybe", "--lifespan: lifespan: expected \"auto\", "
	    "\"on\" or \"off\", given \"maybe\"\n" },
	{ "a:b --timeout-keep-alive -5", "--timeout-keep-alive: "
	    "timeouts.keep_alive: expected a duration such as 10, 2.5, "
	    "\"250ms\", \"10s\", \"5m\" or \"1h\", given \"-5\"\n" },
	{ "a:b --limit-max-requests 1e3", "--limit-max-requests: "
	    "workers.max_requests: expected an integer, given \"1e3\"\n" },
	{ "a:b -o app", "-o: expected KEY=VALUE, given \"app\"\n" },
	{ "a:b -o limits.conections=5", "-o: limits.conections: unknown "
	    "option, did you mean limits.connections?\n" },
	{ "a:b -o listen=80",
	    "-o: listen: \"80\": the port is missing: address:port\n" },
	{ "a:b -o factory=yes", "-o: factory: expected true or false, "
	    "given \"yes\"\n" },
	{ "a:b --port x --workers y --bogus",
	    "--bogus: no such option\n" },
	{ "a:b --port x --workers y", "--workers: workers.count: expected "
	    "an integer or \"auto\", given \"y\"\n"
	    "--port: expected an integer, 0 to 65535, given \"x\"\n" },
};

START_TEST(usage_errors)
{
	refuse_line(mistakes[_i].line, true, mistakes[_i].message);
}
END_TEST

START_TEST(file_errors_are_no_usage_errors)
{
	char message[256];

	refuse_line("-c /nonexistent/x.conf", false,
	    "/nonexistent/x.conf: No such file or directory\n");
	refuse_line("-c /", false, "/: Is a directory\n");
	refuse_line("-c /dev/null", false, "/dev/null: not a regular file\n");
	write_file("workers = { count = 0; };\n");
	snprintf(message, sizeof(message), "%s:1: workers.count: expected 1 "
	    "to 1024, given the integer 0\n", file);
	refuse_line("-c @ a:b", false, message);
}
END_TEST

/* Who set a value is known by more than by how that is printed. */
START_TEST(file_with_the_name_of_an_option)
{
	static const char *const names[] = { "-x.conf", "--port", "--", "-o",
	    "$WEB_CONCURRENCY" };
	char dir[] = "/tmp/test_conf.XXXXXX", line[64], expected[128];
	FILE *f;
	size_t i;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	for (i = 0; i < countof(names); i++) {
		ck_assert_ptr_nonnull(f = fopen(names[i], "w"));
		fputs("app = \"a:b\";\nworkers = { count = 0; };\n", f);
		fclose(f);
		snprintf(line, sizeof(line), "-t -c %s", names[i]);
		snprintf(expected, sizeof(expected), "%s:2: workers.count: "
		    "expected 1 to 1024, given the integer 0\n", names[i]);
		refuse_line(line, false, expected);
		unlink(names[i]);
	}
	ck_assert_int_eq(chdir("/"), 0);
	rmdir(dir);
}
END_TEST

START_TEST(web_concurrency)
{
	struct conf *c;

	setenv("WEB_CONCURRENCY", "5", 1);
	c = accept_line("a:b");
	ck_assert_uint_eq(conf_workers(c), 5);
	conf_free(&c);
	write_file("app = \"x:y\"; workers = { count = 4; };");
	c = accept_line("-c @");
	ck_assert_uint_eq(conf_workers(c), 5);
	conf_free(&c);
	setenv("WEB_CONCURRENCY", "many", 1);
	refuse_line("a:b", false, "$WEB_CONCURRENCY: workers.count: expected an "
	    "integer or \"auto\", given \"many\"\n");
	c = accept_line("a:b --workers 2");
	ck_assert_uint_eq(conf_workers(c), 2);
	conf_free(&c);
	c = accept_line("a:b -o workers.count=3");
	ck_assert_uint_eq(conf_workers(c), 3);
	conf_free(&c);
	/* uvicorn takes both for one */
	setenv("WEB_CONCURRENCY", "0", 1);
	c = accept_line("a:b");
	ck_assert_uint_eq(conf_workers(c), 1);
	conf_free(&c);
	setenv("WEB_CONCURRENCY", "", 1);
	c = accept_line("a:b --workers 0");
	ck_assert_uint_eq(conf_workers(c), 1);
	conf_free(&c);
}
END_TEST

START_TEST(lists)
{
	struct conf *c = accept_line("a:b");

	ck_assert(!c->reload_watch);
	ck_assert_str_eq(list_words(&c->reload_dirs), "");
	ck_assert_str_eq(list_words(&c->reload_include), "*.py");
	ck_assert_str_eq(list_words(&c->reload_exclude), ".* .py[cod] .sw.* ~*");
	ck_assert_str_eq(list_words(&c->control_grant),
	    "status stats workers check config ping version wait help");
	conf_free(&c);

	/* uvicorn's names add to the default, one string each */
	c = accept_line("a:b --reload --reload-dir / --reload-dir=/tmp "
	    "--reload-include *.html --reload-include a,b "
	    "--reload-exclude x --reload-delay 0.5");
	ck_assert(c->reload_watch);
	ck_assert_str_eq(list_words(&c->reload_dirs), "/ /tmp");
	ck_assert_str_eq(list_words(&c->reload_include), "*.py *.html a,b");
	ck_assert_str_eq(list_words(&c->reload_exclude),
	    ".* .py[cod] .sw.* ~* x");
	ck_assert_int_eq(c->reload_delay, 500 * NSEC_PER_MSEC);
	conf_free(&c);

	write_file("app = \"x:y\"; control = { grant = [ \"ping\" ]; };\n"
	    "reload = { dirs = (\"d\"); include = [\"*.txt\"]; };");
	c = accept_line("-c @");
	ck_assert_str_eq(list_words(&c->control_grant), "ping");
	ck_assert_str_eq(list_words(&c->reload_dirs), "d");
	ck_assert_str_eq(list_words(&c->reload_include), "*.txt");
	conf_free(&c);
	c = accept_line("-c @ -o control.grant=status,stop -o reload.dirs= "
	    "-o control.grant=help --reload-include *.html");
	ck_assert_str_eq(list_words(&c->control_grant), "status stop help");
	ck_assert_str_eq(list_words(&c->reload_dirs), "");
	ck_assert_str_eq(list_words(&c->reload_include), "*.py *.html");
	conf_free(&c);
	/* nobody looks at directories that are not watched */
	c = accept_line("a:b --reload-dir /nonexistent");
	conf_free(&c);
}
END_TEST

START_TEST(help_names_everything)
{
	static const char *const names[] = {
#define OPTION(key, member, type, def, min, max, class, name, text) name,
#include "conf/options.def"
#undef OPTION
		"-c FILE", "-t", "-T", "-h", "-o KEY=VALUE", "--host", "--port",
		"--uds", "--fd", "--backlog", "--version", "--help",
	};
	struct buf text = BUF_INIT;
	size_t i;

	conf_usage(&text);
	for (i = 0; i < countof(names); i++)
		ck_assert_msg(strstr(buf_str(&text), names[i]) != NULL,
		    "%s", names[i]);
	buf_fini(&text);
}
END_TEST

TCase *
cmdline_tests(void)
{
	TCase *t = tcase_create("cmdline");

	tcase_add_checked_fixture(t, conf_setup, conf_teardown);
	tcase_add_test(t, application_alone);
	tcase_add_test(t, uvicorns_names);
	tcase_add_test(t, every_name_of_the_table);
	tcase_add_loop_test(t, tcp_listeners, 0, (int)countof(tcp));
	tcase_add_test(t, other_listeners);
	tcase_add_test(t, command_line_wins_over_file);
	tcase_add_test(t, switches_keep_what_is_set);
	tcase_add_test(t, key_value);
	tcase_add_test(t, no_idle_time_is_not_no_limit);
	tcase_add_test(t, actions);
	tcase_add_loop_test(t, usage_errors, 0, (int)countof(mistakes));
	tcase_add_test(t, file_errors_are_no_usage_errors);
	tcase_add_test(t, file_with_the_name_of_an_option);
	tcase_add_test(t, web_concurrency);
	tcase_add_test(t, lists);
	tcase_add_test(t, help_names_everything);
	return t;
}
