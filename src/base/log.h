/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The error log.  A line reads "module: what: object", lower case, no full
 * stop.  Any thread may log; a line is one write()
 * and is never waited for: outlet.h.  Before log_adopt() lines
 * go to stderr at level info.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/defs.h"

/* uvicorn's levels; the order is that of growing talkativeness. */
enum log_level {
	LOG_L_CRITICAL,
	LOG_L_ERROR,
	LOG_L_WARNING,
	LOG_L_INFO,
	LOG_L_DEBUG,
	LOG_L_TRACE,
};

extern const char *const log_level_names[];	/* indexed, NULL ends */

/*
 * Where lines go: "stderr" (plain "INFO:     text" lines, coloured on a
 * terminal; "<N>text" when $JOURNAL_STREAM names our stderr), "syslog", or a
 * file (with time and pid).  It is open as fd, the log's from then on; -1 with
 * syslog, or for stderr itself.  `ident` names the process in syslog and files
 * ("asgid", "asgid-worker").
 */
void	 log_adopt(int fd, const char *sink, enum log_level,
	    const char *ident);
/* Neither of the two words? */
bool	 log_is_file(const char *sink);

/* The descriptor lines go to, or -1 with syslog; it stays log.c's. */
int	 log_fd(void);

/* Lines that the reader of a pipe, a terminal or a socket does not take are
 * dropped; how many is added here, and told when lines are taken again. NULL
 * ends it. */
void	 log_count(uint64_t *dropped);

/* Warnings and worse also go to `to`, one line each without a prefix, until
 * NULL ends it: for an asker who is to see what the log sees. One thread. */
struct buf;
void	 log_tee(struct buf *to);

bool	 log_enabled(enum log_level);
void	 log_set_level(enum log_level);

/* Text may hold newlines (a traceback): written whole, in one piece. */
void	 log_write(enum log_level, const char *fmt, ...) PRINTF(2, 3);
void	 log_vwrite(enum log_level, const char *fmt, va_list) PRINTF(2, 0);

#define log_crit(...)	log_write(LOG_L_CRITICAL, __VA_ARGS__)
#define log_err(...)	log_write(LOG_L_ERROR, __VA_ARGS__)
#define log_warn(...)	log_write(LOG_L_WARNING, __VA_ARGS__)
#define log_info(...)	log_write(LOG_L_INFO, __VA_ARGS__)
#define log_debug(...)	\
	do { if (log_enabled(LOG_L_DEBUG)) \
		log_write(LOG_L_DEBUG, __VA_ARGS__); } while (0)

/* Log as critical and exit with `status`; for start-up only. */
void	 fatal(int status, const char *fmt, ...) PRINTF(2, 3) NORETURN;

#endif
