/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The quota of control groups, from trees of files as the kernel shows them.
 */
#include "conf/cpus.h"

#include <sys/stat.h>

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/defs.h"
#include "test_conf.h"

#define FILES	6

static char root[] = "/tmp/test_cpus.XXXXXX";

static void
setup(void)
{
	strcpy(root + sizeof(root) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

static void
teardown(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	ck_assert_int_eq(system(command), 0);
}

/* A file below the root, with the folders that lead to it. */
static void
put(const char *name, const char *text)
{
	char path[256], *slash;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (slash = path + strlen(root) + 1;
	    (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
		*slash = '\0';
		ck_assert(mkdir(path, 0755) == 0 || errno == EEXIST);
	}
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	fputs(text, f);
	fclose(f);
}

#define V2	"25 20 0:22 / /proc rw - proc proc rw\n"		\
		"30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - "	\
		"cgroup2 cgroup2 rw,nsdelegate\n"
#define V1	"31 23 0:28 / /cg rw - tmpfs tmpfs rw\n"		\
		"32 31 0:29 / /cg/cpuset rw - cgroup cgroup rw,cpuset\n" \
		"33 31 0:30 / /cg/cpu,cpuacct rw master:9 - cgroup cgroup " \
		"rw,cpu,cpuacct\n"
#define DOCKER	"33 31 0:30 /docker/1f /cg/cpu ro - cgroup cgroup rw,cpu\n"

static const struct {
	const char	*what, *group, *mounts;
	const char	*files[FILES];		/* name, text, name, text */
	unsigned	 quota;
} trees[] = {
	{ "none", "0::/a/b\n", V2,
	    { "sys/fs/cgroup/a/b/cpu.max", "max 100000\n" }, UINT_MAX },
	{ "no controller", "0::/a/b\n", V2, { NULL }, UINT_MAX },
	{ "whole", "0::/a/b\n", V2,
	    { "sys/fs/cgroup/a/b/cpu.max", "300000 100000\n" }, 3 },
	{ "rounded up", "0::/a/b\n", V2,
	    { "sys/fs/cgroup/a/b/cpu.max", "150000 100000\n" }, 2 },
	{ "less than one", "0::/a/b\n", V2,
	    { "sys/fs/cgroup/a/b/cpu.max", "5000 100000\n" }, 1 },
	{ "the parent's", "0::/a/b\n", V2,
	    { "sys/fs/cgroup/a/b/cpu.max", "400000 100000\n",
	    "sys/fs/cgroup/a/cpu.max", "200000 100000\n" }, 2 },
	{ "its own", "0::/a/b\n", V2,
	    { "sys/fs/cgroup/a/b/cpu.max", "200000 100000\n",
	    "sys/fs/cgroup/a/cpu.max", "400000 100000\n" }, 2 },
	{ "the grandparent's", "0::/a/b/c\n", V2,
	    { "sys/fs/cgroup/a/cpu.max", "700000 100000\n" }, 7 },
	{ "not the neighbour's", "0::/a/b\n", V2,
	    { "sys/fs/cgroup/b/cpu.max", "100000 100000\n",
	    "sys/fs/cgroup/a/c/cpu.max", "100000 100000\n" }, UINT_MAX },
	{ "a container's root", "0::/\n", V2,
	    { "sys/fs/cgroup/cpu.max", "50000 20000\n" }, 3 },
	{ "outside the container", "0::/../x\n", V2,
	    { "sys/fs/cgroup/cpu.max", "100000 100000\n" }, 1 },
	{ "a blank in the path", "0::/a b\n", "30 24 0:26 / /my\\040cg rw - "
	    "cgroup2 none rw\n", { "my cg/a b/cpu.max", "100000 50000\n" }, 2 },
	{ "nonsense", "0::/a\n", V2,
	    { "sys/fs/cgroup/a/cpu.max", "lots and lots\n" }, UINT_MAX },
	{ "no period", "0::/a\n", V2,
	    { "sys/fs/cgroup/a/cpu.max", "100000 0\n" }, UINT_MAX },
	{ "empty", "0::/a\n", V2,
	    { "sys/fs/cgroup/a/cpu.max", "" }, UINT_MAX },
	{ "version 1", "3:cpuset:/x\n4:cpu,cpuacct:/a\n0::/\n", V1,
	    { "cg/cpu,cpuacct/a/cpu.cfs_quota_us", "250000\n",
	    "cg/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n" }, 3 },
	{ "version 1, none", "4:cpu,cpuacct:/a\n", V1,
	    { "cg/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n",
	    "cg/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n" }, UINT_MAX },
	{ "version 1, a container's part", "4:cpu:/docker/1f\n", DOCKER,
	    { "cg/cpu/cpu.cfs_quota_us", "200000\n",
	    "cg/cpu/cpu.cfs_period_us", "100000\n" }, 2 },
	{ "version 1, a group in a container", "4:cpu:/docker/1f/g\n", DOCKER,
	    { "cg/cpu/g/cpu.cfs_quota_us", "100000\n",
	    "cg/cpu/g/cpu.cfs_period_us", "100000\n" }, 1 },
	{ "a name that only begins like the mount's", "4:cpu:/docker/1fe\n",
	    DOCKER, { "cg/cpue/cpu.cfs_quota_us", "100000\n",
	    "cg/cpue/cpu.cfs_period_us", "100000\n" }, UINT_MAX },
	{ "nothing is mounted", "0::/a\n", "", { NULL }, UINT_MAX },
	{ "nothing at all", "", "\n", { NULL }, UINT_MAX },
};

START_TEST(quotas)
{
	const char *const *f = trees[_i].files;
	unsigned quota;
	size_t i;

	put("proc/self/cgroup", trees[_i].group);
	put("proc/self/mountinfo", trees[_i].mounts);
	for (i = 0; i < FILES && f[i] != NULL; i += 2)
		put(f[i], f[i + 1]);
	quota = cpus_quota(root);
	ck_assert_msg(quota == trees[_i].quota, "%s: %u", trees[_i].what,
	    quota);
}
END_TEST

START_TEST(no_proc)
{
	ck_assert_uint_eq(cpus_quota(root), UINT_MAX);
	ck_assert_uint_ge(cpus_usable(), 1);
	ck_assert_uint_le(cpus_usable(), cpus_quota(""));
}
END_TEST

TCase *
cpus_tests(void)
{
	TCase *t = tcase_create("cpus");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, quotas, 0, (int)countof(trees));
	tcase_add_test(t, no_proc);
	return t;
}
