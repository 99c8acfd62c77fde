/* SPDX-License-Identifier: BSD-3-Clause
 *
 * asgid: what the command line asks for.  Serving is the master's.
 */
#include <sys/wait.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/defs.h"
#include "conf/conf.h"
#include "master/master.h"
#include "master/precheck.h"

#define WORKER	"asgid-worker"

enum { STATUS_OK = 0, STATUS_RUNTIME = 1, STATUS_USAGE = 2,
	STATUS_CONFIG = 6 };

/*
 * $ASGID_WORKER, or the program beside this one (the build tree has both in
 * one folder), or the installed one.  The environment of who has privileges
 * may be somebody else's (sudo with SETENV, a file capability): it does not
 * name programs.
 */
static const char *
worker_path(char buf[PATH_MAX])
{
	const char *env = getuid() != 0 && geteuid() != 0 ?
	    secure_getenv("ASGID_WORKER") : NULL;
	ssize_t n = readlink("/proc/self/exe", buf, PATH_MAX - 1);
	char *slash;

	if (env != NULL && *env != '\0')
		return env;
	if (n > 0) {
		buf[n] = '\0';
		slash = strrchr(buf, '/');
		if (slash != NULL && (size_t)(slash + 1 - buf) +
		    sizeof(WORKER) <= PATH_MAX) {
			memcpy(slash + 1, WORKER, sizeof(WORKER));
			if (access(buf, X_OK) == 0)
				return buf;
		}
	}
	return LIBEXECDIR "/" WORKER;
}

static int
print(const struct buf *text)
{
	if (text->failed || fputs(buf_str(text), stdout) == EOF ||
	    fflush(stdout) == EOF) {
		fprintf(stderr, "asgid: standard output: %s\n",
		    strerror(errno));
		return STATUS_RUNTIME;
	}
	return STATUS_OK;
}

/* ---- actions: exit status ----------------------------------------------- */

struct task {
	int		 argc;
	char *const	*argv;
	struct conf	*conf;		/* NULL: not needed */
};

static int
do_run(struct task *t)
{
	char path[PATH_MAX];
	struct conf *conf = t->conf;

	t->conf = NULL;			/* the master's now */
	return master_run(conf, worker_path(path), t->argc, t->argv);
}

static int
do_check(struct task *t)
{
	const struct conf *conf = t->conf;
	struct buf b = BUF_INIT;
	int status;

	if (precheck(conf, NULL, &b) > 0) {
		fputs(buf_str(&b), stderr);
		buf_fini(&b);
		return STATUS_CONFIG;
	}
	if (precheck_is_foreign(conf))
		fputs("asgid: only root can start this: what may be read and "
		    "written was not checked\n", stderr);
	buf_printf(&b, "%s: ok\n", *conf->file != '\0' ? conf->file :
	    "configuration");
	status = print(&b);
	buf_fini(&b);
	return status;
}

static int
do_print(struct task *t)
{
	struct buf b = BUF_INIT;
	int status;

	conf_print(t->conf, &b);
	status = print(&b);
	buf_fini(&b);
	return status;
}

/* The libraries' versions are the worker's to tell: it is linked with
 * them. */
static int
do_version(struct task *t UNUSED)
{
	struct buf b = BUF_INIT;
	char path[PATH_MAX];
	const char *worker = worker_path(path);
	int status, wstatus;
	pid_t pid;

	buf_puts(&b, "asgid " PACKAGE_VERSION "\n");
	status = print(&b);
	buf_fini(&b);
	if (status != STATUS_OK)
		return status;
	if ((pid = fork()) == 0) {
		execl(worker, worker, "--version", NULL);
		fprintf(stderr, "asgid: %s: %s\n", worker, strerror(errno));
		_exit(STATUS_RUNTIME);
	}
	if (pid == -1 || waitpid(pid, &wstatus, 0) == -1) {
		fprintf(stderr, "asgid: %s: %s\n", worker, strerror(errno));
		return STATUS_RUNTIME;
	}
	return WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 0 ? STATUS_OK :
	    STATUS_RUNTIME;
}

static int
do_help(struct task *t UNUSED)
{
	struct buf b = BUF_INIT;
	int status;

	conf_usage(&b);
	status = print(&b);
	buf_fini(&b);
	return status;
}

static int (*const actions[])(struct task *) = {
	[CONF_RUN]	= do_run,
	[CONF_CHECK]	= do_check,
	[CONF_PRINT]	= do_print,
	[CONF_VERSION]	= do_version,
	[CONF_HELP]	= do_help,
};

/* An operator's signals have a meaning to the master alone; those that come
 * earlier wait for it. */
static void
block_signals(void)
{
	static const int early[] = { SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN,
	    SIGTTOU };
	sigset_t set;
	size_t i;

	(void)sigemptyset(&set);
	for (i = 0; i < countof(early); i++)
		(void)sigaddset(&set, early[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

int
main(int argc, char *argv[])
{
	struct buf errors = BUF_INIT;
	enum conf_action action = CONF_RUN;
	struct task t = { .argc = argc, .argv = argv };
	bool usage = false;
	int status;

	block_signals();
	t.conf = conf_from_argv(argc, argv, &action, &errors, &usage);
	if (t.conf == NULL && action != CONF_VERSION && action != CONF_HELP) {
		fputs(buf_str(&errors), stderr);
		status = usage ? STATUS_USAGE : STATUS_CONFIG;
	} else
		status = actions[action](&t);
	buf_fini(&errors);
	conf_free(&t.conf);
	return status;
}
