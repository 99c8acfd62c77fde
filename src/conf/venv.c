/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Virtual environments: reading pyvenv.cfg, and refusing the ones whose
 * packages were installed for another Python.  Knows the tools' dialects:
 * venv writes "version", virtualenv and uv write "version_info".
 */
#include "conf/venv.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "conf/conf_priv.h"

void
venv_fini(struct venv *v)
{
	free(v->dir);
	free(v->python);
	free(v->home);
	memset(v, 0, sizeof(*v));
}

/* The path made absolute but with its links kept, as Python does it: a link
 * to an environment is a name of its own. NULL with errno. */
static char *
absolute(const char *path)
{
	char *cwd, *abs = NULL;
	size_t n;

	if (*path == '/')
		abs = strdup(path);
	else if ((cwd = getcwd(NULL, 0)) != NULL) {
		if (asprintf(&abs, "%s/%s", cwd, path) == -1)
			abs = NULL;
		free(cwd);
	}
	if (abs == NULL)
		return NULL;
	for (n = strlen(abs); n > 1 && abs[n - 1] == '/'; n--)
		abs[n - 1] = '\0';
	return abs;
}

static void
read_line(struct venv *v, char *line)
{
	char *eq = strchr(line, '=');
	struct str key, value;
	int major, minor;

	if (eq == NULL)
		return;
	key = str_trim((struct str){ line, (size_t)(eq - line) });
	value = str_trim(str_of(eq + 1));
	if (str_ieq(key, STR("home"))) {
		free(v->home);
		v->home = strndup(value.p, value.n);
	} else if ((str_ieq(key, STR("version")) ||
	    str_ieq(key, STR("version_info"))) &&
	    sscanf(value.p, "%d.%d", &major, &minor) == 2) {
		v->major = major;
		v->minor = minor;
	}
}

/* Silent pyvenv.cfg: the one lib/pythonX.Y tells. */
static void
guess_version(struct venv *v)
{
	char path[4096];
	struct dirent *e;
	int major, minor, found = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/lib", v->dir);
	if ((d = opendir(path)) == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (sscanf(e->d_name, "python%d.%d", &major, &minor) == 2) {
			v->major = major;
			v->minor = minor;
			found++;
		}
	closedir(d);
	if (found != 1)
		v->major = v->minor = 0;
}

int
venv_read(struct venv *v, const char *dir, struct buf *why)
{
	char *cfg = NULL, *text, *rest, *line;

	memset(v, 0, sizeof(*v));
	v->dir = absolute(dir);
	if (v->dir == NULL ||
	    asprintf(&v->python, "%s/bin/python", v->dir) == -1 ||
	    asprintf(&cfg, "%s/pyvenv.cfg", v->dir) == -1) {
		buf_printf(why, "%s: %s", dir, strerror(errno));
		return -1;
	}
	text = conf_read_file(cfg);
	if (text == NULL && errno == ENOENT && access(v->dir, F_OK) == 0)
		buf_printf(why, "%s is no virtual environment: it has no "
		    "pyvenv.cfg", v->dir);
	else if (text == NULL)
		buf_printf(why, "%s is no virtual environment: %s", v->dir,
		    conf_file_error(errno));
	free(cfg);
	if (text == NULL)
		return -1;
	for (rest = text; (line = strsep(&rest, "\r\n")) != NULL;)
		read_line(v, line);
	free(text);
	if (v->major == 0)
		guess_version(v);
	return 0;
}

int
venv_check(const struct venv *v, struct buf *why)
{
	char version[32];

	snprintf(version, sizeof(version), "%d.%d", v->major, v->minor);
	if (v->major == 0 || strcmp(version, PYTHON_VERSION) == 0)
		return 0;
	buf_printf(why, "%s is a virtual environment of Python %s, but this "
	    "asgid embeds Python " PYTHON_VERSION "; make it again with: "
	    PYTHON_EXECUTABLE " -m venv --clear %s",
	    v->dir, version, v->dir);
	return -1;
}

int
venv_choose(struct venv *v, const struct conf *conf, struct buf *why)
{
	const char *dir = conf->python_venv, *key = "python.venv";
	size_t start = why->len;

	memset(v, 0, sizeof(*v));
	if (*dir == '\0') {
		key = "VIRTUAL_ENV";
		dir = getenv(key);
		if (dir == NULL || *dir == '\0')
			return 0;
	}
	buf_printf(why, "%s: ", key);
	if (venv_read(v, dir, why) == -1 || venv_check(v, why) == -1)
		return -1;
	buf_cut(why, start);
	return 0;
}
