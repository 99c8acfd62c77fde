/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/hint.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/defs.h"
#include "base/fd.h"
#include "base/str.h"
#include "master/tcp.h"

#define LINES_MAX	4096	/* of /proc/net/tcp: who listens comes first */
#define LOOKS_MAX	50000	/* at processes and their descriptors */
#define STATE_LISTEN	0x0a
#define ACCEPTS		(1 << 16)	/* in /proc/net/unix */

/* ---- privileged ports --------------------------------------------------- */

static unsigned
first_free_port(void)
{
	char text[16];
	int fd = open("/proc/sys/net/ipv4/ip_unprivileged_port_start",
	    O_RDONLY | O_CLOEXEC);
	ssize_t n = fd != -1 ? read(fd, text, sizeof(text) - 1) : -1;

	fd_close(&fd);
	if (n <= 0)
		return 1024;
	text[n] = '\0';
	return (unsigned)strtoul(text, NULL, 10);
}

static void
hint_privilege(unsigned port, struct buf *to)
{
	char program[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (port >= first_free_port())
		return;
	program[n > 0 ? n : 0] = '\0';
	buf_printf(to, "; a port below %u needs a privilege: start asgid as "
	    "root and set user, let the service manager open the socket "
	    "(systemd.socket), or: setcap cap_net_bind_service=+ep %s",
	    first_free_port(), program);
}

/* ---- who is there ------------------------------------------------------- */

struct owner {
	uint64_t	 inode;
	unsigned	 uid;
};

/* As the kernel prints it: words of the network's order, as numbers of
 * ours. */
static void
print_address(const struct sock_addr *a, char text[33])
{
	uint32_t words[4] = { 0 };
	size_t i, n = a->ss.ss_family == AF_INET6 ? 4 : 1;

	if (n == 4)
		memcpy(words, &((const struct sockaddr_in6 *)(const void *)
		    &a->ss)->sin6_addr, sizeof(words));
	else
		memcpy(words, &((const struct sockaddr_in *)(const void *)
		    &a->ss)->sin_addr, sizeof(*words));
	for (i = 0; i < n; i++)
		snprintf(text + 8 * i, 9, "%08" PRIX32, words[i]);
}

static bool
is_any(const char *address)
{
	return address[strspn(address, "0")] == '\0';
}

/* Does one of the sockets in this table listen where `a` would? */
static bool
find_in(const char *table, const struct sock_addr *a, bool any_only,
    struct owner *owner)
{
	char wanted[33], address[33], line[512];
	unsigned port, state, i;
	struct sock_addr copy = *a;
	FILE *f = fopen(table, "re");
	bool found = false;

	print_address(a, wanted);
	for (i = 0; f != NULL && !found && i < LINES_MAX &&
	    fgets(line, sizeof(line), f) != NULL; i++)
		found = sscanf(line, " %*u: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x "
		    "%*x:%*x %*x:%*x %*x %u %*u %" SCNu64, address, &port,
		    &state, &owner->uid, &owner->inode) == 5 &&
		    state == STATE_LISTEN && port == ntohs(*tcp_port(&copy)) &&
		    (is_any(address) || (!any_only &&
		    (is_any(wanted) || strcmp(address, wanted) == 0)));
	if (f != NULL)
		fclose(f);
	return found;
}

static bool
find_owner(const struct sock_addr *a, struct owner *owner)
{
	if (a->ss.ss_family == AF_INET6)
		return find_in("/proc/net/tcp6", a, false, owner);
	/* [::] may have taken the port of IPv4 too */
	return find_in("/proc/net/tcp", a, false, owner) ||
	    find_in("/proc/net/tcp6", a, true, owner);
}

/* Is it among the descriptors of that process? */
static bool
has_socket(const char *pid, const char *wanted, unsigned *looks)
{
	char path[32 + NAME_MAX], target[64];
	struct dirent *e;
	bool has = false;
	ssize_t n;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	if ((d = opendir(path)) == NULL)
		return false;
	while (!has && (*looks)++ < LOOKS_MAX && (e = readdir(d)) != NULL) {
		n = readlinkat(dirfd(d), e->d_name, target,
		    sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		has = strcmp(target, wanted) == 0;
	}
	closedir(d);
	return has;
}

/* The first process that has it, if we may see that, and find it with so many
 * looks. */
static bool
find_process(uint64_t inode, char pid[32])
{
	unsigned looks = 0;
	char wanted[64];
	struct dirent *e;
	bool found = false;
	DIR *d = opendir("/proc");

	snprintf(wanted, sizeof(wanted), "socket:[%" PRIu64 "]", inode);
	while (d != NULL && !found && looks++ < LOOKS_MAX &&
	    (e = readdir(d)) != NULL) {
		if (e->d_name[strspn(e->d_name, "0123456789")] != '\0')
			continue;
		snprintf(pid, 32, "%.31s", e->d_name);
		found = has_socket(pid, wanted, &looks);
	}
	if (d != NULL)
		closedir(d);
	return found;
}

/* Its name, which it may have chosen itself. */
static void
put_name(const char *pid, struct buf *to)
{
	char path[64], name[32];
	ssize_t n, i;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd != -1 ? read(fd, name, sizeof(name)) : 0;
	fd_close(&fd);
	for (i = 0; i < n && name[i] != '\n'; i++)
		buf_putc(to, name[i] > ' ' && name[i] < 0x7f ? name[i] : '?');
}

static bool
put_process(uint64_t inode, struct buf *to)
{
	char pid[32];

	if (!find_process(inode, pid))
		return false;
	buf_puts(to, " by ");
	put_name(pid, to);
	buf_printf(to, " (process %s)", pid);
	return true;
}

static void
hint_owner(const struct sock_addr *a, struct buf *to)
{
	struct owner owner;

	if (find_owner(a, &owner) && !put_process(owner.inode, to))
		buf_printf(to, " by a process of user %u%s", owner.uid,
		    geteuid() != 0 ? "; root sees which: ss -ltnp" : "");
}

void
hint_unix(const char *path, struct buf *to)
{
	FILE *f = fopen("/proc/net/unix", "re");
	unsigned flags, i;
	char line[512];
	uint64_t inode;
	bool found = false;
	int at;

	for (i = 0; f != NULL && !found && i < LINES_MAX &&
	    fgets(line, sizeof(line), f) != NULL; i++) {
		line[strcspn(line, "\n")] = '\0';
		found = sscanf(line, "%*x: %*x %*x %x %*x %*x %" SCNu64 " %n",
		    &flags, &inode, &at) == 2 && (flags & ACCEPTS) != 0 &&
		    strcmp(line + at, path) == 0;
	}
	if (f != NULL)
		fclose(f);
	if (found)
		(void)put_process(inode, to);
}

void
hint_listen(const struct sock_addr *a, int error, struct buf *to)
{
	struct sock_addr copy = *a;

	if (a->ss.ss_family != AF_INET && a->ss.ss_family != AF_INET6)
		return;
	if (error == EACCES)
		hint_privilege(ntohs(*tcp_port(&copy)), to);
	else if (error == EADDRINUSE)
		hint_owner(a, to);
	else if (error == EADDRNOTAVAIL)
		buf_puts(to, ": no interface of this machine has it");
}
