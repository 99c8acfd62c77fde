/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

struct setup *
setup_new(struct conf *conf, const char *worker)
{
	struct setup *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		conf_free(&conf);
		return NULL;
	}
	s->conf = conf;
	s->access_fd = -1;
	s->spawn = (struct spawn){
		.worker = worker, .conf = conf, .privs = &s->privs,
		.listeners = &s->listeners, .access_fd = -1,
	};
	return s;
}

void
setup_free(struct setup **sp)
{
	struct setup *s = *sp;

	if (s == NULL)
		return;
	listeners_close(&s->listeners);
	privs_fini(&s->privs);
	if (s->access_fd > STDERR_FILENO)
		fd_close(&s->access_fd);
	conf_free(&s->conf);
	free(s);
	*sp = NULL;
}

/* ---- access log --------------------------------------------------------- */

bool
setup_is_file(const char *sink)
{
	return strcmp(sink, "stderr") != 0 && strcmp(sink, "stdout") != 0 &&
	    strcmp(sink, "syslog") != 0 && strcmp(sink, "off") != 0;
}

int
setup_open_access(struct setup *s, const struct setup *former)
{
	const char *sink = s->conf->log_access;

	if (!setup_is_file(sink))
		s->access_fd = strcmp(sink, "stdout") == 0 ? STDOUT_FILENO :
		    strcmp(sink, "stderr") == 0 ? STDERR_FILENO : -1;
	else if (former != NULL && strcmp(former->conf->log_access, sink) == 0)
		s->access_fd = fcntl(former->access_fd, F_DUPFD_CLOEXEC,
		    STDERR_FILENO + 1);
	else
		s->access_fd = fd_open_append(sink);
	s->spawn.access_fd = s->access_fd;
	if (s->access_fd != -1 || !setup_is_file(sink))
		return 0;
	log_err("log.access: %s: %s", sink, strerror(errno));
	return -1;
}

int
setup_reopen_access(struct setup *s)
{
	return fd_reopen_append(s->access_fd, s->conf->log_access);
}
