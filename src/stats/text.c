/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Statistics for people.
 */
#include "stats/render.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/defs.h"
#include "base/str.h"

#define TEXT_MAX	32

/* ---- numbers ------------------------------------------------------------ */

/* In at most three digits and a unit: "12.3 ms". */
static const char *
time_text(nsec_t ns, char text[TEXT_MAX])
{
	static const struct {
		const char	*unit;
		double		 ns;
	} units[] = { { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 } };
	size_t i = 0;
	double v;

	while (i + 1 < countof(units) && (double)ns >= 999.5 * units[i].ns)
		i++;
	v = (double)ns / units[i].ns;
	snprintf(text, TEXT_MAX, "%.*f %s", v < 9.995 ? 2 : v < 99.95 ? 1 : 0,
	    v, units[i].unit);
	return text;
}

static const char *
size_text(double bytes, char text[TEXT_MAX])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB",
	    "PiB" };
	size_t i;

	for (i = 0; i + 1 < countof(units) && bytes >= 999.5; i++)
		bytes /= 1024;
	snprintf(text, TEXT_MAX, "%.*f %s", i == 0 ? 0 : bytes < 9.95 ? 1 : 0,
	    bytes, units[i]);
	return text;
}

/* Never "100 %" while something is missing. */
static const char *
share_text(uint64_t part, uint64_t rest, char text[TEXT_MAX])
{
	double share = 100 * (double)part / ((double)part + (double)rest);

	if (part + rest == 0)
		return "-";
	if (rest > 0 && share > 99.99)
		share = 99.99;
	snprintf(text, TEXT_MAX, "%.2f %%", share);
	return text;
}

/* ---- rates -------------------------------------------------------------- */

typedef const char *amount_f(double, char[TEXT_MAX]);

static const char *
count_text(double n, char text[TEXT_MAX])
{
	snprintf(text, TEXT_MAX, "%.0f", n);
	return text;
}

static const char *
rate_text(double n, char text[TEXT_MAX])
{
	snprintf(text, TEXT_MAX, "%.1f", n);
	return text;
}

struct amount {
	const char	*name;
	amount_f	*total, *rate;
	uint64_t	 all, last;
};

static void
put_amount(struct buf *to, const struct amount *a, double uptime, double over)
{
	char total[TEXT_MAX], rate[TEXT_MAX], last[TEXT_MAX];

	buf_printf(to, "%-12s %13s %12s %12s\n", a->name,
	    a->total((double)a->all, total),
	    a->rate(uptime > 0 ? (double)a->all / uptime : 0, rate),
	    a->rate(over > 0 ? (double)a->last / over : 0, last));
}

static uint64_t
sum_family(const struct stats_view *v, const char *family)
{
	enum stat_id id;
	uint64_t sum = 0;

	for (id = 0; id < STATS_NLINES; id++)
		if (strcmp(stats_lines[id].family, family) == 0)
			sum += stats_total(v->segment, id);
	return sum;
}

static void
put_rates(const struct stats_view *v, struct buf *to)
{
	const struct stats_segment *seg = v->segment;
	struct stats_second sum;
	double over, uptime = (double)v->uptime / NSEC_PER_SEC;
	size_t i;

	stats_last_seconds(seg, v->now, v->uptime, &sum, &over);
	const struct amount amounts[] = {
		{ "requests", count_text, rate_text,
		    stats_total(seg, STAT_requests), sum.requests },
		{ "errors", count_text, rate_text,
		    sum_family(v, "errors"), sum.errors },
		{ "received", size_text, size_text,
		    stats_total(seg, STAT_received), sum.received },
		{ "sent", size_text, size_text,
		    stats_total(seg, STAT_sent), sum.sent },
	};

	buf_printf(to, "%-12s %13s %12s %12s\n", "", "since start",
	    "a second", "last 10 s");
	for (i = 0; i < countof(amounts); i++)
		put_amount(to, &amounts[i], uptime, over);
}

/* ---- families ----------------------------------------------------------- */

struct heading {
	const char	*title, *family;
};

/* "responses    2xx 17, 4xx 1": only what is not 0, or "none". */
static void
put_family(const struct stats_view *v, struct buf *to,
    const struct heading *h)
{
	const struct stats_line *l;
	const char *value;
	enum stat_id id;
	uint64_t n;
	bool any = false;

	buf_printf(to, "%-12s", h->title);
	for (id = 0; id < STATS_NLINES; id++) {
		l = &stats_lines[id];
		if (strcmp(l->family, h->family) != 0 ||
		    (n = stats_total(v->segment, id)) == 0)
			continue;
		buf_puts(to, any ? ", " : " ");
		any = true;
		value = strchr(l->label, '"');
		if (value != NULL)
			buf_printf(to, "%.*s ", (int)strcspn(value + 1, "\""),
			    value + 1);
		buf_printf(to, "%" PRIu64, n);
	}
	buf_puts(to, any ? "\n" : " none\n");
}

static void
put_families(const struct stats_view *v, struct buf *to,
    const struct heading *h, size_t n)
{
	for (; n > 0; h++, n--)
		put_family(v, to, h);
}

static void
put_times(const struct stats_view *v, struct buf *to)
{
	static const struct {
		const char	*name;
		enum hist_id	 id;
	} rows[] = { { "application", HIST_application },
	    { "request", HIST_total }, { "loop turn", HIST_turn } };
	static const double at[] = { 0.5, 0.9, 0.99, 0.999 };
	char text[TEXT_MAX];
	struct hist h;
	uint64_t n;
	size_t i, k;

	buf_printf(to, "%-12s %9s %9s %9s %9s %9s %13s\n", "time", "mean",
	    "p50", "p90", "p99", "p99.9", "count");
	for (i = 0; i < countof(rows); i++) {
		stats_total_hist(v->segment, rows[i].id, &h);
		n = hist_count(&h);
		buf_printf(to, "%-12s %9s", rows[i].name, n > 0 ?
		    time_text((nsec_t)(h.sum / n), text) : "-");
		for (k = 0; k < countof(at); k++)
			buf_printf(to, " %9s", n > 0 ?
			    time_text(hist_quantile(&h, at[k]), text) : "-");
		buf_printf(to, " %13" PRIu64 "\n", n);
	}
}

static void
put_pools(const struct stats_view *v, struct buf *to)
{
	const struct stats_pool *p;
	const struct stats_segment *seg = v->segment;
	char text[TEXT_MAX];
	uint64_t hits, misses;
	size_t i;

	buf_printf(to, "%-12s %13s %12s %12s %12s\n", "pool", "taken",
	    "reused", "in use", "at most");
	for (i = 0; i < STATS_NPOOLS; i++) {
		p = &stats_pools[i];
		hits = stats_total(seg, p->hits);
		misses = stats_total(seg, p->misses);
		buf_printf(to, "%-12s %13" PRIu64 " %12s %12" PRIu64 " %12"
		    PRIu64 "\n", p->name, hits + misses,
		    share_text(hits, misses, text),
		    stats_total(seg, p->in_use),
		    stats_total(seg, p->peak));
	}
	hits = stats_total(seg, STAT_date_hits);
	misses = stats_total(seg, STAT_date_misses);
	buf_printf(to, "%-12s %13" PRIu64 " %12s\n", "dates", hits + misses,
	    share_text(hits, misses, text));
}

/* ---- workers ------------------------------------------------------------ */

static void
put_worker(const struct stats_view *v, const struct stats_worker *w,
    struct buf *to)
{
	static const struct stats_slot none;
	const struct stats_slot *s = w->slot > 0 ?
	    stats_slot(v->segment, w->slot) : &none;
	char age[TEXT_MAX], mem[TEXT_MAX], used[TEXT_MAX], busy[TEXT_MAX];
	bool known;
	uint64_t memory;
	nsec_t cpu, now = stats_busy(s, v->now);

	known = stats_process(w->pid, &memory, &cpu) == 0;
	str_from_age(w->age, age);
	buf_printf(to, "%6u %4u %8d %-9s %8s %13" PRIu64 " %9" PRIu64 " %7"
	    PRIu64 " %8s %9s %9s\n", w->id, w->generation, (int)w->pid,
	    w->state, age,
	    stats_value(s, STAT_requests),
	    stats_value(s, STAT_in_flight),
	    stats_value(s, STAT_conns_active) +
	    stats_value(s, STAT_conns_idle),
	    known ? size_text((double)memory, mem) : "-",
	    known ? time_text(cpu, used) : "-",
	    now > 0 ? time_text(now, busy) : "-");
}

static void
put_workers(const struct stats_view *v, struct buf *to)
{
	size_t i;

	if (v->nworkers == 0)
		return;
	buf_printf(to, "\n%6s %4s %8s %-9s %8s %13s %9s %7s %8s %9s %9s\n",
	    "worker", "gen", "pid", "state", "age", "requests", "in flight",
	    "conns", "memory", "CPU", "busy for");
	for (i = 0; i < v->nworkers; i++)
		put_worker(v, &v->workers[i], to);
}

void
stats_text(const struct stats_view *v, struct buf *to)
{
	static const struct heading traffic[] = {
		{ "responses", "responses" },
		{ "errors", "errors" },
		{ "connections", "connections" },
		{ "accepted", "connections_accepted" },
		{ "in flight", "requests_in_flight" },
	}, life[] = {
		{ "started", "worker_starts" },
		{ "ended", "worker_exits" },
		{ "hangs", "worker_hangs" },
		{ "reloads", "reloads" },
		{ "commands", "control_commands" },
		{ "log dropped", "log_lines_dropped" },
		{ "by master", "master_log_lines_dropped" },
	};
	char age[TEXT_MAX];

	str_from_age(v->uptime, age);
	buf_printf(to, "asgid " PACKAGE_VERSION ", up %s\n\n", age);
	put_rates(v, to);
	buf_putc(to, '\n');
	put_times(v, to);
	buf_putc(to, '\n');
	put_families(v, to, traffic, countof(traffic));
	buf_putc(to, '\n');
	put_pools(v, to);
	buf_putc(to, '\n');
	put_families(v, to, life, countof(life));
	put_workers(v, to);
}
