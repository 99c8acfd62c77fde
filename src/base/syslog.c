/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/syslog.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"

static struct {
	int		 fd;
	int		 type;		/* the reader chooses */
} line_out = { -1, SOCK_DGRAM };

static int
connect_as(int type)
{
	static const struct sockaddr_un un = { .sun_family = AF_UNIX,
	    .sun_path = _PATH_LOG };

	fd_close(&line_out.fd);
	line_out.type = type;
	line_out.fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (line_out.fd == -1)
		return -1;
	return connect(line_out.fd, (const struct sockaddr *)&un,
	    sizeof(un));
}

static int
reconnect(void)
{
	if (connect_as(SOCK_DGRAM) == 0 || (errno == EPROTOTYPE &&
	    connect_as(SOCK_STREAM) == 0))
		return 0;
	fd_close(&line_out.fd);
	return -1;
}

/* In a stream each message ends with a NUL; one that was cut cannot be gone on
 * with. */
static int
send_once(const struct buf *b)
{
	size_t n = b->len + (line_out.type == SOCK_STREAM ? 1 : 0);
	ssize_t sent = send(line_out.fd, b->data, n, MSG_NOSIGNAL);

	if (sent == -1 || (size_t)sent == n)
		return sent == -1 ? -1 : 0;
	fd_close(&line_out.fd);
	errno = EAGAIN;
	return -1;
}

/* As RFC 3164 has it, in English whatever the application's locale is. */
static void
put_head(struct buf *b, const char *ident, int priority)
{
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	buf_printf(b, "<%d>%s %2d %02d:%02d:%02d %s[%d]: ",
	    LOG_DAEMON | priority, months[tm.tm_mon % 12], tm.tm_mday,
	    tm.tm_hour, tm.tm_min, tm.tm_sec, ident, (int)getpid());
}

int
syslog_send(const char *ident, int priority, const char *line)
{
	struct buf b = BUF_INIT;
	int rv = -1;

	put_head(&b, ident, priority);
	buf_puts(&b, line);
	if (b.failed)
		errno = ENOMEM;
	else if (line_out.fd != -1 && ((rv = send_once(&b)) == 0 ||
	    errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE))
		;
	else if (reconnect() == 0)	/* its reader was started anew */
		rv = send_once(&b);
	buf_fini(&b);
	return rv;
}
