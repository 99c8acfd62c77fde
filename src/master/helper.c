/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/helper.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/list.h"
#include "master/spawn.h"

struct helper {
	struct list	 node;
	pid_t		 pid;
	bool		 ended;
};

static struct {
	struct list	 helpers;
} self = { LIST_INIT(self.helpers) };

pid_t
helper_fork(void)
{
	struct helper *h = calloc(1, sizeof(*h));
	pid_t pid;

	if (h == NULL || (pid = spawn_fork()) <= 0) {
		pid = h == NULL ? -1 : pid;
		free(h);
		return pid;
	}
	h->pid = pid;
	list_append(&self.helpers, &h->node);
	return pid;
}

int
helper_keep_only(int fd)
{
	int null = open("/dev/null", O_RDWR), i;

	if (null == -1 || dup2(fd, STDERR_FILENO + 1) == -1)
		return -1;
	for (i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		if (dup2(null, i) == -1)
			return -1;
	if (syscall(SYS_close_range, STDERR_FILENO + 2, ~0U, 0) == -1)
		for (i = STDERR_FILENO + 2; i < sysconf(_SC_OPEN_MAX); i++)
			(void)close(i);
	return STDERR_FILENO + 1;
}

static void
bury(struct helper *h)
{
	if (waitpid(h->pid, NULL, WNOHANG) == 0)
		return;
	list_remove(&h->node);
	free(h);
}

static struct helper *
find(pid_t pid)
{
	struct list *n;
	struct helper *h;

	for (n = self.helpers.next; n != &self.helpers; n = n->next) {
		h = list_entry(n, struct helper, node);
		if (h->pid == pid)
			return h;
	}
	return NULL;
}

void
helper_end(pid_t pid)
{
	struct helper *h = find(pid);

	assert(h != NULL);
	/* not yet buried, so the number is still its */
	(void)kill(pid, SIGKILL);
	h->ended = true;
	bury(h);
}

void
helper_reap(void)
{
	struct list *n, *next;
	struct helper *h;

	list_foreach_safe(n, next, &self.helpers) {
		h = list_entry(n, struct helper, node);
		if (h->ended)
			bury(h);
	}
}

bool
helper_has(pid_t pid)
{
	return find(pid) != NULL;
}
