/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Statistics as text for people, as JSON, and as metrics.  Reads the segment
 * and /proc, asks no worker anything.
 */
#ifndef STATS_RENDER_H
#define STATS_RENDER_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/json.h"
#include "stats/stats.h"

/* Names of what is told as JSON, by anybody: KEY(uptime_seconds). */
enum json_field {
#define FIELD(name, text)	FIELD_##name,
#include "stats/fields.def"
#undef FIELD
	NFIELDS
};

extern const char *const json_fields[NFIELDS];

#define KEY(name)	json_fields[FIELD_##name]

struct stats_worker {
	int		 slot;		/* 0: counts for itself, is not told */
	unsigned	 id, generation;
	pid_t		 pid;
	const char	*state;
	nsec_t		 age;
};

struct stats_view {
	const struct stats_segment *segment;
	const struct stats_worker *workers;	/* by id */
	size_t		 nworkers;
	nsec_t		 now;		/* mono_now() */
	nsec_t		 uptime;
};

void	 stats_text(const struct stats_view *, struct buf *);
/* One object, and a line end. */
void	 stats_json(const struct stats_view *, struct buf *);
/* One worker's fields, into an object that is open. */
void	 stats_json_worker(const struct stats_view *,
	    const struct stats_worker *, struct json *);
/* OpenMetrics 1.0. */
void	 stats_openmetrics(const struct stats_view *, struct buf *);
/* What Prometheus spoke before, version 0.0.4. */
void	 stats_prometheus(const struct stats_view *, struct buf *);

#define STATS_OPENMETRICS_TYPE \
	"application/openmetrics-text; version=1.0.0; charset=utf-8"
#define STATS_PROMETHEUS_TYPE	"text/plain; version=0.0.4; charset=utf-8"

/* Resident memory in bytes and CPU time of a process. 0, or -1 (both 0). */
int	 stats_process(pid_t, uint64_t *memory, nsec_t *cpu);
/* How long the loop of a slot has been busy without a pause: a worker that
 * hangs is for long. 0: it waits. */
nsec_t	 stats_busy(const struct stats_slot *, nsec_t now);

#endif
