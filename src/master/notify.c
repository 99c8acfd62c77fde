/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"

void
notify_init(struct notify *n)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t len = path != NULL ? strlen(path) : 0;

	n->fd = -1;
	if (len == 0)
		return;
	if ((path[0] != '/' && path[0] != '@') ||
	    len >= sizeof(un.sun_path)) {
		log_warn("NOTIFY_SOCKET: not usable: %s", path);
		goto out;
	}
	memcpy(un.sun_path, path, len);
	if (path[0] == '@')
		un.sun_path[0] = '\0';
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* an abstract name has no end but its length */
	if (n->fd == -1 || connect(n->fd, (const struct sockaddr *)&un,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == -1) {
		log_warn("NOTIFY_SOCKET: %s: %s", path, strerror(errno));
		fd_close(&n->fd);
	}
out:
	unsetenv("NOTIFY_SOCKET");
}

void
notify_fini(struct notify *n)
{
	fd_close(&n->fd);
}

void
notify_send(const struct notify *n, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int len;

	if (n->fd == -1)
		return;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	if ((size_t)len >= sizeof(text))
		len = sizeof(text) - 1;
	if (send(n->fd, text, (size_t)len, MSG_NOSIGNAL) == -1)
		log_debug("notify: %s", strerror(errno));
}
