/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Listening TCP sockets, and how one takes the place of another whose address
 * overlaps its own: 127.0.0.1:80 and 0.0.0.0:80.
 */
#ifndef MASTER_TCP_H
#define MASTER_TCP_H

#include <netinet/in.h>

#include <stdbool.h>

#include "base/sock.h"

in_port_t *tcp_port(struct sock_addr *);
/* A bound descriptor, close-on-exec, non-blocking, IPv6 without IPv4; it does
 * not listen yet. shared: beside others on which tcp_share() is on. -1 with
 * errno. */
int	 tcp_bind(const struct sock_addr *, bool shared);
/* Two sockets of overlapping addresses can be bound, and listen, only while
 * sharing is on for both; they stay so when it is off again. And off it
 * should be, for it concerns every process of our user. */
void	 tcp_share(int fd, bool on);
/* Is one a certain address of a port, and the other all of them? */
bool	 tcp_overlap(const struct sock_addr *, const struct sock_addr *);

/* The host of "host:port", "[::1]:port", ":port" or "*:port"; "" is all, and
 * that of "". */
#define TCP_HOST_MAX	256
void	 tcp_host(const char *address, char host[TCP_HOST_MAX]);

#endif
