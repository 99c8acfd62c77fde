/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/tcp.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct sockaddr_in *
in_of(const struct sock_addr *a)
{
	return (const void *)&a->ss;
}

static const struct sockaddr_in6 *
in6_of(const struct sock_addr *a)
{
	return (const void *)&a->ss;
}

in_port_t *
tcp_port(struct sock_addr *a)
{
	return a->ss.ss_family == AF_INET6 ?
	    &((struct sockaddr_in6 *)(void *)&a->ss)->sin6_port :
	    &((struct sockaddr_in *)(void *)&a->ss)->sin_port;
}

int
tcp_bind(const struct sock_addr *a, bool shared)
{
	int fd, saved, on = 1;

	fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	if (shared)
		tcp_share(fd, true);
	/* [::] beside 0.0.0.0, each on its own */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    (a->ss.ss_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6,
	    IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
	    bind(fd, (const void *)&a->ss, a->len) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* Where it fails, so will bind() or listen(). */
void
tcp_share(int fd, bool on)
{
	int value = on;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof(value));
}

static bool
is_wildcard(const struct sock_addr *a)
{
	return a->ss.ss_family == AF_INET6 ?
	    IN6_IS_ADDR_UNSPECIFIED(&in6_of(a)->sin6_addr) :
	    in_of(a)->sin_addr.s_addr == htonl(INADDR_ANY);
}

bool
tcp_overlap(const struct sock_addr *a, const struct sock_addr *b)
{
	if (a->ss.ss_family != b->ss.ss_family ||
	    is_wildcard(a) == is_wildcard(b))
		return false;
	if (a->ss.ss_family == AF_INET6)
		return in6_of(a)->sin6_port == in6_of(b)->sin6_port;
	return a->ss.ss_family == AF_INET &&
	    in_of(a)->sin_port == in_of(b)->sin_port;
}

void
tcp_host(const char *address, char host[TCP_HOST_MAX])
{
	const char *colon = strrchr(address, ':');
	int n = colon != NULL ? (int)(colon - address) : 0;

	if (*address == '[')		/* which a ']' ends */
		snprintf(host, TCP_HOST_MAX, "%.*s", n - 2, address + 1);
	else if (n == 1 && *address == '*')
		host[0] = '\0';
	else
		snprintf(host, TCP_HOST_MAX, "%.*s", n, address);
}
