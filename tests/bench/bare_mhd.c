/* SPDX-License-Identifier: BSD-3-Clause
 *
 * bare_mhd PORT: "Hello, world!" from libmicrohttpd and nothing else, driven
 * as asgid drives it: one thread, an epoll loop of our own in which the
 * library's epoll descriptor is one watcher, connections accepted here and
 * handed over, a pool of 32 KiB, a response made for each request. What asgid
 * needs beyond this program's CPU time is the price of Python.
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <microhttpd.h>

static char hello[] = "Hello, world!";

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload_data,
    size_t *upload_size, void **seen)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	(void)cls, (void)url, (void)method, (void)version, (void)upload_data;
	/* an answer in the first call would end the connection */
	if (*seen == NULL) {
		*seen = hello;
		return MHD_YES;
	}
	if (*upload_size > 0) {
		*upload_size = 0;
		return MHD_YES;
	}
	response = MHD_create_response_from_buffer(sizeof(hello) - 1, hello,
	    MHD_RESPMEM_PERSISTENT);
	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", "text/plain");
	MHD_add_response_header(response, "Server", "bare");
	result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

static size_t
keep_escaped(void *cls, struct MHD_Connection *connection, char *s)
{
	size_t n = 0;

	(void)cls, (void)connection;
	while (s[n] != '\0')
		n++;
	return n;
}

static int
listen_on(int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd, on = 1;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == -1 ||
	    listen(fd, 2048) == -1)
		err(1, "port %d", port);
	return fd;
}

static void
watch(int ep, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1)
		err(1, "epoll_ctl");
}

static void
accept_some(struct MHD_Daemon *daemon, int listener)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int fd, i;

	for (i = 0; i < 16; i++) {
		len = sizeof(addr);
		fd = accept4(listener, (struct sockaddr *)&addr, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1)
			return;
		MHD_add_connection(daemon, fd, (struct sockaddr *)&addr, len);
	}
}

static void
run(struct MHD_Daemon *daemon)
{
	MHD_UNSIGNED_LONG_LONG ms;

	do
		MHD_run(daemon);
	while (MHD_get_timeout(daemon, &ms) == MHD_YES && ms == 0);
}

int
main(int argc, char **argv)
{
	struct epoll_event events[64];
	const union MHD_DaemonInfo *info;
	struct MHD_Daemon *daemon;
	int ep, listener, i, n;

	if (argc != 2)
		errx(2, "usage: bare_mhd PORT");
	signal(SIGPIPE, SIG_IGN);
	listener = listen_on(atoi(argv[1]));
	daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
	    MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, NULL,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)32768,
	    MHD_OPTION_CONNECTION_LIMIT, 20000u,
	    MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
	    MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL, MHD_OPTION_END);
	if (daemon == NULL)
		errx(1, "libmicrohttpd does not start");
	info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (info == NULL || ep == -1)
		err(1, "epoll");
	watch(ep, info->epoll_fd);
	watch(ep, listener);
	for (;;) {
		n = epoll_wait(ep, events, 64, -1);
		for (i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				accept_some(daemon, listener);
			run(daemon);
		}
	}
}
