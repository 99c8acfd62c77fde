/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/precheck.h"

#include <sys/prctl.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/defs.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mono.h"
#include "conf/venv.h"
#include "master/helper.h"
#include "master/logfile.h"
#include "master/pidfile.h"
#include "master/privs.h"
#include "master/setup.h"

/* For the child that looks; a file system that hangs must not hang us. */
#define LOOK_TIME	(2 * NSEC_PER_SEC)

static struct {
	pid_t		 stuck;		/* one that was killed; or 0 */
} looker;

struct precheck {
	const struct conf	*conf, *now;
	struct buf		*errors;
	unsigned		 n;
	bool			 foreign;
};

static void complain_at(struct precheck *, const struct conf_source *,
    const char *key, const char *fmt, ...) PRINTF(4, 5);

static void
complain_at(struct precheck *c, const struct conf_source *where,
    const char *key, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	conf_complain(c->errors, where, key, "%s", buf_str(&text));
	buf_fini(&text);
	c->n++;
}

#define complain(c, key, ...)	\
	complain_at((c), conf_source((c)->conf, (key)), (key), __VA_ARGS__)

/* ---- what is new -------------------------------------------------------- */

struct question {
	const char	*key;
	bool		 differs;
};

static void
on_difference(const char *key, enum conf_class class UNUSED, void *arg)
{
	struct question *q = arg;

	q->differs |= strcmp(key, q->key) == 0;
}

static bool
is_new(const struct precheck *c, const char *key)
{
	struct question q = { key, c->now == NULL };

	if (c->now != NULL)
		(void)conf_diff(c->now, c->conf, on_difference, &q);
	return q.differs;
}

/* ---- names -------------------------------------------------------------- */

static void
check_user(struct precheck *c)
{
	const char *user = c->conf->user;
	uid_t uid;
	gid_t gid;

	if (*user == '\0')
		return;
	if (privs_find_user(user, &uid, &gid) == -1)
		complain(c, "user", "no such user: %s", user);
	else if (gid == (gid_t)-1 && *c->conf->group == '\0')
		complain(c, "user", "%s is in no user database: set group too",
		    user);
}

static void
check_group(struct precheck *c, const char *key, const char *group)
{
	gid_t gid;

	if (*group != '\0' && privs_find_group(group, &gid) == -1)
		complain(c, key, "no such group: %s", group);
}

static void
check_owner(struct precheck *c, const struct conf_listen *l)
{
	uid_t uid;
	gid_t gid;

	if (l->kind != CONF_LISTEN_UNIX)
		return;
	if (*l->owner != '\0' && privs_find_user(l->owner, &uid, NULL) == -1)
		complain_at(c, &l->source, "listen.owner",
		    "no such user: %s", l->owner);
	if (*l->group != '\0' && privs_find_group(l->group, &gid) == -1)
		complain_at(c, &l->source, "listen.group",
		    "no such group: %s", l->group);
}

static void
check_names(struct precheck *c)
{
	size_t i;

	if (is_new(c, "user") || is_new(c, "group")) {
		check_user(c);
		check_group(c, "group", c->conf->group);
	}
	if (is_new(c, "control.group"))
		check_group(c, "control.group", c->conf->control_group);
	for (i = 0; is_new(c, "listen") && i < c->conf->nlisten; i++)
		check_owner(c, &c->conf->listen[i]);
}

bool
precheck_is_foreign(const struct conf *conf)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (uid == 0)
		return false;
	return (*conf->user != '\0' &&
	    (privs_find_user(conf->user, &uid, NULL) == -1 ||
	    uid != geteuid())) || (*conf->group != '\0' &&
	    (privs_find_group(conf->group, &gid) == -1 || gid != getegid()));
}

/* ---- files that are to be made ------------------------------------------ */

enum { P_FILE, P_PIDFILE, P_SOCKET, P_SOCKET_AND_FOLDER };

static bool
may(const struct precheck *c, const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0 ||
	    (c->foreign && errno == EACCES);
}

/* The folder of what has no name yet. NULL with errno. */
static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? strdup(".") :
	    strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Can it hold the file? 0, or -1 with errno. */
static int
try_folder(struct precheck *c, const char *folder)
{
	struct stat st;

	if (stat(folder, &st) == -1)
		return c->foreign && errno == EACCES ? 0 : -1;
	if (!S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return -1;
	}
	return may(c, folder, W_OK | X_OK) ? 0 : -1;
}

static void
check_folder(struct precheck *c, const struct conf_source *where,
    const char *key, const char *path, bool may_be_made)
{
	char *folder = folder_of(path), *outer = NULL;

	if (folder == NULL || try_folder(c, folder) == 0)
		;
	else if (errno == ENOENT && may_be_made &&
	    (outer = folder_of(folder)) != NULL && try_folder(c, outer) == 0)
		;
	else
		complain_at(c, where, key, "%s: the directory %s: %s", path,
		    folder, strerror(errno));
	free(folder);
	free(outer);
}

static void
check_path(struct precheck *c, const struct conf_source *where,
    const char *key, const char *path, int kind)
{
	struct stat st;
	const char *why;
	int there = kind == P_FILE ? stat(path, &st) : lstat(path, &st);

	if (*path == '\0')
		return;
	if (there == 0 && kind == P_PIDFILE) {
		if (c->foreign && access(path, R_OK | W_OK) == -1)
			return;
		if ((why = pidfile_obstacle(path)) != NULL)
			complain_at(c, where, key, "%s: %s", path, why);
	} else if (there == 0 && kind == P_FILE) {
		if (S_ISDIR(st.st_mode))
			complain_at(c, where, key, "%s: %s", path,
			    strerror(EISDIR));
		else if (!may(c, path, W_OK))
			complain_at(c, where, key, "%s: %s", path,
			    strerror(errno));
	} else if (there == 0 && !S_ISSOCK(st.st_mode))
		complain_at(c, where, key,
		    "%s: a file that is no socket is there", path);
	else
		check_folder(c, where, key, path,
		    kind == P_SOCKET_AND_FOLDER);
}

static void
check_paths(struct precheck *c)
{
	const struct conf *conf = c->conf;
	const struct {
		const char	*key, *path;
		int		 kind;
	} paths[] = {
		{ "log.error", log_is_file(conf->log_error) ?
		    conf->log_error : "", P_FILE },
		{ "log.access", setup_is_file(conf->log_access) ?
		    conf->log_access : "", P_FILE },
		{ "pid_file", conf->pid_file, P_PIDFILE },
		/* where the usual path cannot be used, there is no socket */
		{ "control.socket", strcmp(conf->control_socket, "auto") != 0 ?
		    conf->control_socket : "", P_SOCKET_AND_FOLDER },
	};
	size_t i;

	for (i = 0; i < countof(paths); i++)
		if (is_new(c, paths[i].key))
			check_path(c, conf_source(conf, paths[i].key),
			    paths[i].key, paths[i].path, paths[i].kind);
	/* a reload opens them next, but for those that it has, or that the
	 * service manager gave */
	for (i = 0; c->now == NULL && i < conf->nlisten; i++)
		if (conf->listen[i].kind == CONF_LISTEN_UNIX)
			check_path(c, &conf->listen[i].source, "listen",
			    conf->listen[i].path, P_SOCKET);
}

/* ---- the application's, as its user sees it ----------------------------- */

static void
check_form(struct precheck *c)
{
	const char *app = c->conf->app, *fault = conf_app_fault(app);
	struct buf meant = BUF_INIT;

	if (fault != NULL && conf_app_meant(app, &meant))
		complain(c, "app", "\"%s\": %s, did you mean %s?", app, fault,
		    buf_str(&meant));
	else if (fault != NULL)
		complain(c, "app", "\"%s\": %s", app, fault);
	buf_fini(&meant);
}

/* The first folder of an absolute path that may not be entered, or the path
 * itself. */
static void
find_barrier(const char *path, char barrier[PATH_MAX])
{
	const char *slash = path;

	while ((slash = strchr(slash + 1, '/')) != NULL) {
		snprintf(barrier, PATH_MAX, "%.*s", (int)(slash - path), path);
		if (faccessat(AT_FDCWD, barrier, X_OK, AT_EACCESS) == -1 &&
		    errno == EACCES)
			return;
	}
	snprintf(barrier, PATH_MAX, "%s", path);
}

static void
check_app_dir(struct precheck *c)
{
	const char *dir = c->conf->app_dir, *user = c->conf->user;
	char *cwd = NULL, barrier[PATH_MAX];
	struct stat st;

	if (*dir != '/' && (cwd = getcwd(NULL, 0)) == NULL) {
		complain(c, "app_dir", "the current directory: %s",
		    errno == ENOENT ? "it is gone" : strerror(errno));
		return;
	}
	if (*dir == '\0')
		dir = cwd;
	if (stat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
		complain(c, "app_dir", "%s: %s", dir, strerror(ENOTDIR));
	else if (faccessat(AT_FDCWD, dir, R_OK | X_OK, AT_EACCESS) == -1) {
		if (errno == EACCES && *user != '\0') {
			find_barrier(dir, barrier);
			complain(c, "app_dir", "%s: the user %s may not %s "
			    "%s", dir, user, strcmp(barrier, dir) == 0 ?
			    "read" : "enter", barrier);
		} else
			complain(c, "app_dir", "%s: %s", dir, strerror(errno));
	}
	free(cwd);
}

static void
check_venv(struct precheck *c)
{
	struct buf why = BUF_INIT;
	struct venv v;

	/* the message names the key, or the variable */
	if (venv_choose(&v, c->conf, &why) == -1)
		complain_at(c, conf_source(c->conf, "python.venv"), NULL, "%s",
		    buf_str(&why));
	venv_fini(&v);
	buf_fini(&why);
}

static void
look(struct precheck *c)
{
	bool who = is_new(c, "user") || is_new(c, "group");

	if (who || is_new(c, "app_dir"))
		check_app_dir(c);
	if (who || is_new(c, "python.venv"))
		check_venv(c);
}

/* What the child writes, until it ends; fd does not block. -1: it takes too
 * long. */
static int
hear(int fd, struct buf *to)
{
	nsec_t end = mono_now() + LOOK_TIME, left;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;
	char *at;

	do {
		left = (end - mono_now()) / NSEC_PER_MSEC;
		if (left <= 0 || (at = buf_reserve(to, 4096)) == NULL)
			return -1;
		(void)poll(&p, 1, (int)left);
		if ((n = read(fd, at, 4096)) > 0)
			to->len += (size_t)n;
	} while (n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR)));
	return n == 0 ? 0 : -1;
}

static void NORETURN
be_the_looker(struct precheck *c, const struct privs *privs, int fd)
{
	struct buf text = BUF_INIT;

	c->errors = &text;
	if (privs_apply(privs) == 0 &&
	    prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
	    (fd = helper_keep_only(fd)) != -1)
		look(c);
	(void)fd_write_all(fd, text.data, text.len);
	_exit(0);
}

/* A child becomes the user for it. One that does not come back is killed, and
 * as long as it has not died there is no other: the workers will meet what it
 * met. */
static void
look_as_user(struct precheck *c, const struct privs *privs)
{
	struct buf text = BUF_INIT;
	int fds[2];
	pid_t pid;
	size_t i;

	helper_reap();
	if (helper_has(looker.stuck) || pipe2(fds, O_CLOEXEC) == -1)
		return;
	if ((pid = helper_fork()) == 0)
		be_the_looker(c, privs, fds[1]);
	close(fds[1]);
	(void)fd_set_nonblock(fds[0], true);
	if (pid != -1 && hear(fds[0], &text) == -1) {
		log_warn("app_dir: no answer in time from the file system");
		looker.stuck = pid;
	}
	if (pid != -1)
		helper_end(pid);
	close(fds[0]);
	buf_put(c->errors, text.data, text.len);
	for (i = 0; i < text.len; i++)
		c->n += text.data[i] == '\n';
	buf_fini(&text);
}

/* The workers' user must not be able to choose where a log goes. */
static void
check_log(struct precheck *c, const char *key, const char *path,
    const struct privs *privs)
{
	struct buf why = BUF_INIT;

	if (logfile_check(path, privs, &why) == -1)
		complain(c, key, "%s: %s", path, buf_str(&why));
	buf_fini(&why);
}

static void
check_logs(struct precheck *c, const struct privs *privs)
{
	const struct conf *conf = c->conf;
	bool who = is_new(c, "user") || is_new(c, "group");

	if (log_is_file(conf->log_error) && (who || is_new(c, "log.error")))
		check_log(c, "log.error", conf->log_error, privs);
	if (setup_is_file(conf->log_access) &&
	    (who || is_new(c, "log.access")))
		check_log(c, "log.access", conf->log_access, privs);
}

static void
check_application(struct precheck *c)
{
	struct privs privs;

	if (is_new(c, "app"))
		check_form(c);
	if (c->foreign || privs_init(&privs, c->conf) != 0)
		return;
	check_logs(c, &privs);
	if (privs.drop)
		look_as_user(c, &privs);
	else
		look(c);
	privs_fini(&privs);
}

/* ---- all ---------------------------------------------------------------- */

unsigned
precheck_names(const struct conf *conf, struct buf *errors)
{
	struct precheck c = { .conf = conf, .errors = errors };

	check_names(&c);
	return c.n;
}

unsigned
precheck(const struct conf *conf, const struct conf *now, struct buf *errors)
{
	struct precheck c = { .conf = conf, .now = now, .errors = errors,
	    .foreign = precheck_is_foreign(conf) };
	unsigned unknown;

	check_names(&c);
	unknown = c.n;
	check_paths(&c);
	/* who it is must be known first */
	if (unknown == 0)
		check_application(&c);
	else if (is_new(&c, "app"))
		check_form(&c);
	return c.n;
}

void
precheck_log(const struct buf *errors)
{
	const char *text = buf_str(errors);
	size_t n;

	for (; *text != '\0'; text += n, text += *text == '\n') {
		n = strcspn(text, "\n");
		log_err("%.*s", (int)n, text);
	}
}
