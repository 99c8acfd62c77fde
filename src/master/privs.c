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
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/defs.h"
#include "base/log.h"
#include "base/str.h"

/* Files a worker opens beside its connections: listeners, logs, Python's
 * modules, the application's database connections. */
#define NOFILE_SLACK	256

enum { EXIT_RUNTIME = 1, EXIT_CONFIG = 6 };

/* ---- names -------------------------------------------------------------- */

static int
number(const char *name, uint32_t *id)
{
	uint64_t n;

	/* (uid_t)-1 means "leave it" to the system calls */
	if (str_to_uint(str_of(name), &n) == -1 || n >= UINT32_MAX)
		return -1;
	*id = (uint32_t)n;
	return 0;
}

int
privs_find_user(const char *name, uid_t *uid, gid_t *gid)
{
	struct passwd *pw = getpwnam(name);
	gid_t unused;

	if (gid == NULL)
		gid = &unused;
	*gid = (gid_t)-1;
	if (pw == NULL) {
		if (number(name, uid) == -1)
			return -1;
		pw = getpwuid(*uid);
	}
	if (pw != NULL) {
		*uid = pw->pw_uid;
		*gid = pw->pw_gid;
	}
	return 0;
}

int
privs_find_group(const char *name, gid_t *gid)
{
	struct group *gr = getgrnam(name);

	if (gr == NULL)
		return number(name, gid);
	*gid = gr->gr_gid;
	return 0;
}

/* ---- user and groups ---------------------------------------------------- */

/* What initgroups(3) would set, kept so that a later child needs no look-up
 * between fork and exec. */
static int
find_groups(struct privs *p, const char *user)
{
	int n = 16, have;
	gid_t *more;

	do {
		have = n;
		more = realloc(p->groups, (size_t)n * sizeof(*more));
		if (more == NULL)
			return -1;
		p->groups = more;
	} while (getgrouplist(user, p->gid, p->groups, &n) == -1 && n > have);
	p->ngroups = n;
	return 0;
}

/* Never root's name and home: who is in no database is its number, in "/". */
static int
find_user(struct privs *p, const struct conf *conf)
{
	struct passwd *pw;
	char number[16];

	if (privs_find_user(conf->user, &p->uid, &p->gid) == -1) {
		log_err("user: no such user: %s", conf->user);
		return EXIT_CONFIG;
	}
	if (p->gid == (gid_t)-1 && *conf->group == '\0') {
		log_err("user: %s is in no user database: set group too",
		    conf->user);
		return EXIT_CONFIG;
	}
	snprintf(number, sizeof(number), "%u", (unsigned)p->uid);
	pw = getpwuid(p->uid);
	p->user = strdup(pw != NULL ? pw->pw_name : number);
	p->home = strdup(pw != NULL ? pw->pw_dir : "/");
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
	int status;

	if (*conf->user != '\0' && (status = find_user(p, conf)) != 0)
		return status;
	if (*conf->group != '\0' &&
	    privs_find_group(conf->group, &p->gid) == -1) {
		log_err("group: no such group: %s", conf->group);
		return EXIT_CONFIG;
	}
	if (geteuid() != 0)
		return check_unprivileged(p, conf);
	p->drop = *conf->user != '\0' || *conf->group != '\0';
	if (p->drop && *conf->user == '\0')
		log_warn("group: without user the application runs as root");
	if (p->drop && find_groups(p, p->user != NULL ? p->user : "") == -1) {
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
