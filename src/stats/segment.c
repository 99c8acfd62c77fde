/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The segment, its slots, and their sums.  What the dead have done is kept
 * out of the segment: no worker has to see it.
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
	int		 fd;
	char		*base;
	int		 last;		/* taken; 0: none is */
	bool		 taken[STATS_SLOTS + 1];
	struct stats_slot past;
	struct stats_second past_ring[STATS_RING];	/* done in it */
};

static struct stats_slot private;
struct stats_slot *stats = &private;

static size_t
slot_size(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (sizeof(struct stats_slot) + page - 1) / page * page;
}

/* ---- the writing side --------------------------------------------------- */

static uint64_t
errors_of(const struct stats_slot *s)
{
	enum stat_id id;
	uint64_t n = 0;

	for (id = 0; id < STATS_NLINES; id++)
		if (strcmp(stats_lines[id].family, "errors") == 0)
			n += relaxed_get(&s->values[id]);
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

int
stats_attach(int fd, int slot)
{
	size_t size = slot_size();
	uint64_t masters;
	void *p;

	if (pread(fd, &masters, sizeof(masters),
	    offsetof(struct stats_slot, layout)) != sizeof(masters))
		return -1;
	if (masters != layout()) {
		errno = EPROTO;
		return -1;
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
	    (off_t)size * slot);
	return p != MAP_FAILED ? use(p) : -1;
}

/* ---- the segment -------------------------------------------------------- */

static size_t
segment_size(void)
{
	return slot_size() * (STATS_SLOTS + 1);
}

static struct stats_slot *
slot_at(const struct stats_segment *seg, int slot)
{
	return (void *)(seg->base + slot_size() * (size_t)slot);
}

/* No worker may cut it: reading what is gone would kill the master. */
static int
make_memory(void)
{
	int fd = memfd_create("asgid statistics",
	    MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd != -1 && ftruncate(fd, (off_t)segment_size()) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_SEAL) == 0)
		return fd;
	fd_close(&fd);
	return -1;
}

struct stats_segment *
stats_new(void)
{
	struct stats_segment *seg = calloc(1, sizeof(*seg));

	if (seg == NULL)
		return NULL;
	seg->base = MAP_FAILED;
	if ((seg->fd = make_memory()) == -1)
		goto fail;
	seg->base = mmap(NULL, segment_size(), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_NORESERVE, seg->fd, 0);
	if (seg->base == MAP_FAILED || use(slot_at(seg, 0)) == -1)
		goto fail;
	stats->layout = layout();
	return seg;
fail:
	stats_free(&seg);
	return NULL;
}

void
stats_free(struct stats_segment **segp)
{
	struct stats_segment *seg = *segp;
	int saved = errno;

	*segp = NULL;
	if (seg == NULL)
		return;
	if (seg->base != MAP_FAILED) {
		if (stats == slot_at(seg, 0))
			stats = &private;
		munmap(seg->base, segment_size());
	}
	fd_close(&seg->fd);
	free(seg);
	errno = saved;
}

int
stats_fd(const struct stats_segment *seg)
{
	return seg->fd;
}

/* The lowest, so that the memory in use is that of the most workers that
 * there ever were. */
int
stats_slot_take(struct stats_segment *seg)
{
	int i;

	for (i = 1; i <= STATS_SLOTS; i++) {
		if (seg->taken[i])
			continue;
		seg->taken[i] = true;
		if (i > seg->last)
			seg->last = i;
		return i;
	}
	errno = ENOSPC;
	return -1;
}

const struct stats_slot *
stats_slot(const struct stats_segment *seg, int slot)
{
	return slot_at(seg, slot);
}

/* ---- what the dead have done -------------------------------------------- */

static void
second_add(struct stats_second *to, const struct stats_second *from,
    const struct stats_second *less)
{
	to->requests += from->requests - less->requests;
	to->errors += from->errors - less->errors;
	to->received += from->received - less->received;
	to->sent += from->sent - less->sent;
}

/* As an entry of its ring, taken now. */
static struct stats_second
snapshot(const struct stats_slot *s)
{
	return (struct stats_second){
		.requests = relaxed_get(&s->values[STAT_requests]),
		.errors = errors_of(s),
		.received = relaxed_get(&s->values[STAT_received]),
		.sent = relaxed_get(&s->values[STAT_sent]),
	};
}

/* From a ring of standings to one of differences, the latest first. */
static void
fold_ring(struct stats_segment *seg, const struct stats_slot *s, uint64_t now)
{
	struct stats_second end = snapshot(s), *past;
	const struct stats_second *e;
	uint64_t second;
	unsigned i;

	for (i = 0, second = now; i < STATS_RING; i++, second--) {
		e = &s->ring[second % STATS_RING];
		if (e->second != second)
			continue;
		past = &seg->past_ring[second % STATS_RING];
		if (past->second != second)
			*past = (struct stats_second){ .second = second };
		second_add(past, &end, e);
		end = *e;
	}
}

static void
fold_values(struct stats_slot *past, const struct stats_slot *s)
{
	unsigned i;

	for (i = 0; i < STATS_NLINES; i++) {
		if (stats_lines[i].kind == STATS_COUNTER)
			past->values[i] += s->values[i];
		else if (stats_lines[i].kind == STATS_PEAK &&
		    past->values[i] < s->values[i])
			past->values[i] = s->values[i];
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
	struct stats_slot *s = slot_at(seg, slot);

	fold_values(&seg->past, s);
	fold_ring(seg, s, second_of(mono_now()));
	memset(s, 0, sizeof(*s));
	seg->taken[slot] = false;
	while (seg->last > 0 && !seg->taken[seg->last])
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
		return relaxed_get(&slot_at(seg, 0)->values[id]);
	for (i = 1; i <= seg->last; i++) {
		if (!seg->taken[i])
			continue;
		v = relaxed_get(&slot_at(seg, i)->values[id]);
		if (line->kind != STATS_PEAK)
			sum += v;
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
		if (seg->taken[i])
			hist_add(sum, &slot_at(seg, i)->hists[id]);
}

/* Add what a slot has counted since the first turn of `from` or later. */
static void
add_since(struct stats_second *sum, const struct stats_slot *s, uint64_t from)
{
	const struct stats_second *e;
	struct stats_second then, now;
	uint64_t second;

	for (second = from; second < from + STATS_RING; second++) {
		e = &s->ring[second % STATS_RING];
		if (__atomic_load_n(&e->second, __ATOMIC_ACQUIRE) != second)
			continue;
		/* in this order: the worker goes on counting */
		then = *e;
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
		if (seg->taken[i])
			add_since(sum, slot_at(seg, i), from);
	*seconds = (double)(over < uptime ? over : uptime) / NSEC_PER_SEC;
}
