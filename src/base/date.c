/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/date.h"

#include <stdio.h>
#include <time.h>

static struct {
	time_t		  second;	/* of the texts; 0: none yet */
	char		  http[DATE_HTTP_LEN + 1];
	char		  clf[DATE_CLF_LEN + 1];
	uint64_t	 *hits, *misses;
} date;

/* no strftime: its names follow the locale, these must not */
static const char days[][4] =
	{ "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
	"Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

static void
rebuild(time_t now)
{
	char text[80];
	struct tm tm;
	long off;

	gmtime_r(&now, &tm);
	snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT",
	    days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
	    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	snprintf(date.http, sizeof(date.http), "%.*s", DATE_HTTP_LEN, text);
	localtime_r(&now, &tm);
	off = tm.tm_gmtoff < 0 ? -tm.tm_gmtoff : tm.tm_gmtoff;
	snprintf(text, sizeof(text), "%02d/%s/%04d:%02d:%02d:%02d %c%02ld%02ld",
	    tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
	    tm.tm_min, tm.tm_sec, tm.tm_gmtoff < 0 ? '-' : '+', off / 3600,
	    off / 60 % 60);
	snprintf(date.clf, sizeof(date.clf), "%.*s", DATE_CLF_LEN, text);
	date.second = now;
}

static void
count(uint64_t *n)
{
	if (n != NULL)
		__atomic_store_n(n, *n + 1, __ATOMIC_RELAXED);
}

/* The coarse clock is read from the vDSO without a system call. */
static void
refresh(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	if (ts.tv_sec == date.second) {
		count(date.hits);
		return;
	}
	count(date.misses);
	rebuild(ts.tv_sec);
}

const char *
date_http(void)
{
	refresh();
	return date.http;
}

const char *
date_clf(void)
{
	refresh();
	return date.clf;
}

void
date_count(uint64_t *hits, uint64_t *misses)
{
	date.hits = hits;
	date.misses = misses;
}
