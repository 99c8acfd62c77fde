/* SPDX-License-Identifier: BSD-3-Clause */
#include "stats/hist.h"

#include "base/defs.h"
#include "stats/relaxed.h"

/* A twentieth of a decade's beginning: all edges are multiples of it. */
static const uint64_t grains[HIST_DECADES] = {
	50, 500, 5000, 50000, 500000, 5000000, 50000000, 500000000,
};

#define FIRST_EDGE	(20 * grains[0])
#define LAST_BUCKET	(HIST_NBUCKETS - 1)

/* The place of v / 20 in [1, 10), v in twentieths, among a decade's steps. */
static unsigned
step_of(unsigned v)
{
	if (v < 40)
		return (v - 20) / 2;
	if (v < 100)
		return 10 + (v - 40) / 5;
	return 22 + (v - 100) / 10;
}

unsigned
hist_bucket(nsec_t duration)
{
	/* an edge belongs to the bucket below */
	uint64_t v = duration > 0 ? (uint64_t)duration - 1 : 0;
	unsigned decade = 0;

	if (v < FIRST_EDGE)
		return 0;
	while (v >= 200 * grains[decade])
		if (++decade == HIST_DECADES)
			return LAST_BUCKET;
	return 1 + decade * HIST_STEPS +
	    step_of((unsigned)(v / grains[decade]));
}

nsec_t
hist_edge(unsigned bucket)
{
	unsigned step = bucket % HIST_STEPS, edge;

	if (bucket >= LAST_BUCKET)
		return NSEC_NEVER;
	if (bucket == LAST_BUCKET - 1)
		return (nsec_t)(200 * grains[HIST_DECADES - 1]);
	if (step < 10)
		edge = 20 + 2 * step;
	else if (step < 22)
		edge = 40 + 5 * (step - 10);
	else
		edge = 100 + 10 * (step - 22);
	return (nsec_t)(edge * grains[bucket / HIST_STEPS]);
}

void
hist_observe(struct hist *h, nsec_t duration)
{
	uint64_t *bucket = &h->buckets[hist_bucket(duration)];

	relaxed_set(bucket, relaxed_get(bucket) + 1);
	if (duration > 0)
		relaxed_set(&h->sum, relaxed_get(&h->sum) +
		    (uint64_t)duration);
}

void
hist_add(struct hist *to, const struct hist *from)
{
	unsigned i;

	to->sum = relaxed_sum(to->sum, relaxed_believe(&from->sum));
	for (i = 0; i < HIST_NBUCKETS; i++)
		to->buckets[i] = relaxed_sum(to->buckets[i],
		    relaxed_believe(&from->buckets[i]));
}

uint64_t
hist_count(const struct hist *h)
{
	return hist_up_to(h, NSEC_NEVER);
}

uint64_t
hist_up_to(const struct hist *h, nsec_t edge)
{
	unsigned last = edge == NSEC_NEVER ? LAST_BUCKET : hist_bucket(edge);
	unsigned i;
	uint64_t n = 0;

	for (i = 0; i <= last; i++)
		n = relaxed_sum(n, h->buckets[i]);
	return n;
}

nsec_t
hist_quantile(const struct hist *h, double q)
{
	double rank = q * (double)hist_count(h), below = 0, n;
	nsec_t from, to;
	unsigned i;

	if (rank <= 0)
		return 0;
	for (i = 0; i < LAST_BUCKET; i++, below += n) {
		n = (double)h->buckets[i];
		if (n == 0 || below + n < rank)
			continue;
		from = i > 0 ? hist_edge(i - 1) : 0;
		to = hist_edge(i);
		return from + (nsec_t)((rank - below) / n *
		    (double)(to - from));
	}
	return hist_edge(LAST_BUCKET - 1);
}
