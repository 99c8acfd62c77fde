/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Lines for the system's log.  syslog(3) waits for whoever reads there; this
 * does not.
 */
#ifndef BASE_SYSLOG_H
#define BASE_SYSLOG_H

/* One line of this process, called `ident`, of facility daemon; the priority
 * is one of <syslog.h>. 0, or -1 with errno: nobody took it. */
int	 syslog_send(const char *ident, int priority, const char *line);

#endif
