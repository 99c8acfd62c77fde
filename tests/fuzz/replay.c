/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The main program of a fuzz target without a fuzzer: runs it over the files
 * named, or over each file of the folders named.
 */
#include "fuzz.h"

#include <sys/stat.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"

static unsigned replayed;

static int
replay_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char *data;
	size_t len;

	if (fd == -1 || (data = fd_read_all(fd, &len)) == NULL) {
		perror(name);
		fd_close(&fd);
		return -1;
	}
	fd_close(&fd);
	(void)LLVMFuzzerTestOneInput((const uint8_t *)data, len);
	free(data);
	replayed++;
	return 0;
}

static int
replay_dir(const char *name)
{
	DIR *dir = opendir(name);
	struct dirent *entry;
	int result = 0;

	if (dir == NULL) {
		perror(name);
		return -1;
	}
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' &&
		    replay_file(dirfd(dir), entry->d_name) == -1)
			result = -1;
	closedir(dir);
	return result;
}

int
main(int argc, char *argv[])
{
	struct stat st;
	int i, failed = 0;

	for (i = 1; i < argc; i++) {
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			failed |= replay_dir(argv[i]);
		else
			failed |= replay_file(AT_FDCWD, argv[i]);
	}
	printf("%u inputs\n", replayed);
	return failed != 0 || replayed == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
