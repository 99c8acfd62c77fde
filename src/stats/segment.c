/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The segment, its slots, and their sums.  A slot lives as long as its worker:
 * what the dead have done is kept where no worker sees it, and a child that
 * one has left behind writes where nobody reads.
 */
#include "stats/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/defs.h"
#include "base/fd.h"

#define LAST_SECONDS	10

struct stats_segment {
	struct stats_slot *slots[STATS_SLOTS + 1];	/* NULL: not taken */
	int		 last;		/* taken; 0: none is */
	struct stats_slot past;
	struct stats_second past_ring[STATS_RING];	/* done in it */
};

static struct stats_slot private;
struct stats_slot *stats = &private;

/* ---- the writing side --------------------------------------------------- */

static uint64_t
errors_of(const struct stats_slot *s)
{
	enum stat_id id;
	uint64_t n = 0;

	for (id = 0; id < STATS_NLINES; id++)
		if (strcmp(stats_lines[id].family, "errors") == 0)
			n = relaxed_sum(n, stats_value(s, id));
	return n;
}

/*
 * A second in which the loop did not turn has no place in the ring, and needs
 * none: nothing happened.  A reader that meets a new entry before it is whole
 * finds an old second in it.
 */
void
stats_turn_begins(nsec_t now)
{
	uint64_t second = (uint64_t)now / (uint64_t)NSEC_PER_SEC;
	struct stats_second *s = &stats->ring[second % STATS_RING];

	relaxed_set(&stats->turn_began, (uint64_t)now);
	if (s->second == second)
		return;
	relaxed_set(&s->requests, STAT_GET(requests));
	relaxed_set(&s->errors, errors_of(stats));
	relaxed_set(&s->received, STAT_GET(received));
	relaxed_set(&s->sent, STAT_GET(sent));
	__atomic_store_n(&s->second, second, __ATOMIC_RELEASE);
}

void
stats_turn_over(void)
{
	relaxed_set(&stats->turn_began, 0);
}

/* FNV-1a over what a slot is made of. */
static uint64_t
layout(void)
{
	uint64_t h = UINT64_C(14695981039346656037);
	const char *p;
	size_t i;

	for (i = 0; i < STATS_NLINES; i++) {
		for (p = stats_lines[i].member; *p != '\0'; p++)
			h = (h ^ (unsigned char)*p) * UINT64_C(1099511628211);
		h = (h ^ stats_lines[i].kind) * UINT64_C(1099511628211);
	}
	return (h ^ sizeof(struct stats_slot)) * UINT64_C(1099511628211);
}

/* In a process that this one has forked. */
static void
detach(void)
{
	stats = &private;
}

static int
use(struct stats_slot *slot)
{
	static bool registered;

	if (!registered && (errno = pthread_atfork(NULL, NULL, detach)) != 0)
		return -1;
	registered = true;
	stats = slot;
	return 0;
}

static void *
map(int fd)
{
	return mmap(NULL, sizeof(struct stats_slot), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
}

int
stats_attach(int fd)
{
	uint64_t masters;
	void *p;

	if (pread(fd, &masters, sizeof(masters),
	    offsetof(struct stats_slot, layout)) != sizeof(masters))
		return -1;
	if (masters != layout()) {
		errno = EPROTO;
		return -1;
	}
	p = map(fd);
	return p != MAP_FAILED ? use(p) : -1;
}

/* ---- the segment -------------------------------------------------------- */

/* No worker may cut it: reading what is gone would kill the master. */
static int
make_memory(void)
{
	int fd = memfd_create("asgid statistics",
	    MFD_CLOEXEC | MFD_ALLOW_SEALING), saved;

	if (fd != -1 && ftruncate(fd, sizeof(struct stats_slot)) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_SEAL) == 0)
		return fd;
	saved = errno;
	fd_close(&fd);
	errno = saved;
	return -1;
}

struct stats_segment *
stats_new(void)
{
	struct stats_segment *seg = calloc(1, sizeof(*seg));

	if (seg == NULL)
		return NULL;
	seg->slots[0] = calloc(1, sizeof(*seg->slots[0]));
	if (seg->slots[0] != NULL && use(seg->slots[0]) == 0)
		return seg;
	stats_free(&seg);
	return NULL;
}

void
stats_free(struct stats_segment **segp)
{
	struct stats_segment *seg = *segp;
	int i, saved = errno;

	*segp = NULL;
	if (seg == NULL)
		return;
	for (i = 1; i <= seg->last; i++)
		if (seg->slots[i] != NULL)
			munmap(seg->slots[i], sizeof(*seg->slots[i]));
	if (stats == seg->slots[0])
		stats = &private;
	free(seg->slots[0]);
	free(seg);
	errno = saved;
}

int
stats_slot_take(struct stats_segment *seg, int *fd)
{
	void *p;
	int i;

	for (i = 1; i <= STATS_SLOTS && seg->slots[i] != NULL; i++)
		;
	if (i > STATS_SLOTS) {
		errno = ENOSPC;
		return -1;
	}
	if ((*fd = make_memory()) == -1)
		return -1;
	if ((p = map(*fd)) == MAP_FAILED) {
		fd_close(fd);
		return -1;
	}
	seg->slots[i] = p;
	seg->slots[i]->layout = layout();
	if (i > seg->last)
		seg->last = i;
	return i;
}

const struct stats_slot *
stats_slot(const struct stats_segment *seg, int slot)
{
	return seg->slots[slot];
}

/* ---- what the dead have done -------------------------------------------- */

static uint64_t
growth(uint64_t from, uint64_t to)
{
	return to < RELAXED_MOST && from < to ? to - from : 0;
}

static void
second_add(struct stats_second *to, const struct stats_second *from,
    const struct stats_second *less)
{
	to->requests += growth(less->requests, from->requests);
	to->errors += growth(less->errors, from->errors);
	to->received += growth(less->received, from->received);
	to->sent += growth(less->sent, from->sent);
}

/* Read once: it may change at any time. */
static struct stats_second
entry(const struct stats_slot *s, uint64_t second)
{
	const struct stats_second *e = &s->ring[second % STATS_RING];
	struct stats_second copy = {
		.second = __atomic_load_n(&e->second, __ATOMIC_ACQUIRE),
		.requests = relaxed_get(&e->requests),
		.errors = relaxed_get(&e->errors),
		.received = relaxed_get(&e->received),
		.sent = relaxed_get(&e->sent),
	};

	return copy;
}

/* As an entry of its ring, taken now. */
static struct stats_second
snapshot(const struct stats_slot *s)
{
	return (struct stats_second){
		.requests = stats_value(s, STAT_requests),
		.errors = errors_of(s),
		.received = stats_value(s, STAT_received),
		.sent = stats_value(s, STAT_sent),
	};
}

/* From a ring of standings to one of differences, the latest first. */
static void
fold_ring(struct stats_segment *seg, const struct stats_slot *s, uint64_t now)
{
	struct stats_second end = snapshot(s), e, *past;
	uint64_t second;
	unsigned i;

	for (i = 0, second = now; i < STATS_RING; i++, second--) {
		e = entry(s, second);
		if (e.second != second)
			continue;
		past = &seg->past_ring[second % STATS_RING];
		if (past->second != second)
			*past = (struct stats_second){ .second = second };
		second_add(past, &end, &e);
		end = e;
	}
}

static void
fold_values(struct stats_slot *past, const struct stats_slot *s)
{
	uint64_t v;
	unsigned i;

	for (i = 0; i < STATS_NLINES; i++) {
		v = stats_value(s, i);
		if (stats_lines[i].kind == STATS_COUNTER)
			past->values[i] = relaxed_sum(past->values[i], v);
		else if (stats_lines[i].kind == STATS_PEAK &&
		    past->values[i] < v)
			past->values[i] = v;
	}
	for (i = 0; i < STATS_NHISTS; i++)
		hist_add(&past->hists[i], &s->hists[i]);
}

static uint64_t
second_of(nsec_t now)
{
	return (uint64_t)now / (uint64_t)NSEC_PER_SEC;
}

void
stats_slot_release(struct stats_segment *seg, int slot)
{
	struct stats_slot *s = seg->slots[slot];

	fold_values(&seg->past, s);
	fold_ring(seg, s, second_of(mono_now()));
	munmap(s, sizeof(*s));
	seg->slots[slot] = NULL;
	while (seg->last > 0 && seg->slots[seg->last] == NULL)
		seg->last--;
}

/* ---- sums --------------------------------------------------------------- */

uint64_t
stats_total(const struct stats_segment *seg, enum stat_id id)
{
	const struct stats_line *line = &stats_lines[id];
	uint64_t sum = seg->past.values[id], v;
	int i;

	if (line->scope == STATS_MASTER)
		return seg->slots[0]->values[id];
	for (i = 1; i <= seg->last; i++) {
		if (seg->slots[i] == NULL)
			continue;
		v = stats_value(seg->slots[i], id);
		if (line->kind != STATS_PEAK)
			sum = relaxed_sum(sum, v);
		else if (v > sum)
			sum = v;
	}
	return sum;
}

void
stats_total_hist(const struct stats_segment *seg, enum hist_id id,
    struct hist *sum)
{
	int i;

	*sum = seg->past.hists[id];
	for (i = 1; i <= seg->last; i++)
		if (seg->slots[i] != NULL)
			hist_add(sum, &seg->slots[i]->hists[id]);
}

/* Add what a slot has counted since the first turn of `from` or later. */
static void
add_since(struct stats_second *sum, const struct stats_slot *s, uint64_t from)
{
	struct stats_second then, now;
	uint64_t second;

	for (second = from; second < from + STATS_RING; second++) {
		then = entry(s, second);
		if (then.second != second)
			continue;
		/* in this order: the worker goes on counting */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		now = snapshot(s);
		second_add(sum, &now, &then);
		return;
	}
}

void
stats_last_seconds(const struct stats_segment *seg, nsec_t now, nsec_t uptime,
    struct stats_second *sum, double *seconds)
{
	static const struct stats_second none;
	/* the machine itself may be younger */
	uint64_t from = second_of(now) < LAST_SECONDS ? 0 :
	    second_of(now) - (LAST_SECONDS - 1);
	nsec_t over = now - (nsec_t)from * NSEC_PER_SEC;
	int i;

	*sum = none;
	for (i = 0; i < STATS_RING; i++)
		if (seg->past_ring[i].second >= from)
			second_add(sum, &seg->past_ring[i], &none);
	for (i = 1; i <= seg->last; i++)
		if (seg->slots[i] != NULL)
			add_since(sum, seg->slots[i], from);
	*seconds = (double)(over < uptime ? over : uptime) / NSEC_PER_SEC;
}
