/* SPDX-License-Identifier: BSD-3-Clause */
#include "asgictl/peer.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "ctl/ctl.h"

#define RETRY	(20 * NSEC_PER_MSEC)
#define PIECE	65536

/* Until one of the events, an end, or the deadline. */
static int
await(int fd, short events, nsec_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	nsec_t left;
	int n;

	do {
		left = deadline == NSEC_NEVER ? -1 :
		    (deadline - mono_now() + NSEC_PER_MSEC - 1) /
		    NSEC_PER_MSEC;
		if (left < 0 && deadline != NSEC_NEVER)
			left = 0;
		n = poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
	} while ((n == -1 && errno == EINTR) || (n == 0 && left > INT_MAX));
	if (n == 0)
		errno = ETIMEDOUT;
	return n > 0 ? 0 : -1;
}

static int
pause_until(nsec_t deadline)
{
	const struct timespec ts = { .tv_nsec = RETRY };

	if (mono_now() >= deadline) {
		errno = ETIMEDOUT;
		return -1;
	}
	nanosleep(&ts, NULL);
	return 0;
}

/* ---- connecting --------------------------------------------------------- */

/* Who listens; a process of another PID namespace has no number here. */
static void
identify(struct peer *p)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	p->process = -1;
	p->user = (uid_t)-1;
	if (getsockopt(p->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		return;
	p->user = cred.uid;
	if (cred.pid > 0)
		p->process = (int)syscall(SYS_pidfd_open, cred.pid, 0);
}

/* A file that is no socket refuses connections like a dead daemon's. */
static void
tell_refusals_apart(const char *path)
{
	struct stat st;

	if (errno != ECONNREFUSED)
		return;
	errno = stat(path, &st) == 0 && !S_ISSOCK(st.st_mode) ? ENOTSOCK :
	    ECONNREFUSED;
}

int
peer_open(struct peer *p, const char *path, nsec_t deadline)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sun.sun_path, path);
	p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd == -1)
		return -1;
	while (connect(p->fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		/* EAGAIN: too many wait to be accepted */
		if (errno == EAGAIN && pause_until(deadline) == 0)
			continue;
		tell_refusals_apart(path);
		fd_close(&p->fd);
		return -1;
	}
	identify(p);
	return 0;
}

void
peer_close(struct peer *p)
{
	fd_close(&p->fd);
	fd_close(&p->process);
	buf_fini(&p->in);
}

/* ---- talking ------------------------------------------------------------ */

int
peer_ask(struct peer *p, const struct buf *line, nsec_t deadline)
{
	const char *data = line->data;
	size_t left = line->len;
	ssize_t n;

	while (left > 0) {
		n = send(p->fd, data, left, MSG_NOSIGNAL);
		if (n >= 0) {
			data += n;
			left -= (size_t)n;
		} else if (errno == EPIPE || errno == ECONNRESET)
			return 0;
		else if (errno == EAGAIN) {
			if (await(p->fd, POLLOUT, deadline) == -1)
				return -1;
		} else if (errno != EINTR)
			return -1;
	}
	return 0;
}

/* More into p->in: 1, 0 at the end, or -1 with errno. */
static int
receive(struct peer *p, nsec_t deadline)
{
	char *to = buf_reserve(&p->in, PIECE);
	ssize_t n;

	if (to == NULL) {
		errno = ENOMEM;
		return -1;
	}
	while ((n = recv(p->fd, to, PIECE, 0)) == -1) {
		if (errno == ECONNRESET)
			return 0;
		if (errno != EINTR && (errno != EAGAIN ||
		    await(p->fd, POLLIN, deadline) == -1))
			return -1;
	}
	p->in.len += (size_t)n;
	p->in.data[p->in.len] = '\0';
	return n > 0;
}

static int
read_head(struct peer *p, int *code, size_t *length, nsec_t deadline)
{
	char *end;
	int n;

	for (;;) {
		end = p->in.len > 0 ? memchr(p->in.data, '\n', p->in.len) :
		    NULL;
		if (end != NULL)
			break;
		if (p->in.len >= CTL_HEAD_MAX)
			goto bad;
		if ((n = receive(p, deadline)) == -1)
			return -1;
		if (n == 0) {
			errno = p->in.len == 0 ? ENODATA : EPROTO;
			return -1;
		}
	}
	if (ctl_parse_head((struct str){ p->in.data,
	    (size_t)(end - p->in.data) }, code, length) == -1)
		goto bad;
	buf_drop(&p->in, (size_t)(end + 1 - p->in.data));
	if (*length <= PEER_TEXT_MAX)
		return 0;
	errno = EMSGSIZE;
	return -1;
bad:
	errno = EBADMSG;
	return -1;
}

int
peer_answer(struct peer *p, int *code, struct buf *text, nsec_t deadline)
{
	size_t length;
	int n;

	if (read_head(p, code, &length, deadline) == -1)
		return -1;
	while (p->in.len < length) {
		if ((n = receive(p, deadline)) == -1)
			return -1;
		if (n == 0) {
			errno = EPROTO;
			return -1;
		}
	}
	buf_reset(text);
	buf_put(text, p->in.data, length);
	buf_drop(&p->in, length);
	if (!text->failed)
		return 0;
	errno = ENOMEM;
	return -1;
}

/* ---- its end ------------------------------------------------------------ */

int
peer_wait_gone(struct peer *p, nsec_t deadline)
{
	int n;

	if (p->process != -1)
		return await(p->process, POLLIN, deadline);
	/* whatever it still says is of no interest */
	while ((n = receive(p, deadline)) == 1)
		buf_reset(&p->in);
	return n;
}
