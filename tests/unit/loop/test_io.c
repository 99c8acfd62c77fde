/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Descriptors, and waking the loop.
 */
#include "test_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/defs.h"

struct end {
	struct loop_io	 io;
	struct end	*other;
	unsigned	 seen;
	int		 calls;
	int		 stop_after;
};

static void
on_io(struct loop *l, struct loop_io *io, unsigned revents)
{
	struct end *e = container_of(io, struct end, io);

	e->seen |= revents;
	if (++e->calls >= e->stop_after)
		loop_stop(l);
}

static void
end_init(struct end *e, int fd, loop_io_f *cb)
{
	memset(e, 0, sizeof(*e));
	loop_io_init(&e->io, fd, cb);
	e->stop_after = 1;
}

START_TEST(io_read_write_change)
{
	struct end a;
	int sv[2];

	pair(sv);
	end_init(&a, sv[0], on_io);
	ck_assert_int_eq(loop_io_set(loop, &a.io, LOOP_READ), 0);
	turn();
	ck_assert_int_eq(a.calls, 0);
	poke(sv[1]);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(a.seen, LOOP_READ);
	a.seen = 0;
	ck_assert_int_eq(loop_io_set(loop, &a.io, LOOP_WRITE), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(a.seen, LOOP_WRITE);
	a.seen = 0;
	ck_assert_int_eq(loop_io_set(loop, &a.io, LOOP_READ | LOOP_WRITE), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(a.seen, LOOP_READ | LOOP_WRITE);
	a.calls = 0;
	ck_assert_int_eq(loop_io_set(loop, &a.io, 0), 0);
	ck_assert(!a.io.active);
	turn();
	ck_assert_int_eq(a.calls, 0);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(io_edge_reports_once)
{
	struct end a;
	int sv[2];

	pair(sv);
	end_init(&a, sv[0], on_io);
	ck_assert_int_eq(loop_io_set(loop, &a.io,
	    LOOP_READ | LOOP_RDHUP | LOOP_EDGE), 0);
	poke(sv[1]);
	turn();
	turn();
	ck_assert_int_eq(a.calls, 1);
	ck_assert_uint_eq(a.seen, LOOP_READ);
	ck_assert_int_eq(shutdown(sv[1], SHUT_WR), 0);
	turn();
	ck_assert_int_eq(a.calls, 2);
	ck_assert_uint_eq(a.seen, LOOP_READ | LOOP_RDHUP);
	loop_io_del(loop, &a.io);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(io_hangup_is_reported)
{
	struct end a;
	int sv[2];

	pair(sv);
	end_init(&a, sv[0], on_io);
	ck_assert_int_eq(loop_io_set(loop, &a.io, LOOP_WRITE), 0);
	close(sv[1]);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_ne(a.seen & LOOP_HUP, 0);
	loop_io_del(loop, &a.io);
	close(sv[0]);
}
END_TEST

static void
on_io_del_other(struct loop *l, struct loop_io *io, unsigned revents UNUSED)
{
	struct end *e = container_of(io, struct end, io);

	e->calls++;
	loop_io_del(l, &e->other->io);
}

START_TEST(io_removed_in_a_callback_gets_no_event)
{
	struct end a, b;
	int p[2], q[2];

	pair(p);
	pair(q);
	end_init(&a, p[0], on_io_del_other);
	end_init(&b, q[0], on_io_del_other);
	a.other = &b;
	b.other = &a;
	ck_assert_int_eq(loop_io_set(loop, &a.io, LOOP_READ), 0);
	ck_assert_int_eq(loop_io_set(loop, &b.io, LOOP_READ), 0);
	poke(p[1]);
	poke(q[1]);
	turn();
	/* whichever came first removed the other */
	ck_assert_int_eq(a.calls + b.calls, 1);
	close(p[0]); close(p[1]);
	close(q[0]); close(q[1]);
}
END_TEST

/* Closes the other's descriptor and watches another one of that number. */
static void
on_io_replace_other(struct loop *l, struct loop_io *io, unsigned revents)
{
	struct end *e = container_of(io, struct end, io), *o = e->other;
	int fd = o->io.fd, sv[2];

	if (e->calls++ > 0 || o->calls > 0)
		return;
	(void)revents;
	pair(sv);
	ck_assert_int_eq(dup2(sv[0], fd), fd);
	loop_io_forget(l, &o->io);
	end_init(o, fd, on_io);
	ck_assert_int_eq(loop_io_set(l, &o->io, LOOP_READ), 0);
	close(sv[0]);
	o->stop_after = sv[1];		/* keeps the peer open */
}

START_TEST(io_number_used_again_in_the_same_batch)
{
	struct end a, b, *kept;
	int p[2], q[2];

	pair(p);
	pair(q);
	end_init(&a, p[0], on_io_replace_other);
	end_init(&b, q[0], on_io_replace_other);
	a.other = &b;
	b.other = &a;
	ck_assert_int_eq(loop_io_set(loop, &a.io, LOOP_READ), 0);
	ck_assert_int_eq(loop_io_set(loop, &b.io, LOOP_READ), 0);
	poke(p[1]);
	poke(q[1]);
	turn();
	kept = a.calls > 0 ? &b : &a;
	ck_assert_int_eq(kept->calls, 0);	/* the old one's event */
	poke(kept->stop_after);
	turn();
	ck_assert_int_eq(kept->calls, 1);
	close(kept->stop_after);
	loop_io_del(loop, &a.io);
	loop_io_del(loop, &b.io);
	close(p[0]); close(p[1]);
	close(q[0]); close(q[1]);
}
END_TEST

START_TEST(io_closed_without_a_word)
{
	struct end a, b, c;
	int p[2], q[2];

	pair(p);
	end_init(&a, p[0], on_io);
	ck_assert_int_eq(loop_io_set(loop, &a.io, LOOP_READ), 0);
	pair(q);
	ck_assert_int_eq(dup2(q[0], p[0]), p[0]);	/* closes it */
	end_init(&b, p[0], on_io);
	ck_assert_int_eq(loop_io_set(loop, &b.io, LOOP_READ), 0);
	ck_assert(!a.io.active);
	loop_io_del(loop, &a.io);			/* not b's */
	poke(q[1]);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(b.calls, 1);
	/* one watcher a descriptor */
	end_init(&c, p[0], on_io);
	ck_assert_int_eq(loop_io_set(loop, &c.io, LOOP_READ), -1);
	ck_assert_int_eq(errno, EEXIST);
	loop_io_del(loop, &b.io);
	ck_assert_int_eq(loop_io_set(loop, &c.io, LOOP_READ), 0);
	loop_io_del(loop, &c.io);
	close(p[0]); close(p[1]);
	close(q[0]); close(q[1]);
}
END_TEST

START_TEST(io_errors)
{
	struct end a;
	int fd;

	end_init(&a, -1, on_io);
	ck_assert_int_eq(loop_io_set(loop, &a.io, LOOP_READ), -1);
	ck_assert_int_eq(errno, EBADF);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ne(fd, -1);
	end_init(&a, fd, on_io);
	ck_assert_int_eq(loop_io_set(loop, &a.io, LOOP_READ), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert(!a.io.active);
	close(fd);
}
END_TEST

START_TEST(io_many_descriptors)
{
	struct end *e = calloc(400, sizeof(*e));
	int (*sv)[2] = calloc(400, sizeof(*sv));
	int i, calls = 0;

	ck_assert_ptr_nonnull(e);
	ck_assert_ptr_nonnull(sv);
	for (i = 0; i < 400; i++) {
		pair(sv[i]);
		end_init(&e[i], sv[i][0], on_io);
		ck_assert_int_eq(loop_io_set(loop, &e[i].io,
		    LOOP_READ | LOOP_EDGE), 0);
		poke(sv[i][1]);
	}
	turn();
	turn();				/* more than one batch */
	for (i = 0; i < 400; i++) {
		calls += e[i].calls;
		loop_io_del(loop, &e[i].io);
		close(sv[i][0]);
		close(sv[i][1]);
	}
	ck_assert_int_eq(calls, 400);
	free(e);
	free(sv);
}
END_TEST

/* ---- waking --------------------------------------------------------- */

static void *
wake_thread(void *arg)
{
	while (atomic_load(&sleeper.entered) == 0)
		usleep(100);
	__atomic_store_n(&sleeper.done, true, __ATOMIC_RELEASE);
	loop_wake(arg);
	return NULL;
}

START_TEST(wake_from_a_thread)
{
	pthread_t th;
	int i;

	for (i = 0; i < 50; i++) {
		atomic_store(&sleeper.entered, 0);
		sleeper.done = false;
		loop_set_hooks(loop, &sleeper_hooks, loop);
		ck_assert_int_eq(pthread_create(&th, NULL, wake_thread, loop),
		    0);
		ck_assert_int_eq(loop_run(loop), 0);
		ck_assert_int_eq(pthread_join(th, NULL), 0);
	}
}
END_TEST

static void
on_wake(struct loop *l, struct loop_timer *t UNUSED)
{
	loop_wake(l);
	loop_wake(l);
}

static void
enter_ringing(void *arg, bool may_block)
{
	enter_nothing(arg, may_block);
	if (may_block)
		poke(bell);
}

static void
on_bell(struct loop *l, struct loop_io *io UNUSED, unsigned revents UNUSED)
{
	note('!');
	loop_stop(l);
}

START_TEST(wake_while_awake_spares_the_wait)
{
	static const struct loop_hooks hooks = {
		ready_note, never_pending, enter_ringing, leave_nothing
	};
	struct loop_timer w;
	struct loop_io io;
	int sv[2];
	char tag = '.';

	pair(sv);
	bell = sv[1];
	loop_set_hooks(loop, &hooks, &tag);
	loop_io_init(&io, sv[0], on_bell);
	ck_assert_int_eq(loop_io_set(loop, &io, LOOP_READ), 0);
	loop_timer_init(&w, on_wake);
	loop_timer_set(loop, &w, 0);
	ck_assert_int_eq(loop_run(loop), 0);
	/* one wait of 0 for the wakes, then a long one */
	ck_assert_str_eq(trace, "0.0.B!.");
	loop_io_del(loop, &io);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

Suite *
io_suite(void)
{
	const TTest *const tests[] = {
		io_read_write_change,
		io_edge_reports_once,
		io_hangup_is_reported,
		io_removed_in_a_callback_gets_no_event,
		io_number_used_again_in_the_same_batch,
		io_closed_without_a_word,
		io_errors,
		io_many_descriptors,
		wake_from_a_thread,
		wake_while_awake_spares_the_wait,
	};

	return loop_suite("io", tests, countof(tests));
}
