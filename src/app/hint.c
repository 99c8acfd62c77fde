/* SPDX-License-Identifier: BSD-3-Clause */
#include "py/py.h"
#include "app/hint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/venv.h"

static const char *
sys_text(const char *name)
{
	PyObject *value = PySys_GetObject(name);	/* borrowed */
	const char *text = NULL;

	if (value != NULL && PyUnicode_Check(value))
		text = PyUnicode_AsUTF8(value);
	PyErr_Clear();
	return text != NULL ? text : "?";
}

/* "Python 3.11.2 (/usr/bin/python3.11) without a virtual environment" */
static void
tell_python(struct buf *to)
{
	const char *version = Py_GetVersion();
	const char *prefix = sys_text("prefix");

	buf_printf(to, "Python %.*s (%s)", (int)strcspn(version, " "),
	    version, sys_text("executable"));
	if (strcmp(prefix, sys_text("base_prefix")) == 0)
		buf_puts(to, " without a virtual environment");
	else
		buf_printf(to, " in the virtual environment %s", prefix);
}

/* An environment in this folder that is not the one in use. */
static bool
tell_venv(const char *folder, const char *name, struct buf *to)
{
	struct buf path = BUF_INIT, why = BUF_INIT;
	struct venv v;
	bool there;

	buf_printf(&path, "%s/%s", folder, name);
	there = venv_read(&v, buf_str(&path), &why) == 0 &&
	    strcmp(v.dir, sys_text("prefix")) != 0;
	buf_reset(&why);
	if (there && venv_check(&v, &why) == 0)
		buf_printf(to, "; %s is there, but not used: name it with "
		    "python.venv (--venv)", v.dir);
	else if (there)
		buf_printf(to, "; %s", buf_str(&why));
	venv_fini(&v);
	buf_fini(&path);
	buf_fini(&why);
	return there;
}

static void
tell_venvs(const char *folder, struct buf *to)
{
	if (!tell_venv(folder, ".venv", to))
		(void)tell_venv(folder, "venv", to);
}

/* Where it was looked for first: the folder itself may be the reason. */
static void
tell_folder(const char *folder, struct buf *to)
{
	buf_printf(to, ", first in %s", folder);
	if (access(folder, R_OK | X_OK) == -1)
		buf_printf(to, ", which the worker's user (%d) cannot read: "
		    "%s", (int)geteuid(), strerror(errno));
}

void
hint_import(const struct conf *conf, bool itself, struct buf *to)
{
	const char *dir = conf->app_dir;
	char *cwd = getcwd(NULL, 0);
	struct buf meant = BUF_INIT;

	if (itself && conf_app_meant(conf->app, &meant))
		buf_printf(to, "Did you mean %s? ", buf_str(&meant));
	buf_fini(&meant);
	buf_puts(to, "Looked for by ");
	tell_python(to);
	if (*dir != '/' && cwd == NULL)
		buf_puts(to, "; the current directory is gone");
	else {
		tell_folder(*dir != '\0' ? dir : cwd, to);
		tell_venvs(*dir != '\0' ? dir : cwd, to);
	}
	free(cwd);
}
