/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The cached date: rebuilt by its first user in a new second, shared by the
 * Date header (RFC 9110 5.6.7) and the logs.  One thread.
 */
#ifndef BASE_DATE_H
#define BASE_DATE_H

#include <stdint.h>

#define DATE_HTTP_LEN	29	/* "Sun, 06 Nov 1994 08:49:37 GMT" */
#define DATE_CLF_LEN	26	/* "06/Nov/1994:08:49:37 +0000" */

/* NUL-terminated, valid until the next call. */
const char *date_http(void);
/* Common log format, local time zone. */
const char *date_clf(void);
/* Count here from now on how often a date was at hand or not. */
void	 date_count(uint64_t *hits, uint64_t *misses);

#endif
