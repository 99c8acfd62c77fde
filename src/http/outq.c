/* SPDX-License-Identifier: BSD-3-Clause */
#include "http/outq.h"

#include <sys/uio.h>

#include <stdlib.h>
#include <string.h>

#define SEND_PIECES	32

void
http_data_release(struct http_data *d)
{
	if (d->release != NULL)
		d->release(d->owner);
	d->release = NULL;
}

void
outq_clear(struct outq *q)
{
	while (q->first < q->end)
		http_data_release(&q->at[q->first++]);
	q->first = q->end = q->taken = q->bytes = 0;
}

void
outq_fini(struct outq *q)
{
	outq_clear(q);
	free(q->at);
	*q = (struct outq){ 0 };
}

static int
make_room(struct outq *q)
{
	size_t n = q->end - q->first, cap;
	struct http_data *at;

	if (q->end < q->cap)
		return 0;
	if (q->first > q->cap / 2) {
		memmove(q->at, q->at + q->first, n * sizeof(*q->at));
	} else {
		cap = q->cap > 0 ? 2 * q->cap : 8;
		if ((at = realloc(q->at, cap * sizeof(*at))) == NULL)
			return -1;
		memmove(at, at + q->first, n * sizeof(*at));
		q->at = at;
		q->cap = cap;
	}
	q->first = 0;
	q->end = n;
	return 0;
}

int
outq_put(struct outq *q, struct http_data d)
{
	if (d.n == 0) {
		http_data_release(&d);
		return 0;
	}
	if (make_room(q) == -1) {
		http_data_release(&d);
		return -1;
	}
	q->at[q->end++] = d;
	q->bytes += d.n;
	return 0;
}

static void
drop(struct outq *q, size_t n)
{
	struct http_data *d;

	q->bytes -= n;
	q->taken += n;
	while (q->first < q->end && q->taken >= q->at[q->first].n) {
		d = &q->at[q->first++];
		q->taken -= d->n;
		http_data_release(d);
	}
	if (q->first == q->end)
		q->first = q->end = 0;
}

size_t
outq_copy(struct outq *q, char *to, size_t n)
{
	size_t done = 0, part;
	struct http_data *d;

	while (done < n && q->bytes > 0) {
		d = &q->at[q->first];
		part = d->n - q->taken;
		if (part > n - done)
			part = n - done;
		memcpy(to + done, (const char *)d->p + q->taken, part);
		done += part;
		drop(q, part);
	}
	return done;
}

ssize_t
outq_send(struct outq *q, int fd)
{
	struct iovec iov[SEND_PIECES];
	struct msghdr msg = { .msg_iov = iov };
	const char *p;
	size_t i, skip = q->taken;
	ssize_t n;

	for (i = q->first; i < q->end && msg.msg_iovlen < SEND_PIECES; i++) {
		p = q->at[i].p;
		iov[msg.msg_iovlen++] = (struct iovec){
		    .iov_base = (void *)(uintptr_t)(p + skip),
		    .iov_len = q->at[i].n - skip };
		skip = 0;
	}
	n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		drop(q, (size_t)n);
	return n;
}
