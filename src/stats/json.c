/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Statistics as one JSON object.  A family is a member of it: a number, or an
 * object by the values of its labels.
 */
#include "stats/render.h"

#include <stdio.h>
#include <string.h>

#include "base/defs.h"
#include "base/json.h"

static const struct {
	const char	*key;
	double		 q;
} quantiles[] = {
	{ "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99.9", 0.999 },
};

static double
seconds(nsec_t ns)
{
	return (double)ns / NSEC_PER_SEC;
}

static void
put_hist(struct json *j, const char *key, const struct hist *h)
{
	uint64_t n = hist_count(h);
	size_t i;

	json_open(j, key, '{');
	json_uint(j, "count", n);
	json_num(j, "sum", (double)h->sum / NSEC_PER_SEC);
	for (i = 0; i < countof(quantiles); i++) {
		if (n > 0)
			json_num(j, quantiles[i].key,
			    seconds(hist_quantile(h, quantiles[i].q)));
		else
			json_null(j, quantiles[i].key);
	}
	json_close(j, '}');
}

/* ---- labels: a="x",b="y" ------------------------------------------------ */

#define DEPTH_MAX	2
#define VALUE_MAX	32

struct labels {
	char		 values[DEPTH_MAX][VALUE_MAX];
	size_t		 n;
};

static void
split(const char *label, struct labels *to)
{
	const char *value, *end;

	for (to->n = 0; (value = strchr(label, '"')) != NULL && to->n <
	    DEPTH_MAX; label = end + 1) {
		end = strchr(++value, '"');
		snprintf(to->values[to->n++], VALUE_MAX, "%.*s",
		    (int)(end - value), value);
	}
}

/* How many of the outer labels two lines of a family share. */
static size_t
shared(const struct stats_line *a, const struct stats_line *b)
{
	struct labels x, y;
	size_t n = 0;

	if (strcmp(a->family, b->family) != 0)
		return 0;
	split(a->label, &x);
	split(b->label, &y);
	while (n + 1 < x.n && strcmp(x.values[n], y.values[n]) == 0)
		n++;
	return n + 1;		/* the family itself */
}

static void
put_line(struct json *j, const struct stats_view *v, enum stat_id id)
{
	const struct stats_line *l = &stats_lines[id];
	size_t before = id > 0 ? shared(l, l - 1) : 0;
	size_t after = id + 1 < STATS_NLINES ? shared(l, l + 1) : 0;
	struct labels labels;
	struct hist h;
	size_t i;

	split(l->label, &labels);
	for (i = before; i < labels.n; i++)
		json_open(j, i == 0 ? l->family : labels.values[i - 1], '{');
	if (l->kind == STATS_HISTOGRAM) {
		stats_total_hist(v->segment, l->hist, &h);
		put_hist(j, l->family, &h);
	} else {
		json_uint(j, labels.n == 0 ? l->family :
		    labels.values[labels.n - 1], stats_total(v->segment, id));
	}
	for (i = after; i < labels.n; i++)
		json_close(j, '}');
}

/* ---- the rest ----------------------------------------------------------- */

static void
put_last_seconds(struct json *j, const struct stats_view *v)
{
	struct stats_second sum;
	double over;

	stats_last_seconds(v->segment, v->now, v->uptime, &sum, &over);
	json_open(j, "last_seconds", '{');
	json_num(j, "seconds", over);
	json_uint(j, "requests", sum.requests);
	json_uint(j, "errors", sum.errors);
	json_uint(j, "received_bytes", sum.received);
	json_uint(j, "sent_bytes", sum.sent);
	json_close(j, '}');
}

static void
put_worker(struct json *j, const struct stats_view *v,
    const struct stats_worker *w)
{
	static const struct {
		const char	*key;
		enum stat_id	 id;
	} told[] = {
		{ "requests", STAT_requests },
		{ "requests_in_flight", STAT_in_flight },
		{ "connections_active", STAT_conns_active },
		{ "connections_idle", STAT_conns_idle },
	};
	const struct stats_slot *s = w->slot > 0 ?
	    stats_slot(v->segment, w->slot) : NULL;
	uint64_t memory;
	nsec_t cpu;
	size_t i;

	json_open(j, NULL, '{');
	json_uint(j, "worker", w->id);
	json_uint(j, "generation", w->generation);
	json_int(j, "pid", w->pid);
	json_str(j, "state", w->state);
	json_num(j, "age_seconds", seconds(w->age));
	for (i = 0; s != NULL && i < countof(told); i++)
		json_uint(j, told[i].key,
		    stats_value(s, told[i].id));
	if (s != NULL)
		json_num(j, "busy_seconds", seconds(stats_busy(s, v->now)));
	if (stats_process(w->pid, &memory, &cpu) == 0) {
		json_uint(j, "memory_bytes", memory);
		json_num(j, "cpu_seconds", seconds(cpu));
	}
	json_close(j, '}');
}

void
stats_json(const struct stats_view *v, struct buf *to)
{
	struct json j = JSON_INIT(to);
	enum stat_id id;
	size_t i;

	json_open(&j, NULL, '{');
	json_str(&j, "version", PACKAGE_VERSION);
	json_num(&j, "uptime_seconds", seconds(v->uptime));
	for (id = 0; id < STATS_NLINES; id++)
		put_line(&j, v, id);
	put_last_seconds(&j, v);
	json_open(&j, "workers", '[');
	for (i = 0; i < v->nworkers; i++)
		put_worker(&j, v, &v->workers[i]);
	json_close(&j, ']');
	json_close(&j, '}');
	buf_putc(to, '\n');
}
