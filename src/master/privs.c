/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/privs.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/defs.h"
#include "base/log.h"
#include "master/names.h"

/* Files a worker opens beside its connections: listeners, logs, Python's
 * modules, the application's database connections. */
#define NOFILE_SLACK	256

enum { EXIT_RUNTIME = 1, EXIT_CONFIG = 6 };

/* ---- user and groups ---------------------------------------------------- */

int
privs_find_user(const char *name, uid_t *uid, gid_t *gid)
{
	struct names_user u;

	if (names_user(name, &u) == -1)
		return -1;
	*uid = u.uid;
	if (gid != NULL)
		*gid = u.gid;
	return 0;
}

int
privs_find_group(const char *name, gid_t *gid)
{
	return names_group(name, gid);
}

/* What initgroups(3) would set, kept so that a later child needs no look-up
 * between fork and exec. */
static int
set_groups(struct privs *p, const struct names_user *u)
{
	size_t i, n = u != NULL ? u->ngroups : 0;

	if ((p->groups = malloc((n + 1) * sizeof(*p->groups))) == NULL)
		return -1;
	p->groups[p->ngroups++] = p->gid;
	for (i = 0; i < n; i++)
		if (u->groups[i] != p->gid)
			p->groups[p->ngroups++] = u->groups[i];
	return 0;
}

/* Never root's name and home: who is in no database is its number, in "/". */
static int
find_user(struct privs *p, const struct conf *conf, struct names_user *u)
{
	if (names_user(conf->user, u) == -1) {
		log_err("user: no such user: %s", conf->user);
		return EXIT_CONFIG;
	}
	p->uid = u->uid;
	p->gid = u->gid;
	if (p->gid == (gid_t)-1 && *conf->group == '\0') {
		log_err("user: %s is in no user database: set group too",
		    conf->user);
		return EXIT_CONFIG;
	}
	p->user = strdup(u->name);
	p->home = strdup(u->home);
	if (p->user != NULL && p->home != NULL)
		return 0;
	log_err("user: %s", strerror(errno));
	return EXIT_RUNTIME;
}

/* Not root: fine as long as nothing has to change. */
static int
check_unprivileged(const struct privs *p, const struct conf *conf)
{
	if (*conf->user != '\0' && p->uid != geteuid()) {
		log_err("user: only root can start workers as %s",
		    conf->user);
		return EXIT_RUNTIME;
	}
	if (*conf->group != '\0' && p->gid != getegid()) {
		log_err("group: only root can start workers as %s",
		    conf->group);
		return EXIT_RUNTIME;
	}
	return 0;
}

static int
resolve(struct privs *p, const struct conf *conf)
{
	struct names_user u;
	bool named = *conf->user != '\0';
	int status;

	if (named && (status = find_user(p, conf, &u)) != 0)
		return status;
	if (*conf->group != '\0' &&
	    privs_find_group(conf->group, &p->gid) == -1) {
		log_err("group: no such group: %s", conf->group);
		return EXIT_CONFIG;
	}
	if (geteuid() != 0)
		return check_unprivileged(p, conf);
	p->drop = named || *conf->group != '\0';
	if (p->drop && !named)
		log_warn("group: without user the application runs as root");
	if (p->drop && set_groups(p, named ? &u : NULL) == -1) {
		log_err("user: %s", strerror(errno));
		return EXIT_RUNTIME;
	}
	return 0;
}

int
privs_init(struct privs *p, const struct conf *conf)
{
	int status;

	*p = (struct privs){ .uid = geteuid(), .gid = getegid(),
	    .umask = conf->umask,
	    .confined = conf->security_no_new_privileges };
	if ((status = resolve(p, conf)) != 0)
		privs_fini(p);
	return status;
}

void
privs_fini(struct privs *p)
{
	free(p->groups);
	free(p->user);
	free(p->home);
	*p = (struct privs){ 0 };
}

/* ---- in the child ------------------------------------------------------- */

static int
replace_fd(int fd, const char *path, int flags)
{
	int from = open(path, flags | O_NOCTTY | O_CLOEXEC), rv;

	if (from == -1)
		return -1;
	rv = dup2(from, fd);
	close(from);
	return rv == -1 ? -1 : 0;
}

/*
 * Without it what the application writes to the terminal could be input to
 * it (TIOCSTI), which root's shell reads; and what root types could be read by
 * the application, for a terminal's descriptors are commonly open for both.
 * Where /proc is missing only the latter stays.
 */
static int
leave_terminal(void)
{
	char path[32];
	int fd;

	if (setsid() == -1 ||
	    replace_fd(STDIN_FILENO, "/dev/null", O_RDONLY) == -1)
		return -1;
	for (fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (isatty(fd))
			(void)replace_fd(fd, path, O_WRONLY);
	}
	return 0;
}

static int
become(const struct privs *p)
{
	if (setgroups((size_t)p->ngroups, p->groups) == -1 ||
	    setresgid(p->gid, p->gid, p->gid) == -1 ||
	    setresuid(p->uid, p->uid, p->uid) == -1)
		return -1;
	if (p->uid != 0 && setuid(0) == 0) {
		errno = EPERM;
		return -1;
	}
	if (p->user == NULL)
		return 0;
	return setenv("USER", p->user, 1) == -1 ||
	    setenv("LOGNAME", p->user, 1) == -1 ||
	    setenv("HOME", p->home, 1) == -1 ? -1 : 0;
}

/* What exec would hand on: the inheritable ones, and with them the ambient
 * ones. `all`: also what securebits may have saved from the change of
 * user. */
static int
drop_capabilities(bool all)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	size_t i;

	if (!all && syscall(SYS_capget, &head, data) == -1)
		return -1;
	for (i = 0; i < countof(data); i++)
		data[i].inheritable = 0;
	return (int)syscall(SYS_capset, &head, data);
}

int
privs_apply(const struct privs *p)
{
	(void)umask(p->umask);
	if (p->drop && (leave_terminal() == -1 || become(p) == -1))
		return -1;
	if ((p->drop || p->confined) &&
	    drop_capabilities(p->drop && p->uid != 0) == -1)
		return -1;
	return p->confined ? prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) : 0;
}

/* ---- descriptors -------------------------------------------------------- */

void
privs_raise_nofile(const struct conf *conf)
{
	rlim_t need = (rlim_t)conf->limits_connections + NOFILE_SLACK;
	struct rlimit have, want;

	if (getrlimit(RLIMIT_NOFILE, &have) == -1 || have.rlim_cur >= need)
		return;
	want = (struct rlimit){ need,
	    have.rlim_max > need ? have.rlim_max : need };
	if (setrlimit(RLIMIT_NOFILE, &want) == 0)
		return;
	want = (struct rlimit){ have.rlim_max, have.rlim_max };
	(void)setrlimit(RLIMIT_NOFILE, &want);
	log_warn("limits.connections: %" PRId64 " connections need %ju open "
	    "files, but the limit is %ju: raise it (LimitNOFILE= of systemd, "
	    "ulimit -Hn) or lower limits.connections",
	    conf->limits_connections, (uintmax_t)need,
	    (uintmax_t)have.rlim_max);
}
