/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The worker program: started by asgid, which hands over all it needs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "http/front.h"
#include "proc/birth.h"
#include "py/version.h"
#include "stats/stats.h"
#include "worker/worker.h"

int
main(int argc, char *argv[])
{
	struct birth birth;
	struct conf *conf;
	int status;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("%s\nPython %s\n", front_library(), py_version());
		return 0;
	}
	if (birth_import(&birth, &conf) == -1) {
		fprintf(stderr, "asgid-worker is started by asgid, "
		    "not by hand\n");
		return 2;
	}
	log_adopt(birth.error_fd, conf->log_error,
	    (enum log_level)conf->log_level, "asgid-worker");
	if (birth.stats_fd != -1 && stats_attach(birth.stats_fd) == -1)
		log_warn("not part of the statistics: %s", errno == EPROTO ?
		    "asgid was upgraded since its start" : strerror(errno));
	fd_close(&birth.stats_fd);
	log_count(&stats->values[STAT_log_lines_dropped]);
	status = worker_main(&birth, conf);
	conf_free(&conf);
	return status;
}
