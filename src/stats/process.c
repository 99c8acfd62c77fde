/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the kernel knows of a process, and its slot of how busy it is.
 */
#include "stats/render.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

/* The text of /proc/PID/name. 0, or -1. */
static int
read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	n = read(fd, text, size - 1);
	fd_close(&fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return 0;
}

static int
read_memory(pid_t pid, uint64_t *memory)
{
	char text[256];
	unsigned long pages;

	if (read_proc(pid, "statm", text, sizeof(text)) == -1 ||
	    sscanf(text, "%*u %lu", &pages) != 1)
		return -1;
	*memory = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

static int
read_cpu(pid_t pid, nsec_t *cpu)
{
	char text[1024], *at;
	unsigned long user, kernel;

	/* the second field, a name in parentheses, may hold anything */
	if (read_proc(pid, "stat", text, sizeof(text)) == -1 ||
	    (at = strrchr(text, ')')) == NULL ||
	    sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u"
	    " %lu %lu", &user, &kernel) != 2)
		return -1;
	*cpu = (nsec_t)(user + kernel) * (NSEC_PER_SEC /
	    sysconf(_SC_CLK_TCK));
	return 0;
}

int
stats_process(pid_t pid, uint64_t *memory, nsec_t *cpu)
{
	if (pid > 0 && read_memory(pid, memory) == 0 &&
	    read_cpu(pid, cpu) == 0)
		return 0;
	*memory = 0;
	*cpu = 0;
	return -1;
}

nsec_t
stats_busy(const struct stats_slot *s, nsec_t now)
{
	uint64_t began = relaxed_get(&s->turn_began);

	return began != 0 && began < (uint64_t)now ?
	    now - (nsec_t)began : 0;
}
