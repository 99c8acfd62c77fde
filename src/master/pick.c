/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/pick.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/defs.h"

char *
pick_absolute(const char *path)
{
	char *real = realpath(path, NULL), *cwd, *text = NULL;
	size_t n = strlen(path);

	if (real != NULL)
		return real;
	while (n > 1 && path[n - 1] == '/')
		n--;
	if (*path == '/')
		return strndup(path, n);
	if ((cwd = getcwd(NULL, 0)) == NULL)
		return NULL;
	if (strncmp(path, "./", 2) == 0) {
		path += 2;
		n -= 2;
	}
	if (asprintf(&text, "%s/%.*s", cwd, (int)n, path) == -1)
		text = NULL;
	free(cwd);
	return text;
}

int
pick_init(struct pick *p, const struct conf *conf)
{
	char *path;
	size_t i;

	*p = (struct pick){ 0 };
	if (conf_list_copy(&p->include, &conf->reload_include) == -1 ||
	    conf_list_copy(&p->exclude, &conf->reload_exclude) == -1)
		goto fail;
	/* one that is no directory yet may become one */
	for (i = 0; i < p->exclude.n; i++) {
		if ((path = pick_absolute(p->exclude.at[i])) == NULL ||
		    conf_list_add(&p->left_out, path) == -1) {
			free(path);
			goto fail;
		}
		free(path);
	}
	return 0;
fail:
	pick_fini(p);
	return -1;
}

void
pick_fini(struct pick *p)
{
	conf_list_clear(&p->include);
	conf_list_clear(&p->exclude);
	conf_list_clear(&p->left_out);
}

/* The end of a path that has as many parts as the pattern. */
static const char *
tail_for(const char *pattern, const char *path)
{
	const char *tail = path + strlen(path), *slash = pattern;
	int parts = 1;

	if (*pattern == '/')
		return path;
	while ((slash = strchr(slash, '/')) != NULL) {
		parts++;
		slash++;
	}
	while (tail > path && (tail[-1] != '/' || --parts > 0))
		tail--;
	return tail;
}

static bool
matches(const char *pattern, const char *path)
{
	return fnmatch(pattern, tail_for(pattern, path), FNM_PATHNAME) == 0;
}

static bool
matches_any(const struct conf_list *patterns, const char *path)
{
	size_t i;

	for (i = 0; i < patterns->n; i++)
		if (matches(patterns->at[i], path))
			return true;
	return false;
}

bool
pick_file(const struct pick *p, const char *path)
{
	size_t i;

	/* a name without wildcards wins over what is excluded */
	for (i = 0; i < p->include.n; i++)
		if (strcmp(tail_for(p->include.at[i], path),
		    p->include.at[i]) == 0)
			return true;
	return matches_any(&p->include, path) &&
	    !matches_any(&p->exclude, path);
}

bool
pick_is_left_out(const struct pick *p, const char *path)
{
	size_t i;

	for (i = 0; i < p->left_out.n; i++)
		if (strcmp(path, p->left_out.at[i]) == 0)
			return true;
	return false;
}

bool
pick_folder(const struct pick *p, const char *path)
{
	static const char *const never[] = { "__pycache__", "node_modules" };
	const char *name = strrchr(path, '/') + 1;
	char venv[PATH_MAX];
	size_t i;

	if (*name == '.')
		return false;
	for (i = 0; i < countof(never); i++)
		if (strcmp(name, never[i]) == 0)
			return false;
	if (pick_is_left_out(p, path))
		return false;
	return snprintf(venv, sizeof(venv), "%s/pyvenv.cfg", path) <
	    (int)sizeof(venv) && access(venv, F_OK) == -1;
}
