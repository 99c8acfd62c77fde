/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Socket addresses: telling apart, printing; and how a listening socket ends.
 */
#ifndef BASE_SOCK_H
#define BASE_SOCK_H

#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>

struct sock_addr {
	struct sockaddr_storage	 ss;
	socklen_t		 len;
};

/* The numeric host of an IP address into `host` (IPv4-mapped as IPv4, with
 * scope), its port returned; a UNIX socket: its path, -1. */
#define SOCK_HOST_MAX	128
int	 sock_host(const struct sock_addr *, char host[SOCK_HOST_MAX]);
/* "127.0.0.1:80", "[::1]:80", "unix:/path" for people. */
#define SOCK_TEXT_MAX	160
void	 sock_text(const struct sock_addr *, char text[SOCK_TEXT_MAX]);
bool	 sock_is_unix(const struct sock_addr *);

/* Who is connected to this UNIX socket, or to one that it accepts, cannot pass
 * descriptors: who receives one closes it, wanted or not, and that may last as
 * long as the sender likes. 0, or -1 with errno: before Linux 6.16 there is no
 * way to refuse. */
int	 sock_refuse_rights(int fd);

/*
 * The end of a listening socket that is open in several processes: the last
 * close() resets what is queued.  So whoever knows that it goes for good says
 * so on the socket itself, and each process that accepts there takes what is
 * queued, refuses what would come then if it may, takes the rest, and closes.
 * A TCP handshake that is half done at that moment is all that can be lost, or
 * done in the few microseconds before it where it could not be refused.
 */
int	 sock_set_last(int fd);
bool	 sock_is_last(int fd);
/* No further connection, in whatever process; for TCP this takes CAP_NET_ADMIN.
 * A TCP client that comes now is not answered; it is refused, or let in by
 * another listener, when it asks again. These two: 0, or -1 with errno. */
int	 sock_refuse(int fd);

#endif
