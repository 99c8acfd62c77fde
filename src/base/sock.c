/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/sock.h"

#include <sys/un.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/defs.h"

/* Younger than many headers; these two have numbers of their own. */
#if !defined(SO_PASSRIGHTS) && !defined(__hppa__) && !defined(__sparc__)
#define SO_PASSRIGHTS	83
#endif

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

int
sock_refuse_rights(int fd)
{
#ifdef SO_PASSRIGHTS
	const int no = 0;

	return setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no));
#else
	(void)fd;
	errno = ENOPROTOOPT;
	return -1;
#endif
}

/*
 * The mark is a flag that is of datagrams alone: it can be set and seen by
 * everybody who has the socket, and does nothing to a stream or its
 * connections.
 */
int
sock_set_last(int fd)
{
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
}

bool
sock_is_last(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, &len) == 0 &&
	    on != 0;
}

/*
 * For TCP shutdown() resets the queue as close() does.  Dropped is what begins
 * a connection, SYN without ACK in the 13th octet of the TCP header; the rest
 * of a handshake that has begun passes.  A listener's filter needs
 * CAP_NET_ADMIN; listen(fd, 0) still lets one in.
 */
int
sock_refuse(int fd)
{
	static const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog prog = { countof(code),
	    (struct sock_filter *)(uintptr_t)code };
	int domain = 0;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == -1)
		return -1;
	if (domain == AF_UNIX)
		return shutdown(fd, SHUT_RD);
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
	    sizeof(prog));
}
