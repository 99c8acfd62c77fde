/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "master/logfile.h"

/* Never under the number of a standard descriptor that was closed: at the
 * first start nobody has filled those yet. */
static int
open_folder(void)
{
	int fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), up;

	if (fd == -1 || fd > STDERR_FILENO)
		return fd;
	up = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close(fd);
	return up;
}

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
	s->folder = open_folder();
	s->spawn = (struct spawn){
		.worker = worker, .conf = conf, .privs = &s->privs,
		.listeners = &s->listeners, .access_fd = -1,
		.folder = s->folder,
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
	if (s->folder != -1)
		close(s->folder);
	conf_free(&s->conf);
	free(s);
	*sp = NULL;
}

/* ---- logs --------------------------------------------------------------- */

int
setup_open_error(const struct setup *s)
{
	const struct conf *conf = s->conf;
	int fd = -1;

	if (strcmp(conf->log_error, "stderr") == 0)
		fd = logfile_own(STDERR_FILENO);
	else if (log_is_file(conf->log_error) && (fd = logfile_open(
	    "log.error", conf->log_error, &s->privs)) == -1)
		return -1;
	log_adopt(fd, conf->log_error, (enum log_level)conf->log_level,
	    "asgid");
	return 0;
}

/* The log goes on, but the workers may have become those who can write to its
 * folder. 0, or -1 after logging. */
static int
check_former(const struct setup *s, const char *option, const char *path)
{
	struct buf why = BUF_INIT;
	int rv = logfile_check(path, &s->privs, &why);

	if (rv == -1)
		log_err("%s: %s: %s", option, path, buf_str(&why));
	buf_fini(&why);
	return rv;
}

int
setup_change_error(const struct setup *s, const struct setup *former)
{
	const struct conf *conf = s->conf;

	if (strcmp(former->conf->log_error, conf->log_error) != 0)
		return setup_open_error(s);
	if (log_is_file(conf->log_error) &&
	    check_former(s, "log.error", conf->log_error) == -1)
		return -1;
	log_set_level((enum log_level)conf->log_level);
	return 0;
}

bool
setup_is_file(const char *sink)
{
	return strcmp(sink, "stderr") != 0 && strcmp(sink, "stdout") != 0 &&
	    strcmp(sink, "syslog") != 0 && strcmp(sink, "off") != 0;
}

static int
open_access_file(const struct setup *s, const struct setup *former)
{
	const char *path = s->conf->log_access;
	int fd;

	if (former == NULL || strcmp(former->conf->log_access, path) != 0)
		return logfile_open("log.access", path, &s->privs);
	if (check_former(s, "log.access", path) == -1)
		return -1;
	fd = fcntl(former->access_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd == -1)
		log_err("log.access: %s: %s", path, strerror(errno));
	return fd;
}

/* -1: none of the two. */
static int
standard_fd(const char *sink)
{
	return strcmp(sink, "stdout") == 0 ? STDOUT_FILENO :
	    strcmp(sink, "stderr") == 0 ? STDERR_FILENO : -1;
}

int
setup_open_access(struct setup *s, const struct setup *former)
{
	const char *sink = s->conf->log_access;
	bool file = setup_is_file(sink);
	int fd = standard_fd(sink);

	if (file)
		s->access_fd = open_access_file(s, former);
	else if (fd == -1 || (s->access_fd = logfile_own(fd)) == -1)
		s->access_fd = fd;
	s->spawn.access_fd = s->access_fd;
	return file && s->access_fd == -1 ? -1 : 0;
}

bool
setup_reopen(const struct setup *s, bool *error, bool *access)
{
	const struct conf *conf = s->conf;
	bool all = true;

	*error = log_is_file(conf->log_error);
	*access = setup_is_file(conf->log_access);
	if (*error && logfile_reopen(log_fd(), "log.error", conf->log_error,
	    &s->privs) == -1)
		all = *error = false;
	if (*access && logfile_reopen(s->access_fd, "log.access",
	    conf->log_access, &s->privs) == -1)
		all = *access = false;
	return all;
}
