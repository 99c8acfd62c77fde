/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Every group on the way from ours to the root may have a quota, and the
 * tightest one counts.  Of a container we may see no more than its own part of
 * the tree (the mount's root), under the name that it has outside.
 */
#include "conf/cpus.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define CPUS_MAX	1024	/* of workers.count */

/* ---- files -------------------------------------------------------------- */

/* NULL where there is none. */
static char *
read_file(const char *root, const char *folder, const char *name)
{
	char path[PATH_MAX], *text = NULL;
	size_t len;
	int fd;

	if (snprintf(path, sizeof(path), "%s%s/%s", root, folder, name) >=
	    (int)sizeof(path))
		return NULL;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) != -1)
		text = fd_read_all(fd, &len);
	fd_close(&fd);
	return text;
}

/* Cut the next line off. */
static bool
next_line(struct str *rest, struct str *line)
{
	const char *end = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;

	if (rest->n == 0)
		return false;
	line->p = rest->p;
	line->n = end != NULL ? (size_t)(end - rest->p) : rest->n;
	rest->p += line->n + (end != NULL);
	rest->n -= line->n + (end != NULL);
	return true;
}

/* Cut off what stands before the next `sign`. */
static struct str
next_field(struct str *rest, char sign)
{
	const char *end = rest->n > 0 ? memchr(rest->p, sign, rest->n) : NULL;
	struct str field = { rest->p, end != NULL ?
	    (size_t)(end - rest->p) : rest->n };

	rest->p += field.n + (end != NULL);
	rest->n -= field.n + (end != NULL);
	return field;
}

/* ---- the tree ----------------------------------------------------------- */

struct hierarchy {
	const char	*type;		/* of the file system */
	bool		 v2;
};

/* The group we are in, of the line "4:cpu,cpuacct:/a/b" or "0::/a/b". */
static bool
find_group(const char *text, const struct hierarchy *h, struct str *group)
{
	struct str rest = str_of(text), line, controllers;

	while (next_line(&rest, &line)) {
		(void)next_field(&line, ':');
		controllers = next_field(&line, ':');
		if (h->v2 ? controllers.n > 0 :
		    !str_has_token(controllers, STR("cpu")))
			continue;
		*group = line;
		return true;
	}
	return false;
}

/* Blanks and the like are written \040 there. */
static bool
unescape(struct str s, char to[PATH_MAX])
{
	size_t n = 0;

	for (; s.n > 0 && n + 1 < PATH_MAX; s.p++, s.n--) {
		if (*s.p == '\\' && s.n >= 4) {
			to[n++] = (char)((s.p[1] - '0') << 6 |
			    (s.p[2] - '0') << 3 | (s.p[3] - '0'));
			s.p += 3;
			s.n -= 3;
		} else
			to[n++] = *s.p;
	}
	to[n] = '\0';
	return s.n == 0;
}

struct mount {
	char	 root[PATH_MAX];	/* which group is seen at .. */
	char	 point[PATH_MAX];	/* .. this path */
};

/* "36 35 0:29 ROOT POINT options [tags ..] - TYPE source options" */
static bool
find_mount(const char *text, const struct hierarchy *h, struct mount *m)
{
	struct str rest = str_of(text), line, field, root, point;
	int i;

	while (next_line(&rest, &line)) {
		for (i = 0; i < 3; i++)
			(void)next_field(&line, ' ');
		root = next_field(&line, ' ');
		point = next_field(&line, ' ');
		do
			field = next_field(&line, ' ');
		while (line.n > 0 && !str_eq(field, STR("-")));
		field = next_field(&line, ' ');
		if (!str_eq(field, str_of(h->type)))
			continue;
		(void)next_field(&line, ' ');
		if ((h->v2 || str_has_token(line, STR("cpu"))) &&
		    unescape(root, m->root) && unescape(point, m->point))
			return true;
	}
	return false;
}

/* ---- quotas ------------------------------------------------------------- */

/* A whole number at the beginning; 0 for "max", -1 and what is none. */
static uint64_t
number(const char *text)
{
	uint64_t n;

	return text != NULL && str_to_uint((struct str){ text,
	    strspn(text, "0123456789") }, &n) == 0 ? n : 0;
}

/* Of one group, in CPUs; UINT_MAX: none. */
static unsigned
quota_of(const char *root, const char *folder, const struct hierarchy *h)
{
	char *max = read_file(root, folder, h->v2 ? "cpu.max" :
	    "cpu.cfs_quota_us");
	char *other = h->v2 ? NULL : read_file(root, folder,
	    "cpu.cfs_period_us");
	const char *second = h->v2 && max != NULL ? strchr(max, ' ') : NULL;
	uint64_t quota = number(max), period, n;

	period = number(h->v2 ? second != NULL ? second + 1 : NULL : other);
	free(max);
	free(other);
	if (quota == 0 || period == 0)
		return UINT_MAX;
	n = quota / period + (quota % period != 0);
	return n < UINT_MAX ? (unsigned)n : UINT_MAX;
}

/* From the group up to what is mounted. */
static unsigned
quota_on_path(const char *root, const struct mount *m, struct str group,
    const struct hierarchy *h)
{
	size_t base = strlen(m->point), skip = strlen(m->root), end;
	char folder[2 * PATH_MAX];
	unsigned least = UINT_MAX, n;

	/* "/" is the root of all */
	if (skip == 1)
		skip = 0;
	if (group.n < skip || memcmp(group.p, m->root, skip) != 0 ||
	    (group.n > skip && group.p[skip] != '/') ||
	    group.n - skip >= PATH_MAX)
		skip = group.n;
	end = (size_t)snprintf(folder, sizeof(folder), "%s%.*s", m->point,
	    (int)(group.n - skip), group.p + skip);
	for (;;) {
		n = quota_of(root, folder, h);
		if (n < least)
			least = n;
		while (end > base && folder[end - 1] != '/')
			end--;
		if (end <= base)
			return least;
		folder[--end] = '\0';
	}
}

static unsigned
quota(const char *root, const struct hierarchy *h)
{
	char *groups = read_file(root, "/proc/self", "cgroup");
	char *mounts = read_file(root, "/proc/self", "mountinfo");
	unsigned n = UINT_MAX;
	struct mount m;
	struct str group;

	if (groups != NULL && mounts != NULL &&
	    find_group(groups, h, &group) && find_mount(mounts, h, &m))
		n = quota_on_path(root, &m, group, h);
	free(groups);
	free(mounts);
	return n;
}

unsigned
cpus_quota(const char *root)
{
	static const struct hierarchy hierarchies[] = {
		{ "cgroup2", true }, { "cgroup", false },
	};
	unsigned least = UINT_MAX, n;
	size_t i;

	for (i = 0; i < countof(hierarchies); i++)
		if ((n = quota(root, &hierarchies[i])) < least)
			least = n;
	return least;
}

/* ---- affinity ----------------------------------------------------------- */

static unsigned
affinity(void)
{
	int most = CPU_SETSIZE, n = 0;
	cpu_set_t *set;

	/* a machine may have more than fit into the fixed set */
	for (; n == 0 && most <= 1 << 20; most *= 2) {
		if ((set = CPU_ALLOC((size_t)most)) == NULL)
			break;
		if (sched_getaffinity(0, CPU_ALLOC_SIZE((size_t)most),
		    set) == 0)
			n = CPU_COUNT_S(CPU_ALLOC_SIZE((size_t)most), set);
		CPU_FREE(set);
		if (n == 0 && errno != EINVAL)
			break;
	}
	return n > 0 ? (unsigned)n : 1;
}

unsigned
cpus_usable(void)
{
	unsigned cpus = affinity(), most = cpus_quota("");

	if (most < cpus)
		cpus = most;
	return cpus < 1 ? 1 : cpus > CPUS_MAX ? CPUS_MAX : cpus;
}
