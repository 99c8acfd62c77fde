/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/listen.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "master/hint.h"
#include "master/names.h"
#include "master/tcp.h"
#include "master/unix.h"
#include "proc/birth.h"

#define ACTIVATED_FIRST	3	/* SD_LISTEN_FDS_START */
#define PORT_TRIES	16

/* ---- the set ------------------------------------------------------------ */

/* Takes over fd, also when it fails: then errno is 0, for it has logged. */
static struct listener *
add(struct listeners *ls, int fd)
{
	struct listener *l, *at;

	if (ls->len == BIRTH_LISTENERS_MAX) {
		log_err("listen: more than %d sockets", BIRTH_LISTENERS_MAX);
		goto fail;
	}
	at = realloc(ls->at, (ls->len + 1) * sizeof(*at));
	if (at == NULL) {
		log_err("listen: %s", strerror(errno));
		goto fail;
	}
	ls->at = at;
	l = &at[ls->len++];
	*l = (struct listener){ .fd = fd, .file = -1, .inherited = -1 };
	l->addr.len = sizeof(l->addr.ss);
	if (getsockname(fd, (struct sockaddr *)&l->addr.ss,
	    &l->addr.len) == -1)
		l->addr.len = 0;
	return l;
fail:
	close(fd);
	errno = 0;
	return NULL;
}

static void
shrink(struct listeners *ls, size_t len)
{
	struct listener *l;

	while (ls->len > len) {
		l = &ls->at[--ls->len];
		fd_close(&l->fd);
		if (l->path != NULL && !l->kept)
			unix_remove(l->path, &l->file);
		fd_close(&l->file);
		free(l->path);
		free(l->asked);
	}
}

void
listeners_close(struct listeners *ls)
{
	shrink(ls, 0);
	free(ls->at);
	ls->at = NULL;
}

/* ---- what the former set has -------------------------------------------- */

static int
keep(struct listeners *ls, const struct listener *o)
{
	int fd = fcntl(o->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	struct listener *l;

	if (fd == -1) {
		log_err("listen: %s", strerror(errno));
		return -1;
	}
	if ((l = add(ls, fd)) == NULL)
		return -1;
	l->kept = true;
	l->entry = o->entry;
	l->inherited = o->inherited;
	if (o->path == NULL || ((l->path = strdup(o->path)) != NULL &&
	    (l->file = fcntl(o->file, F_DUPFD_CLOEXEC, 0)) != -1))
		return 0;
	log_err("listen: %s", strerror(errno));
	return -1;
}

static const struct listener *
former_fd(const struct listeners *ls, int fd)
{
	size_t i;

	for (i = 0; i < ls->len; i++)
		if (ls->at[i].inherited == fd)
			return &ls->at[i];
	return NULL;
}

static bool
same_addr(const struct sock_addr *a, const struct sock_addr *b)
{
	return a->len == b->len && memcmp(&a->ss, &b->ss, a->len) == 0;
}

/* ---- TCP ---------------------------------------------------------------- */

/* For those of the former set that stand in the way. How many. */
static size_t
share_former(const struct listeners *former, const struct sock_addr *a,
    bool on)
{
	size_t i, n = 0;

	for (i = 0; former != NULL && i < former->len; i++)
		if (tcp_overlap(&former->at[i].addr, a)) {
			tcp_share(former->at[i].fd, on);
			n++;
		}
	return n;
}

/*
 * -1 with errno.  What overlaps a socket of the former set is silent: it
 * listens when its workers are there, so that its clients find the old ones
 * until then.
 */
static int
tcp_open(const struct listeners *former, const struct sock_addr *a,
    int backlog, bool *silent)
{
	int fd = tcp_bind(a, false), saved;

	*silent = fd == -1 && errno == EADDRINUSE &&
	    share_former(former, a, true) > 0;
	if (*silent) {
		fd = tcp_bind(a, true);
		saved = errno;
		share_former(former, a, false);
		errno = saved;
	}
	if (fd == -1)
		return -1;
	if (*silent) {
		tcp_share(fd, false);
		return fd;
	}
	if (listen(fd, backlog) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* A name may resolve to the same address twice. */
static bool
have(const struct listeners *ls, size_t from, const struct sock_addr *a)
{
	for (; from < ls->len; from++)
		if (same_addr(&ls->at[from].addr, a))
			return true;
	return false;
}

/* The same address again. 1, 0: there is none, or -1 after logging. */
static int
keep_address(struct listeners *ls, const struct sock_addr *a)
{
	const struct listeners *former = ls->former;
	size_t i;

	for (i = 0; former != NULL && i < former->len; i++)
		if (former->at[i].inherited == -1 &&
		    same_addr(&former->at[i].addr, a))
			return keep(ls, &former->at[i]) == 0 ? 1 : -1;
	return 0;
}

/* Port 0 again: the ports that the kernel chose before, once. 1, 0, -1 as
 * above. */
static int
keep_any_port(struct listeners *ls, const char *asked)
{
	const struct listeners *former = ls->former;
	size_t i, entry = LISTENER_GIVEN;
	const struct listener *o;

	for (i = 0; former != NULL && i < former->len; i++) {
		o = &former->at[i];
		if (o->asked == NULL || strcmp(o->asked, asked) != 0 ||
		    (entry != LISTENER_GIVEN && o->entry != entry) ||
		    have(ls, 0, &o->addr))
			continue;
		if (keep(ls, o) == -1)
			return -1;
		entry = o->entry;
	}
	return entry != LISTENER_GIVEN;
}

/*
 * All addresses of one name.  Port 0: the first one's free port serves for
 * the others too.  An address that this machine does not have (::1 without
 * IPv6) is passed over as long as another one works.  0, or -1 with errno
 * (0: logged already) and the address that failed in *a.
 */
static int
tcp_each(struct listeners *ls, const struct conf_listen *cl,
    const struct sock_addr *list, size_t n, struct sock_addr *a)
{
	in_port_t port = htons((in_port_t)cl->port);
	size_t from = ls->len, i;
	struct listener *l;
	int fd, kept, skipped = 0;
	bool silent;

	for (i = 0; i < n; i++) {
		*a = list[i];
		*tcp_port(a) = port;
		if (have(ls, from, a))
			continue;
		if ((kept = keep_address(ls, a)) == -1) {
			errno = 0;
			return -1;
		}
		if (kept == 1)
			continue;
		fd = tcp_open(ls->former, a, cl->backlog, &silent);
		if (fd == -1) {
			if (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)
				return -1;
			skipped = errno;
			continue;
		}
		if ((l = add(ls, fd)) == NULL)
			return -1;
		l->silent = silent;
		port = *tcp_port(&l->addr);
	}
	if (ls->len > from)
		return 0;
	errno = skipped;
	return -1;
}

static void
cannot_listen(const struct sock_addr *a, int error)
{
	char text[SOCK_TEXT_MAX];
	struct buf hint = BUF_INIT;

	sock_text(a, text);
	hint_listen(a, error, &hint);
	log_err("listen %s: %s%s", text, strerror(error), buf_str(&hint));
	buf_fini(&hint);
}

static int
open_tcp(struct listeners *ls, const struct conf_listen *cl,
    const char *asked)
{
	const struct sock_addr *list;
	struct sock_addr a = { .len = 0 };
	size_t from = ls->len, n;
	int rv, try = 0;

	if (cl->port == 0 && (rv = keep_any_port(ls, asked)) != 0)
		return rv == 1 ? 0 : -1;
	if ((rv = names_host(cl->host, &list, &n)) != 0) {
		log_err("listen %s:%u: %s", cl->host, cl->port,
		    names_host_error(rv));
		return -1;
	}
	/* the free port of one family may be taken in the other */
	while ((rv = tcp_each(ls, cl, list, n, &a)) == -1 && cl->port == 0 &&
	    errno == EADDRINUSE && ++try < PORT_TRIES)
		shrink(ls, from);
	if (rv == -1 && errno != 0)
		cannot_listen(&a, errno);
	return rv;
}

/* ---- UNIX --------------------------------------------------------------- */

/* 1, 0 (there is none, or somebody has taken its file away), or -1 after
 * logging. */
static int
keep_unix(struct listeners *ls, const struct conf_listen *cl)
{
	const struct listeners *former = ls->former;
	const struct listener *o;
	size_t i;

	for (i = 0; former != NULL && i < former->len; i++) {
		o = &former->at[i];
		if (o->path == NULL || strcmp(o->path, cl->path) != 0 ||
		    !unix_is_ours(o->path, o->file))
			continue;
		return unix_check(cl) == 0 && keep(ls, o) == 0 ? 1 : -1;
	}
	return 0;
}

static int
open_unix(struct listeners *ls, const struct conf_listen *cl,
    const char *asked UNUSED)
{
	struct listener *l;
	int fd, file, kept = keep_unix(ls, cl);

	if (kept != 0)
		return kept == 1 ? 0 : -1;
	if ((fd = unix_listen(cl, "listen", &file)) == -1)
		return -1;
	if ((l = add(ls, fd)) == NULL ||
	    (l->path = strdup(cl->path)) == NULL) {
		unix_remove(cl->path, &file);
		return -1;
	}
	l->file = file;
	return 0;
}

/* ---- inherited ---------------------------------------------------------- */

/* Give a socket that came as a standard descriptor (inetd, --fd 0) another
 * number, so that workers do not find it as their stdin. */
static int
move_up(int fd)
{
	int up, null;

	if (fd > STDERR_FILENO)
		return fd;
	if ((up = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)) == -1)
		return -1;
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1 ||
	    dup2(null, fd) == -1) {
		fd_close(&null);
		close(up);
		return -1;
	}
	close(null);
	return up;
}

static int
getint(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ?
	    value : -1;
}

static int
adopt(struct listeners *ls, int fd, int backlog)
{
	int type = getint(fd, SO_TYPE), up;
	struct listener *l;

	if (former_fd(ls, fd) != NULL)
		return 0;
	if (type == -1)
		goto fail;
	if (type != SOCK_STREAM) {
		log_err("listen fd %d: not a stream socket", fd);
		return -1;
	}
	(void)sock_refuse_rights(fd);	/* those of UNIX sockets */
	if ((getint(fd, SO_ACCEPTCONN) != 1 && listen(fd, backlog) == -1) ||
	    fd_set_nonblock(fd, true) == -1 || (up = move_up(fd)) == -1 ||
	    fd_set_cloexec(up, true) == -1)
		goto fail;
	if ((l = add(ls, up)) == NULL)
		return -1;
	l->inherited = fd;
	return 0;
fail:
	log_err("listen fd %d: %s", fd, strerror(errno));
	return -1;
}

/* Later the number may be that of anything: only what came with the start
 * can be used again. */
static int
open_fd(struct listeners *ls, const struct conf_listen *cl,
    const char *asked UNUSED)
{
	const struct listener *o;

	if (former_fd(ls, cl->fd) != NULL)
		return 0;
	if (ls->former != NULL) {
		if ((o = former_fd(ls->former, cl->fd)) != NULL)
			return keep(ls, o);
		log_err("listen fd %d: a descriptor can only be inherited "
		    "when asgid starts", cl->fd);
		return -1;
	}
	return adopt(ls, cl->fd, cl->backlog);
}

/* How many sockets the service manager gave us. Workers and the
 * application's children must not take them for theirs. */
static unsigned
activated(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t n = 0, of = 0;

	if (pid == NULL || fds == NULL ||
	    str_to_uint(str_of(pid), &of) == -1 || of != (uint64_t)getpid() ||
	    str_to_uint(str_of(fds), &n) == -1 || n > BIRTH_LISTENERS_MAX)
		n = 0;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return (unsigned)n;
}

/* ---- all ---------------------------------------------------------------- */

static int (*const openers[])(struct listeners *,
    const struct conf_listen *, const char *asked) = {
	[CONF_LISTEN_TCP]	= open_tcp,
	[CONF_LISTEN_UNIX]	= open_unix,
	[CONF_LISTEN_FD]	= open_fd,
};

/* The service manager's sockets: -1, or how many there are. */
static int
open_given(struct listeners *ls)
{
	const struct listeners *former = ls->former;
	unsigned given, i;
	int n = 0;

	for (i = 0; former != NULL && i < former->len; i++) {
		if (former->at[i].entry != LISTENER_GIVEN)
			continue;
		if (keep(ls, &former->at[i]) == -1)
			return -1;
		n++;
	}
	if (former != NULL)
		return n;
	given = activated();
	for (i = 0; i < given; i++) {
		if (adopt(ls, ACTIVATED_FIRST + (int)i, SOMAXCONN) == -1)
			return -1;
		ls->at[i].entry = LISTENER_GIVEN;
	}
	if (given > 0)
		log_info("listen: using the service manager's sockets "
		    "instead of the configured addresses");
	return (int)given;
}

static int
open_entry(struct listeners *ls, const struct conf *conf, size_t entry)
{
	const struct conf_listen *cl = &conf->listen[entry];
	struct buf asked = BUF_INIT;
	size_t i = ls->len;
	int rv = -1;

	conf_listen_text(cl, &asked);
	if (asked.failed)
		log_err("listen: %s", strerror(ENOMEM));
	else
		rv = openers[cl->kind](ls, cl, buf_str(&asked));
	for (; rv == 0 && i < ls->len; i++) {
		ls->at[i].entry = entry;
		ls->at[i].asked = strdup(buf_str(&asked));
		if (ls->at[i].asked == NULL) {
			log_err("listen: %s", strerror(errno));
			rv = -1;
		}
	}
	buf_fini(&asked);
	return rv;
}

/* What is beside the former set for a while must not be beside our own for
 * ever: the next start would fail. */
static int
check_silent(const struct listeners *ls)
{
	char text[SOCK_TEXT_MAX];
	size_t i, j;

	for (i = 0; i < ls->len; i++)
		for (j = 0; ls->at[i].silent && j < ls->len; j++) {
			if (!tcp_overlap(&ls->at[i].addr, &ls->at[j].addr))
				continue;
			sock_text(&ls->at[i].addr, text);
			log_err("listen %s: %s", text, strerror(EADDRINUSE));
			return -1;
		}
	return 0;
}

int
listeners_open(struct listeners *ls, const struct conf *conf,
    const struct listeners *former)
{
	size_t i;
	int given;

	*ls = (struct listeners){ NULL, 0, former };
	if ((given = open_given(ls)) == -1)
		goto fail;
	for (i = 0; i < conf->nlisten; i++) {
		if (given > 0 && conf->listen[i].kind != CONF_LISTEN_FD)
			continue;
		if (open_entry(ls, conf, i) == -1)
			goto fail;
	}
	if (check_silent(ls) == -1)
		goto fail;
	ls->former = NULL;
	return 0;
fail:
	listeners_close(ls);
	return -1;
}

/* ---- one set after another ---------------------------------------------- */

/* Is it one of the sockets that were copied from the former set? */
static bool
is_kept(const struct listeners *ls, const struct listener *o)
{
	size_t i;

	for (i = 0; ls != NULL && i < ls->len; i++)
		if (ls->at[i].kept && same_addr(&ls->at[i].addr, &o->addr))
			return true;
	return false;
}

void
listeners_set_last(const struct listeners *ls, const struct listeners *next)
{
	const struct listener *l;
	size_t i;

	for (i = 0; i < ls->len; i++) {
		l = &ls->at[i];
		if (l->inherited == -1 && !is_kept(next, l) &&
		    sock_set_last(l->fd) == -1)
			log_warn("%s: connections may be lost: %s", l->asked,
			    strerror(errno));
	}
}

/* The new one's settings for a socket that stays. */
static void
adjust(struct listener *l, const struct conf *conf)
{
	const struct conf_listen *cl;

	if (l->entry == LISTENER_GIVEN || l->inherited != -1)
		return;
	cl = &conf->listen[l->entry];
	if (listen(l->fd, cl->backlog) == -1)
		log_err("%s: %s", l->asked, strerror(errno));
	if (cl->kind == CONF_LISTEN_UNIX)
		unix_adjust(cl, l->file);
}

/* Both ends of what was copied: the file has a new owner. */
static void
hand_over(struct listener *o, struct listeners *to)
{
	size_t i;

	for (i = 0; o->path != NULL && i < to->len; i++) {
		if (!to->at[i].kept || to->at[i].path == NULL ||
		    strcmp(to->at[i].path, o->path) != 0)
			continue;
		free(o->path);
		o->path = NULL;
	}
}

static void
break_silence(struct listener *l, const struct listeners *former,
    const struct conf *conf)
{
	tcp_share(l->fd, true);
	share_former(former, &l->addr, true);
	if (listen(l->fd, conf->listen[l->entry].backlog) == -1)
		log_err("%s: %s", l->asked, strerror(errno));
	tcp_share(l->fd, false);
	share_former(former, &l->addr, false);
	l->silent = false;
}

void
listeners_replace(struct listeners *ls, struct listeners *former,
    const struct conf *conf)
{
	char text[LISTENER_TEXT_MAX];
	size_t i;

	for (i = 0; i < ls->len; i++)
		if (ls->at[i].silent)
			break_silence(&ls->at[i], former, conf);
	for (i = 0; i < former->len; i++) {
		hand_over(&former->at[i], ls);
		if (have(ls, 0, &former->at[i].addr))
			continue;
		listener_text(&former->at[i], text);
		log_info("asgid no longer listens on %s", text);
	}
	for (i = 0; i < ls->len; i++) {
		if (ls->at[i].kept) {
			ls->at[i].kept = false;
			adjust(&ls->at[i], conf);
			continue;
		}
		listener_text(&ls->at[i], text);
		log_info("asgid running on %s", text);
	}
	listeners_close(former);
}

void
listener_text(const struct listener *l, char to[LISTENER_TEXT_MAX])
{
	char text[SOCK_TEXT_MAX];

	sock_text(&l->addr, text);
	if (sock_is_unix(&l->addr))
		snprintf(to, LISTENER_TEXT_MAX, "unix socket %s",
		    text + strlen("unix:"));
	else
		snprintf(to, LISTENER_TEXT_MAX, "http://%s", text);
}
