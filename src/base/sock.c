/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/sock.h"

#include <sys/un.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static void
in6_host(const struct sockaddr_in6 *in6, char host[SOCK_HOST_MAX])
{
	char scope[IF_NAMESIZE];
	size_t n;

	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host,
		    SOCK_HOST_MAX);
		return;
	}
	inet_ntop(AF_INET6, &in6->sin6_addr, host, SOCK_HOST_MAX);
	if (in6->sin6_scope_id != 0 &&
	    if_indextoname(in6->sin6_scope_id, scope) != NULL) {
		n = strlen(host);
		snprintf(host + n, SOCK_HOST_MAX - n, "%%%s", scope);
	}
}

int
sock_host(const struct sock_addr *a, char host[SOCK_HOST_MAX])
{
	const struct sockaddr_un *un = (const void *)&a->ss;
	const struct sockaddr_in *in = (const void *)&a->ss;
	const struct sockaddr_in6 *in6 = (const void *)&a->ss;
	size_t n;

	switch (a->ss.ss_family) {
	case AF_INET:
		inet_ntop(AF_INET, &in->sin_addr, host, SOCK_HOST_MAX);
		return ntohs(in->sin_port);
	case AF_INET6:
		in6_host(in6, host);
		return ntohs(in6->sin6_port);
	case AF_UNIX:
		n = a->len > offsetof(struct sockaddr_un, sun_path) ?
		    a->len - offsetof(struct sockaddr_un, sun_path) : 0;
		snprintf(host, SOCK_HOST_MAX, "%.*s", (int)n, un->sun_path);
		return -1;
	default:
		host[0] = '\0';
		return -1;
	}
}

void
sock_text(const struct sock_addr *a, char text[SOCK_TEXT_MAX])
{
	char host[SOCK_HOST_MAX];
	int port = sock_host(a, host);

	if (port == -1)
		snprintf(text, SOCK_TEXT_MAX, "unix:%s", host);
	else
		snprintf(text, SOCK_TEXT_MAX,
		    strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d",
		    host, port);
}

bool
sock_is_unix(const struct sock_addr *a)
{
	return a->ss.ss_family == AF_UNIX;
}
