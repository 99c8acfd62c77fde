/* SPDX-License-Identifier: BSD-3-Clause */
#include "proc/birth.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"

#define BIRTH_ENV	"ASGID_BIRTH"
/* For the application; these stay. */
#define NUMBER_ENV	"ASGID_WORKER_NUMBER"
#define GENERATION_ENV	"ASGID_GENERATION"
#define BIRTH_VERSION	3

/* The numbers of the line, in order; -1 travels as "-1". */
struct line {
	long	 version, id, generation, in, out, conf_fd, error_fd,
		 access_fd, stats_fd, nlisteners;
};

/* Standard descriptors stay as they are on both sides. */
static int
set_inherited(int fd, bool inherited)
{
	return fd <= STDERR_FILENO ? 0 : fd_set_cloexec(fd, !inherited);
}

static int
each_fd(const struct birth *b, bool inherited)
{
	size_t i;

	if (set_inherited(b->channel.in, inherited) == -1 ||
	    set_inherited(b->channel.out, inherited) == -1 ||
	    set_inherited(b->conf_fd, inherited) == -1 ||
	    set_inherited(b->error_fd, inherited) == -1 ||
	    set_inherited(b->access_fd, inherited) == -1 ||
	    set_inherited(b->stats_fd, inherited) == -1)
		return -1;
	for (i = 0; i < b->nlisteners; i++)
		if (set_inherited(b->listeners[i], inherited) == -1)
			return -1;
	return 0;
}

static int
set_number(const char *name, unsigned n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	return setenv(name, text, 1);
}

int
birth_export(const struct birth *b)
{
	struct buf line = BUF_INIT;
	size_t i;
	int rv = -1;

	buf_printf(&line, "%d %u %u %d %d %d %d %d %d %zu", BIRTH_VERSION,
	    b->id, b->generation, b->channel.in, b->channel.out, b->conf_fd,
	    b->error_fd, b->access_fd, b->stats_fd, b->nlisteners);
	for (i = 0; i < b->nlisteners; i++)
		buf_printf(&line, " %d", b->listeners[i]);
	if (line.failed)
		errno = ENOMEM;
	else if (setenv(BIRTH_ENV, buf_str(&line), 1) == 0 &&
	    set_number(NUMBER_ENV, b->id) == 0 &&
	    set_number(GENERATION_ENV, b->generation) == 0)
		rv = each_fd(b, true);
	buf_fini(&line);
	return rv;
}

/* Cut the next number off. 0, or -1. */
static int
next_number(const char **at, long min, long max, long *to)
{
	char *end;

	errno = 0;
	*to = strtol(*at, &end, 10);
	if (end == *at || errno != 0 || *to < min || *to > max)
		return -1;
	*at = end;
	return 0;
}

static int
parse(const char *at, struct birth *b)
{
	struct line l;
	long fd;
	size_t i;

	if (next_number(&at, BIRTH_VERSION, BIRTH_VERSION, &l.version) == -1 ||
	    next_number(&at, 1, INT_MAX, &l.id) == -1 ||
	    next_number(&at, 1, INT_MAX, &l.generation) == -1 ||
	    next_number(&at, 0, INT_MAX, &l.in) == -1 ||
	    next_number(&at, 0, INT_MAX, &l.out) == -1 ||
	    next_number(&at, 0, INT_MAX, &l.conf_fd) == -1 ||
	    next_number(&at, -1, INT_MAX, &l.error_fd) == -1 ||
	    next_number(&at, -1, INT_MAX, &l.access_fd) == -1 ||
	    next_number(&at, -1, INT_MAX, &l.stats_fd) == -1 ||
	    next_number(&at, 0, BIRTH_LISTENERS_MAX, &l.nlisteners) == -1)
		return -1;
	*b = (struct birth){
		.id = (unsigned)l.id, .generation = (unsigned)l.generation,
		.channel = { (int)l.in, (int)l.out, false },
		.conf_fd = (int)l.conf_fd,
		.error_fd = (int)l.error_fd, .access_fd = (int)l.access_fd,
		.stats_fd = (int)l.stats_fd,
		.nlisteners = (size_t)l.nlisteners,
	};
	for (i = 0; i < b->nlisteners; i++) {
		if (next_number(&at, 0, INT_MAX, &fd) == -1)
			return -1;
		b->listeners[i] = (int)fd;
	}
	return *at == '\0' ? 0 : -1;
}

static struct conf *
load(int fd)
{
	struct buf errors = BUF_INIT;
	struct conf *conf = NULL;
	char *text;
	size_t len;

	if ((text = fd_read_all(fd, &len)) == NULL)
		log_err("configuration of the master: %s", strerror(errno));
	else if ((conf = conf_from_text(text, "master", &errors)) == NULL)
		log_err("configuration of the master: %s", buf_str(&errors));
	free(text);
	buf_fini(&errors);
	return conf;
}

int
birth_import(struct birth *b, struct conf **conf)
{
	const char *line = getenv(BIRTH_ENV);

	if (line == NULL) {
		log_err("a worker is started by asgid, not by hand");
		return -1;
	}
	if (parse(line, b) == -1) {
		log_err("%s: not of this version of asgid: %s", BIRTH_ENV,
		    line);
		return -1;
	}
	unsetenv(BIRTH_ENV);
	if (each_fd(b, false) == -1) {
		log_err("a descriptor of the master is missing: %s",
		    strerror(errno));
		return -1;
	}
	if ((*conf = load(b->conf_fd)) == NULL)
		return -1;
	fd_close(&b->conf_fd);
	return 0;
}
