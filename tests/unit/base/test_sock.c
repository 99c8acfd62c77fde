/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/sock.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "test_base.h"

/* A listening socket whose backlog has room: TCP, or UNIX with a name of the
 * kernel's choice. */
static int
listening(int family, struct sock_addr *a)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memset(a, 0, sizeof(*a));
	a->ss.ss_family = (sa_family_t)family;
	a->len = sizeof(sa_family_t);
	if (family == AF_INET) {
		((struct sockaddr_in *)(void *)&a->ss)->sin_addr.s_addr =
		    htonl(INADDR_LOOPBACK);
		a->len = sizeof(struct sockaddr_in);
	}
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(bind(fd, (void *)&a->ss, a->len), 0);
	a->len = sizeof(a->ss);
	ck_assert_int_eq(getsockname(fd, (void *)&a->ss, &a->len), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

/* 0 or errno. */
static int
knock(const struct sock_addr *a, int *fd)
{
	*fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	ck_assert_int_ne(*fd, -1);
	if (connect(*fd, (const void *)&a->ss, a->len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	/* on the loopback it is known at once whether anybody is there */
	return send(*fd, "x", 1, MSG_NOSIGNAL) == 1 ? 0 : errno;
}

/* What was queued can be accepted, nothing comes after it. */
static void
check_end(int family, int knocked)
{
	struct sock_addr a;
	int fd = listening(family, &a), copy = dup(fd), first, second, got;

	ck_assert(!sock_is_last(fd));
	ck_assert_int_eq(sock_set_last(fd), 0);
	ck_assert(sock_is_last(fd) && sock_is_last(copy));
	ck_assert_int_eq(knock(&a, &first), 0);
	if (sock_refuse(fd) == -1) {
		/* an ordinary user may not */
		ck_assert(family == AF_INET && errno == EPERM);
		knocked = 0;
	}
	ck_assert(sock_is_last(fd));
	ck_assert_int_eq(knock(&a, &second), knocked);
	got = accept(copy, NULL, NULL);
	ck_assert_int_ne(got, -1);
	ck_assert_int_eq(send(got, "hello", 5, 0), 5);
	close(got);
	if (knocked == 0)
		close(accept(copy, NULL, NULL));
	ck_assert_int_eq(accept(copy, NULL, NULL), -1);
	ck_assert_int_eq(errno, EAGAIN);
	close(first);
	close(second);
	close(copy);
	close(fd);
}

START_TEST(last_tcp)
{
	check_end(AF_INET, EAGAIN);	/* not answered */
}
END_TEST

START_TEST(last_unix)
{
	check_end(AF_UNIX, ECONNREFUSED);
}
END_TEST

Suite *
sock_suite(void)
{
	Suite *s = suite_create("sock");
	TCase *t = tcase_create("end of a listener");

	tcase_add_test(t, last_tcp);
	tcase_add_test(t, last_unix);
	suite_add_tcase(s, t);
	return s;
}
