/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The loop in C: order of a turn, timers, works, descriptors, waking,
 * signals.
 */
#include "loop/loop.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/defs.h"
#include "stats/stats.h"

static struct loop *loop;
static char trace[256];

static void
note(char c)
{
	size_t n = strlen(trace);

	ck_assert_uint_lt(n + 1, sizeof(trace));
	trace[n] = c;
	trace[n + 1] = '\0';
}

static void
setup(void)
{
	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
	trace[0] = '\0';
}

static void
teardown(void)
{
	loop_free(&loop);
	ck_assert_ptr_null(loop);
}

static void
pair(int sv[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
}

static void
poke(int fd)
{
	ck_assert_int_eq(write(fd, "x", 1), 1);
}

/* ---- timers --------------------------------------------------------- */

struct tagged {
	struct loop_timer	 t;
	char			 tag;
	struct tagged		*other;
};

static void
tagged_init(struct tagged *x, char tag, loop_timer_f *cb)
{
	loop_timer_init(&x->t, cb);
	x->tag = tag;
	x->other = NULL;
}

static void
on_note(struct loop *l UNUSED, struct loop_timer *t)
{
	note(container_of(t, struct tagged, t)->tag);
}

static void
on_stop(struct loop *l, struct loop_timer *t)
{
	on_note(l, t);
	loop_stop(l);
}

static void
on_cancel_other(struct loop *l, struct loop_timer *t)
{
	struct tagged *x = container_of(t, struct tagged, t);

	note(x->tag);
	loop_timer_del(l, &x->other->t);
	ck_assert(!loop_timer_armed(&x->other->t));
}

static void
on_rearm_now(struct loop *l, struct loop_timer *t)
{
	struct tagged *x = container_of(t, struct tagged, t);

	note(x->tag);
	if (x->tag++ < '3')
		loop_timer_set(l, t, 0);
}

START_TEST(timers_run_in_order_of_time)
{
	struct tagged x[26];
	nsec_t base = mono_now();
	int i;

	for (i = 0; i < 26; i++) {
		tagged_init(&x[i], (char)('a' + i), i < 25 ? on_note : on_stop);
	}
	for (i = 0; i < 26; i++)
		loop_timer_set(loop, &x[i * 7 % 26].t,
		    base + i * 7 % 26 * 100000);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "abcdefghijklmnopqrstuvwxyz");
	ck_assert_int_ge(mono_now(), base + 25 * 100000);
}
END_TEST

START_TEST(timer_ties_run_in_start_order)
{
	struct tagged x[20];
	int i;

	for (i = 0; i < 20; i++) {
		tagged_init(&x[i], (char)('a' + i), i < 19 ? on_note : on_stop);
		loop_timer_set(loop, &x[i].t, 5);
	}
	/* arming again moves to the end of the tie */
	loop_timer_set(loop, &x[0].t, 5);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "bcdefghijklmnopqrsta");
}
END_TEST

START_TEST(timer_set_for_now_runs_next_turn)
{
	struct tagged a, z;

	tagged_init(&a, '1', on_rearm_now);
	tagged_init(&z, 'z', on_note);
	loop_timer_set(loop, &a.t, 0);
	loop_timer_set(loop, &z.t, 0);
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "1z");
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "1z23");
	ck_assert(!loop_timer_armed(&a.t));
}
END_TEST

START_TEST(timer_cancelled_by_its_neighbour)
{
	struct tagged a, b, c;

	tagged_init(&a, 'a', on_cancel_other);
	tagged_init(&b, 'b', on_note);
	tagged_init(&c, 'c', on_stop);
	a.other = &b;
	loop_timer_set(loop, &a.t, 1);
	loop_timer_set(loop, &b.t, 2);
	loop_timer_set(loop, &c.t, 3);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "ac");
	loop_timer_del(loop, &b.t);	/* harmless twice */
}
END_TEST

START_TEST(timers_removed_from_the_middle)
{
	struct tagged x[100], last;
	int i;

	for (i = 0; i < 100; i++) {
		tagged_init(&x[i], '0', on_note);
		loop_timer_set(loop, &x[i].t, (i * 37) % 100);
	}
	for (i = 0; i < 100; i += 2)
		loop_timer_del(loop, &x[i].t);
	tagged_init(&last, '!', on_stop);
	loop_timer_set(loop, &last.t, 1000);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(strlen(trace), 51);
}
END_TEST

START_TEST(timer_never_early)
{
	struct tagged a;
	nsec_t when;
	int i;

	for (i = 1; i < 20; i++) {
		tagged_init(&a, 'a', on_stop);
		when = mono_now() + i * 137 * 1000;
		loop_timer_set(loop, &a.t, when);
		ck_assert_int_eq(loop_run(loop), 0);
		ck_assert_int_ge(mono_now(), when);
		ck_assert_int_ge(loop_now(loop), when);
	}
}
END_TEST

/* ---- works and hooks ------------------------------------------------ */

struct task {
	struct loop_work	 w;
	char			 tag;
	struct loop_work	*next;
	int			 again;
};

static void
on_work(struct loop *l, struct loop_work *w)
{
	struct task *t = container_of(w, struct task, w);

	note(t->tag);
	if (t->next != NULL)
		loop_work_add(l, t->next);
	if (t->again-- > 0)
		loop_work_add(l, w);
	else if (t->tag == '!')
		loop_stop(l);
}

static void
task_init(struct task *t, enum loop_phase phase, char tag)
{
	loop_work_init(&t->w, phase, on_work);
	t->tag = tag;
	t->next = NULL;
	t->again = 0;
}

static int
ready_note(void *arg)
{
	note(*(const char *)arg);
	return 0;
}

static int
ready_leave(void *arg UNUSED)
{
	note('x');
	return -1;
}

static bool
never_pending(void *arg UNUSED)
{
	return false;
}

static void
enter_nothing(void *arg UNUSED, bool may_block)
{
	note(may_block ? 'B' : '0');
}

static int
leave_nothing(void *arg UNUSED)
{
	return 0;
}

START_TEST(phases_in_order)
{
	struct task e, d, f;
	struct tagged t;

	tagged_init(&t, 't', on_note);
	task_init(&f, LOOP_FLUSH, 'f');
	task_init(&d, LOOP_DEFERRED, 'd');
	task_init(&e, LOOP_ENGINE, 'e');
	loop_work_add(loop, &f.w);
	loop_work_add(loop, &d.w);
	loop_work_add(loop, &e.w);
	loop_work_add(loop, &e.w);		/* once is enough */
	loop_timer_set(loop, &t.t, 0);
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "tedf");
}
END_TEST

START_TEST(work_for_a_later_phase_runs_this_turn)
{
	struct task e, d, f;

	task_init(&e, LOOP_ENGINE, 'e');
	task_init(&d, LOOP_DEFERRED, 'd');
	task_init(&f, LOOP_FLUSH, 'f');
	e.next = &d.w;
	d.next = &f.w;
	loop_work_add(loop, &e.w);
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "edf");
}
END_TEST

START_TEST(work_that_adds_itself_runs_next_turn)
{
	static const struct loop_hooks hooks = {
		ready_note, never_pending, enter_nothing, leave_nothing
	};
	struct task d;
	char tag = '.';

	task_init(&d, LOOP_DEFERRED, '!');
	d.again = 2;
	loop_work_add(loop, &d.w);
	loop_set_hooks(loop, &hooks, &tag);
	ck_assert_int_eq(loop_run(loop), 0);
	/* one a turn, and no turn may block while one is pending */
	ck_assert_str_eq(trace, "0.!0.!0.!");
}
END_TEST

START_TEST(work_removed)
{
	struct task a, b;

	task_init(&a, LOOP_ENGINE, 'a');
	task_init(&b, LOOP_ENGINE, 'b');
	loop_work_add(loop, &a.w);
	loop_work_add(loop, &b.w);
	loop_work_del(loop, &a.w);
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "b");
}
END_TEST

START_TEST(ready_hook_leaves_at_once)
{
	static const struct loop_hooks hooks = {
		ready_leave, never_pending, enter_nothing, leave_nothing
	};
	struct task e;

	task_init(&e, LOOP_ENGINE, 'e');
	loop_work_add(loop, &e.w);
	loop_set_hooks(loop, &hooks, NULL);
	ck_assert_int_eq(loop_run(loop), -1);
	ck_assert_str_eq(trace, "0x");
	/* nothing was lost */
	loop_set_hooks(loop, NULL, NULL);
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "0xe");
}
END_TEST

static void
on_run_again(struct loop *l, struct loop_timer *t UNUSED)
{
	ck_assert_int_eq(loop_run(l), -1);
	ck_assert_int_eq(errno, EBUSY);
	loop_stop(l);
}

START_TEST(no_loop_in_a_loop)
{
	struct loop_timer t;

	loop_timer_init(&t, on_run_again);
	loop_timer_set(loop, &t, 0);
	ck_assert_int_eq(loop_run(loop), 0);
}
END_TEST

/* ---- statistics ----------------------------------------------------- */

#define LONG	(3 * NSEC_PER_MSEC)

static bool blocked;
static int bell;		/* what ends a wait that may block */

static void
spend(nsec_t time)
{
	nsec_t end = mono_now() + time;

	while (mono_now() < end)
		;
}

static int
nothing_ready(void *arg UNUSED)
{
	return 0;
}

static void
enter_told(void *arg UNUSED, bool may_block)
{
	if (!may_block)
		return;
	blocked = true;
	ck_assert_uint_eq(stats->turn_began, 0);
	poke(bell);
}

/* As a GIL that is long in coming. */
static int
leave_late(void *arg UNUSED)
{
	ck_assert_uint_le(stats->turn_began, (uint64_t)mono_now());
	ck_assert_uint_gt(stats->turn_began, 0);
	if (blocked)
		spend(LONG);
	return 0;
}

static void
on_long(struct loop *l, struct loop_io *io UNUSED, unsigned revents UNUSED)
{
	ck_assert_int_ge(loop_now(l) - (nsec_t)stats->turn_began, LONG);
	spend(LONG);
	ck_assert_int_ge(mono_now() - (nsec_t)stats->turn_began, 2 * LONG);
	loop_stop(l);
}

static const struct loop_hooks told = {
	.ready = nothing_ready, .pending = never_pending,
	.wait_enter = enter_told, .wait_leave = leave_late,
};

START_TEST(turns_are_counted)
{
	const struct hist *h = &stats->hists[HIST_turn];
	struct loop_io io;
	int sv[2];

	pair(sv);
	bell = sv[1];
	blocked = false;
	loop_count(loop);
	loop_set_hooks(loop, &told, NULL);
	loop_io_init(&io, sv[0], on_long);
	ck_assert_int_eq(loop_io_set(loop, &io, LOOP_READ), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert(blocked);
	ck_assert_uint_eq(stats->turn_began, 0);
	/* the first, with a wait of 0, and the bell's: without the wait */
	ck_assert_uint_eq(hist_count(h), 2);
	ck_assert_uint_ge(h->sum, 2 * LONG);
	loop_io_del(loop, &io);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(turns_of_other_loops_are_not)
{
	struct loop_timer t;

	loop_timer_init(&t, on_run_again);
	loop_timer_set(loop, &t, 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(hist_count(&stats->hists[HIST_turn]), 0);
}
END_TEST

/* ---- descriptors ---------------------------------------------------- */

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

static void
turn(void)
{
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
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

static struct {
	atomic_int	entered;
	bool		done;
} sleeper;

static void
sleeper_enter(void *arg UNUSED, bool may_block)
{
	if (may_block)
		atomic_fetch_add(&sleeper.entered, 1);
}

static int
sleeper_ready(void *arg)
{
	if (__atomic_load_n(&sleeper.done, __ATOMIC_ACQUIRE))
		loop_stop(arg);
	return 0;
}

static const struct loop_hooks sleeper_hooks = {
	sleeper_ready, never_pending, sleeper_enter, leave_nothing
};

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

/* ---- signals -------------------------------------------------------- */

static void
on_sig(struct loop *l, int signo, void *arg)
{
	note(signo == SIGUSR1 ? '1' : '2');
	note(*(const char *)arg);
	loop_stop(l);
}

static void
on_raise(struct loop *l UNUSED, struct loop_timer *t UNUSED)
{
	(void)raise(SIGUSR2);
	(void)raise(SIGUSR1);
	note('r');
}

START_TEST(signals_run_as_events)
{
	struct loop_timer t;
	char a = 'a', b = 'b';

	ck_assert_int_eq(loop_signal(loop, SIGUSR1, on_sig, &a), 0);
	ck_assert_int_eq(loop_signal(loop, SIGUSR2, on_sig, &b), 0);
	loop_timer_init(&t, on_raise);
	loop_timer_set(loop, &t, 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "r1a2b");
	ck_assert_int_eq(loop_signal(loop, SIGKILL, on_sig, NULL), -1);
	ck_assert_int_eq(loop_signal(loop, 0, on_sig, NULL), -1);
	ck_assert_int_eq(loop_signal(loop, SIGUSR1, LOOP_SIGNAL_IGNORE, NULL),
	    0);
	(void)raise(SIGUSR1);
	turn();
	ck_assert_str_eq(trace, "r1a2b");
}
END_TEST

static void *
kill_thread(void *arg)
{
	while (atomic_load(&sleeper.entered) == 0)
		usleep(100);
	(void)kill(getpid(), *(int *)arg);
	return NULL;
}

START_TEST(signal_ends_the_wait)
{
	pthread_t th;
	char a = 'a';
	int signo = SIGUSR1;

	atomic_store(&sleeper.entered, 0);
	sleeper.done = false;
	loop_set_hooks(loop, &sleeper_hooks, loop);
	ck_assert_int_eq(loop_signal(loop, SIGUSR1, on_sig, &a), 0);
	ck_assert_int_eq(pthread_create(&th, NULL, kill_thread, &signo), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(pthread_join(th, NULL), 0);
	ck_assert_str_eq(trace, "1a");
}
END_TEST

static bool
stands(void (*handler)(int))
{
	struct sigaction sa;

	ck_assert_int_eq(sigaction(SIGUSR1, NULL, &sa), 0);
	return sa.sa_handler == handler;
}

static void
foreign_handler(int signo UNUSED)
{
	note('f');
}

/* Before there is a loop; that of the import, say, hears nothing. */
START_TEST(signals_wait_for_their_loop)
{
	struct loop *other = loop_new();
	char a = 'a';

	ck_assert_int_eq(loop_signal(NULL, SIGUSR1, on_sig, &a), 0);
	(void)raise(SIGUSR1);
	loop_free(&other);
	ck_assert(!stands(SIG_DFL));
	turn();
	ck_assert_str_eq(trace, "");
	loop_signals_serve(loop);
	turn();
	ck_assert_str_eq(trace, "1a");
	loop_signal_mark(SIGUSR1);
	loop_signal_mark(SIGUSR2);		/* nobody's */
	turn();
	ck_assert_str_eq(trace, "1a1a");
}
END_TEST

START_TEST(signals_are_taken_back)
{
	char a = 'a';

	loop_signal_again(SIGUSR1, true);	/* not ours at all */
	ck_assert(stands(SIG_DFL));
	ck_assert_int_eq(loop_signal(loop, SIGUSR1, on_sig, &a), 0);
	(void)signal(SIGUSR1, foreign_handler);
	loop_signal_again(SIGUSR1, false);
	(void)raise(SIGUSR1);
	turn();
	ck_assert_str_eq(trace, "f");
	loop_signal_again(SIGUSR1, true);
	(void)raise(SIGUSR1);
	(void)signal(SIGUSR1, SIG_DFL);
	loop_signal_again(SIGUSR1, false);
	turn();
	ck_assert_str_eq(trace, "f1a");
	(void)raise(SIGUSR1);
	turn();
	ck_assert_str_eq(trace, "f1a1a");

	ck_assert_int_eq(loop_signal(loop, SIGUSR1, LOOP_SIGNAL_IGNORE, NULL),
	    0);
	(void)signal(SIGUSR1, foreign_handler);
	loop_signal_again(SIGUSR1, true);
	ck_assert(stands(foreign_handler));
	(void)signal(SIGUSR1, SIG_DFL);
	loop_signal_again(SIGUSR1, true);
	ck_assert(stands(SIG_IGN));
}
END_TEST

START_TEST(signal_default_comes_back_with_the_loop)
{
	struct sigaction sa;
	struct loop *other = loop_new();
	char a = 'a';

	ck_assert_ptr_nonnull(other);
	ck_assert_int_eq(loop_signal(other, SIGUSR1, on_sig, &a), 0);
	ck_assert_int_eq(loop_signal(loop, SIGUSR1, on_sig, &a), -1);
	ck_assert_int_eq(errno, EBUSY);
	loop_free(&other);
	ck_assert_int_eq(sigaction(SIGUSR1, NULL, &sa), 0);
	ck_assert(sa.sa_handler == SIG_DFL);
	ck_assert_int_eq(loop_signal(loop, SIGUSR1, on_sig, &a), 0);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		timers_run_in_order_of_time,
		timer_ties_run_in_start_order,
		timer_set_for_now_runs_next_turn,
		timer_cancelled_by_its_neighbour,
		timers_removed_from_the_middle,
		timer_never_early,
		phases_in_order,
		work_for_a_later_phase_runs_this_turn,
		work_that_adds_itself_runs_next_turn,
		work_removed,
		ready_hook_leaves_at_once,
		no_loop_in_a_loop,
		turns_are_counted,
		turns_of_other_loops_are_not,
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
		signals_run_as_events,
		signal_ends_the_wait,
		signals_wait_for_their_loop,
		signals_are_taken_back,
		signal_default_comes_back_with_the_loop,
	};
	Suite *s = suite_create("loop");
	TCase *tc = tcase_create("loop");
	SRunner *sr;
	size_t i;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	for (i = 0; i < countof(tests); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed > 0;
}
