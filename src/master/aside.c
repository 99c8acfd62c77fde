/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The last close() of a TCP socket waits as long as its SO_LINGER says, but
 * not in a process that exits.  So a process is made to have the last one; it
 * is nobody's child, so that nobody has to bury it.
 */
#include "master/aside.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/defs.h"
#include "base/fd.h"
#include "base/log.h"

/* Until the master has closed what it wants to be closed. */
static NORETURN void
outlive(int until[2])
{
	char c;

	close(until[1]);
	while (read(until[0], &c, 1) == -1 && errno == EINTR)
		;
	_exit(0);
}

/* 0, or -1 with errno: it could not do it. */
static int
wait_for_exit(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	while (waitid(P_PID, (id_t)pid, &info, WEXITED) == -1)
		if (errno != EINTR)
			return -1;
	errno = EAGAIN;
	return info.si_code == CLD_EXITED && info.si_status == 0 ? 0 : -1;
}

void
aside_close(int fd)
{
	int until[2] = { -1, -1 };
	pid_t pid = -1;

	if (pipe2(until, O_CLOEXEC) == 0 && (pid = fork()) == 0) {
		if ((pid = fork()) == 0)
			outlive(until);
		_exit(pid == -1);
	}
	/* it does nothing but to fork; without it rather leak than wait */
	if (pid == -1 || wait_for_exit(pid) == -1)
		log_err("control.socket: descriptors that somebody has passed "
		    "stay open: %s", strerror(errno));
	else
		close(fd);
	fd_close(&until[0]);
	fd_close(&until[1]);
}
