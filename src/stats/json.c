/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Statistics as one JSON object.  A family is a member of it: a number, or an
 * object by the values of its labels.
 */
#include "stats/render.h"

#include <stdio.h>
#include <string.h>

#include "base/defs.h"

const char *const json_fields[NFIELDS] = {
#define FIELD(name, text)	[FIELD_##name] = #name,
#include "stats/fields.def"
#undef FIELD
};

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
put_recent(struct json *j, const struct stats_view *v)
{
	struct stats_second sum;
	double over;

	stats_last_seconds(v->segment, v->now, v->uptime, &sum, &over);
	json_open(j, KEY(recent), '{');
	json_num(j, KEY(window_seconds), over);
	json_uint(j, KEY(requests), sum.requests);
	json_uint(j, KEY(errors), sum.errors);
	json_uint(j, KEY(received_bytes), sum.received);
	json_uint(j, KEY(sent_bytes), sum.sent);
	json_close(j, '}');
}

static void
put_work(struct json *j, const struct stats_slot *s, nsec_t now)
{
	uint64_t active = stats_value(s, STAT_conns_active);
	uint64_t idle = stats_value(s, STAT_conns_idle);

	json_num(j, KEY(busy_seconds), seconds(stats_busy(s, now)));
	json_uint(j, KEY(requests), stats_value(s, STAT_requests));
	json_uint(j, KEY(in_flight), stats_value(s, STAT_in_flight));
	json_uint(j, KEY(connections), active + idle);
	json_uint(j, KEY(connections_active), active);
	json_uint(j, KEY(connections_idle), idle);
}

void
stats_json_worker(const struct stats_view *v, const struct stats_worker *w,
    struct json *j)
{
	uint64_t memory;
	nsec_t cpu;

	json_uint(j, KEY(id), w->id);
	json_int(j, KEY(pid), w->pid);
	json_uint(j, KEY(generation), w->generation);
	json_str(j, KEY(state), w->state);
	json_num(j, KEY(uptime_seconds), seconds(w->age));
	if (w->slot > 0)
		put_work(j, stats_slot(v->segment, w->slot), v->now);
	if (stats_process(w->pid, &memory, &cpu) == 0) {
		json_uint(j, KEY(resident_bytes), memory);
		json_num(j, KEY(cpu_seconds), seconds(cpu));
	}
}

void
stats_json(const struct stats_view *v, struct buf *to)
{
	struct json j = JSON_INIT(to);
	enum stat_id id;
	size_t i;

	json_open(&j, NULL, '{');
	json_str(&j, KEY(version), PACKAGE_VERSION);
	json_num(&j, KEY(uptime_seconds), seconds(v->uptime));
	for (id = 0; id < STATS_NLINES; id++)
		put_line(&j, v, id);
	put_recent(&j, v);
	json_open(&j, KEY(workers), '[');
	for (i = 0; i < v->nworkers; i++) {
		json_open(&j, NULL, '{');
		stats_json_worker(v, &v->workers[i], &j);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	buf_putc(to, '\n');
}
