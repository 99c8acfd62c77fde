/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Metrics, in the two dialects that are asked for.  Counters and histograms
 * are sums over all workers, dead ones too, so they never go back; what is
 * told of single workers are gauges.
 */
#include "stats/render.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/defs.h"

struct dialect {
	bool		 open;		/* OpenMetrics, else Prometheus */
	struct buf	*to;
};

/* Upper edges that are told: 1, 2.5 and 5 of each decade. */
static const nsec_t shown[] = {
#define DECADE(ns)	1 * (nsec_t)(ns), 25 * (nsec_t)(ns) / 10, \
	5 * (nsec_t)(ns)
	DECADE(1000), DECADE(10000), DECADE(100000), DECADE(1000000),
	DECADE(10000000), DECADE(100000000), DECADE(1000000000),
	DECADE(10000000000), 100000000000
#undef DECADE
};

static const char *const types[] = {
	[STATS_COUNTER] = "counter", [STATS_GAUGE] = "gauge",
	[STATS_PEAK] = "gauge", [STATS_HISTOGRAM] = "histogram",
};

/* What a counter's samples are called. */
static const char *
suffix(enum stats_kind kind)
{
	return kind == STATS_COUNTER ? "_total" : "";
}

static void
put_family(const struct dialect *d, const char *family, enum stats_kind kind,
    const char *unit, const char *text)
{
	const char *end = d->open ? "" : suffix(kind);

	buf_printf(d->to, "# HELP asgid_%s%s %c%s.\n", family, end,
	    toupper((unsigned char)text[0]), text + 1);
	buf_printf(d->to, "# TYPE asgid_%s%s %s\n", family, end, types[kind]);
	if (d->open && unit[0] != '\0')
		buf_printf(d->to, "# UNIT asgid_%s %s\n", family, unit);
}

/* A sample's name and labels. */
static void
put_name(struct buf *to, const char *family, const char *end,
    const char *label)
{
	buf_printf(to, "asgid_%s%s", family, end);
	if (label[0] != '\0')
		buf_printf(to, "{%s}", label);
	buf_putc(to, ' ');
}

static void
put_hist(struct buf *to, const struct stats_line *l, const struct hist *h)
{
	size_t i;

	for (i = 0; i < countof(shown); i++)
		buf_printf(to, "asgid_%s_bucket{le=\"%g\"} %" PRIu64 "\n",
		    l->family, (double)shown[i] / NSEC_PER_SEC,
		    hist_up_to(h, shown[i]));
	buf_printf(to, "asgid_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n",
	    l->family, hist_count(h));
	buf_printf(to, "asgid_%s_count %" PRIu64 "\n", l->family,
	    hist_count(h));
	buf_printf(to, "asgid_%s_sum %.9f\n", l->family,
	    (double)h->sum / NSEC_PER_SEC);
}

static void
put_line(const struct dialect *d, const struct stats_view *v, enum stat_id id)
{
	const struct stats_line *l = &stats_lines[id];
	struct hist h;

	if (l->text[0] != '\0')
		put_family(d, l->family, l->kind, l->unit, l->text);
	if (l->kind == STATS_HISTOGRAM) {
		stats_total_hist(v->segment, l->hist, &h);
		put_hist(d->to, l, &h);
		return;
	}
	put_name(d->to, l->family, suffix(l->kind), l->label);
	buf_printf(d->to, "%" PRIu64 "\n", stats_total(v->segment, id));
}

/* ---- single workers ----------------------------------------------------- */

enum { MEMORY, CPU, AGE, BUSY, IN_FLIGHT, CONNECTIONS, NGAUGES };

/* While a worker takes over from another two processes have its number, and
 * one line: what they use together, or the greater of two times. */
static const struct {
	const char	*family, *unit, *text;
	bool		 greatest;	/* else the sum */
} gauges[NGAUGES] = {
	[MEMORY] = { "worker_memory_bytes", "bytes", "resident memory",
	    false },
	[CPU] = { "worker_cpu_seconds", "seconds", "CPU time used so far",
	    false },
	[AGE] = { "worker_age_seconds", "seconds", "time since its start",
	    true },
	[BUSY] = { "worker_busy_seconds", "seconds",
	    "how long the running turn of its event loop has lasted", true },
	[IN_FLIGHT] = { "worker_requests_in_flight", "",
	    "requests that were admitted and are not over",
	    false },
	[CONNECTIONS] = { "worker_connections", "", "open connections",
	    false },
};

static double
seconds(nsec_t ns)
{
	return (double)ns / NSEC_PER_SEC;
}

struct sample {
	unsigned	 id;
	double		 values[NGAUGES];
};

static void
look_at(const struct stats_view *v, const struct stats_worker *w,
    double values[NGAUGES])
{
	static const struct stats_slot none;
	const struct stats_slot *s = w->slot > 0 ?
	    stats_slot(v->segment, w->slot) : &none;
	uint64_t memory;
	nsec_t cpu;

	(void)stats_process(w->pid, &memory, &cpu);
	values[MEMORY] = (double)memory;
	values[CPU] = seconds(cpu);
	values[AGE] = seconds(w->age);
	values[BUSY] = seconds(stats_busy(s, v->now));
	values[IN_FLIGHT] = (double)stats_value(s, STAT_in_flight);
	values[CONNECTIONS] = (double)(
	    stats_value(s, STAT_conns_idle) +
	    stats_value(s, STAT_conns_active));
}

static void
add_values(struct sample *s, const double values[NGAUGES])
{
	size_t i;

	for (i = 0; i < NGAUGES; i++)
		if (!gauges[i].greatest)
			s->values[i] += values[i];
		else if (s->values[i] < values[i])
			s->values[i] = values[i];
}

/* One sample a number; how many. Processes with the same stand together. */
static size_t
take_samples(const struct stats_view *v, struct sample *to)
{
	double values[NGAUGES];
	size_t i, n = 0;

	for (i = 0; i < v->nworkers; i++) {
		if (n == 0 || to[n - 1].id != v->workers[i].id)
			to[n++].id = v->workers[i].id;
		look_at(v, &v->workers[i], values);
		add_values(&to[n - 1], values);
	}
	return n;
}

/* The lines of a family stand together, and /proc is read once a worker. */
static void
put_workers(const struct dialect *d, const struct stats_view *v)
{
	struct sample *s = calloc(v->nworkers + 1, sizeof(*s));
	size_t i, k, n;

	if (s == NULL) {
		d->to->failed = true;
		return;
	}
	n = take_samples(v, s);
	for (i = 0; n > 0 && i < NGAUGES; i++) {
		put_family(d, gauges[i].family, STATS_GAUGE, gauges[i].unit,
		    gauges[i].text);
		for (k = 0; k < n; k++)
			buf_printf(d->to, "asgid_%s{worker=\"%u\"} %.16g\n",
			    gauges[i].family, s[k].id, s[k].values[i]);
	}
	free(s);
}

/* ---- all ---------------------------------------------------------------- */

static void
put_all(const struct dialect *d, const struct stats_view *v)
{
	enum stat_id id;

	put_family(d, "build_info", STATS_GAUGE, "", "what asgid is running");
	put_name(d->to, "build_info", "", "version=\"" PACKAGE_VERSION "\"");
	buf_puts(d->to, "1\n");
	put_family(d, "uptime_seconds", STATS_GAUGE, "seconds",
	    "time since the master started");
	put_name(d->to, "uptime_seconds", "", "");
	buf_printf(d->to, "%.3f\n", seconds(v->uptime));
	for (id = 0; id < STATS_NLINES; id++)
		put_line(d, v, id);
	put_workers(d, v);
}

void
stats_openmetrics(const struct stats_view *v, struct buf *to)
{
	put_all(&(struct dialect){ true, to }, v);
	buf_puts(to, "# EOF\n");
}

void
stats_prometheus(const struct stats_view *v, struct buf *to)
{
	put_all(&(struct dialect){ false, to }, v);
}
