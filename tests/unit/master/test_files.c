/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Two starts that meet at one file: a socket that both find stale, a pid file
 * that the other is about to remove.  What the other does comes at the worst
 * moment: hooked into the call that looks.
 */
#include <sys/file.h>
#include <sys/socket.h>

static int	 hooked_connect(int, const struct sockaddr *, socklen_t);
static int	 hooked_flock(int, int);

#define connect(fd, addr, len)	hooked_connect(fd, addr, len)
#define flock(fd, how)		hooked_flock(fd, how)
#include "master/pidfile.c"
#include "master/unix.c"
#undef connect
#undef flock

#include <check.h>

#include "base/buf.h"

static char folder[] = "/tmp/asgid-XXXXXX", path[64];
static struct buf said = BUF_INIT;
static void (*meanwhile)(void);
static int other = -1;

static void
happen(void)
{
	void (*what)(void) = meanwhile;

	meanwhile = NULL;
	if (what != NULL)
		what();
}

/* After the look: what it saw is already wrong. */
static int
hooked_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int rv = connect(fd, addr, len), saved = errno;

	happen();
	errno = saved;
	return rv;
}

static int
hooked_flock(int fd, int how)
{
	happen();
	return flock(fd, how);
}

static void
set_up(void)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/it", folder);
	buf_reset(&said);
	log_tee(&said);
}

/* Nothing but what has the name is left. */
static void
tear_down(void)
{
	fd_close(&other);
	(void)unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
	log_tee(NULL);
	buf_fini(&said);
	said = (struct buf)BUF_INIT;
}

/* ---- sockets ------------------------------------------------------------ */

static int
bound(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = new_socket();

	memcpy(un.sun_path, path, strlen(path) + 1);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&un, sizeof(un)),
	    0);
	return fd;
}

static int
start(int *file)
{
	char none[] = "";
	struct conf_listen cl = { .kind = CONF_LISTEN_UNIX, .path = path,
	    .owner = none, .group = none, .mode = 0640, .backlog = 4 };

	return unix_listen(&cl, "listen", file);
}

static void
leave_stale(void)
{
	close(bound());
}

static bool
reaches(int listener)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = new_socket(), got;

	memcpy(un.sun_path, path, strlen(path) + 1);
	(void)connect(fd, (const struct sockaddr *)&un, sizeof(un));
	got = accept(listener, NULL, NULL);
	close(fd);
	close(got);
	return got != -1;
}

/* The other has replaced it and listens. */
static void
other_was_quicker(void)
{
	ck_assert_int_eq(unlink(path), 0);
	other = bound();
	ck_assert_int_eq(listen(other, 4), 0);
}

START_TEST(stale_is_replaced_once)
{
	int fd, file;

	leave_stale();
	meanwhile = other_was_quicker;
	fd = start(&file);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(file, -1);
	ck_assert_ptr_nonnull(strstr(buf_str(&said),
	    "Address already in use"));
	ck_assert(reaches(other));
}
END_TEST

static void
other_took_it_away(void)
{
	ck_assert_int_eq(unlink(path), 0);
}

START_TEST(stale_that_is_gone_is_no_obstacle)
{
	int fd, file;

	leave_stale();
	meanwhile = other_took_it_away;
	fd = start(&file);
	ck_assert_int_ne(fd, -1);
	ck_assert(reaches(fd));
	unix_remove(path, &file);
	close(fd);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(only_its_own_is_removed)
{
	int fd, file;

	ck_assert_int_ne(fd = start(&file), -1);
	ck_assert(unix_is_ours(path, file));
	close(fd);
	other_was_quicker();
	ck_assert(!unix_is_ours(path, file));
	unix_remove(path, &file);
	ck_assert(reaches(other));
}
END_TEST

/* ---- pid files ---------------------------------------------------------- */

static struct pidfile predecessor;

static void
predecessor_ends(void)
{
	pidfile_fini(&predecessor);
}

START_TEST(lock_of_a_removed_pid_file_does_not_count)
{
	struct pidfile mine, third;

	ck_assert_int_eq(pidfile_init(&predecessor, path), 0);
	meanwhile = predecessor_ends;
	ck_assert_int_eq(pidfile_init(&mine, path), 0);
	ck_assert(still_ours(&mine));
	/* else a third one would not notice us */
	ck_assert_int_eq(pidfile_init(&third, path), -1);
	ck_assert_ptr_nonnull(strstr(buf_str(&said),
	    "another asgid is running"));
	pidfile_fini(&mine);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(pid_file_of_two_names_is_none)
{
	char name[sizeof(path) + 2];
	struct pidfile p;
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	close(fd);
	snprintf(name, sizeof(name), "%s.x", path);
	ck_assert_int_eq(link(path, name), 0);
	ck_assert_int_eq(pidfile_init(&p, path), -1);
	ck_assert_int_eq(unlink(name), 0);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { stale_is_replaced_once,
		stale_that_is_gone_is_no_obstacle, only_its_own_is_removed,
		lock_of_a_removed_pid_file_does_not_count,
		pid_file_of_two_names_is_none };
	Suite *s = suite_create("files");
	TCase *t = tcase_create("files");
	SRunner *runner;
	size_t i;
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	for (i = 0; i < countof(tests); i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
