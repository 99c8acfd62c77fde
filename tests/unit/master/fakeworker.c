/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A worker without Python and HTTP: it speaks the real channel and behaves
 * as $FAKE says, so that the master can be tested against every kind of
 * worker.  It writes what it sees to its own log, one line each:
 *
 *	fake: born id=1 generation=1 ...
 *	fake: drain
 *
 * Words of $FAKE, or of the file that it names as @PATH, any number:
 *	report		logs all that it was born with
 *	fail=N		says that it cannot start, exits with N
 *	lock=PATH	fails as long as another worker has that lock, for
 *			which it keeps it, or for another reason if that file
 *			is not there
 *	exit=N		exits with N before it is ready
 *	crash		aborts before it is ready
 *	hang		never gets ready
 *	only=N		the other words are for the worker with number N
 *	until=PATH	gets ready when that file is there
 *	die[=PATH]	aborts when it is told to go, or then, when that file
 *			is there
 *	recycle[=PATH]	asks to be replaced, likewise
 *	leave[=PATH]	drains of its own, likewise
 *	nodrain		ignores that it is told to drain, and SIGTERM
 *	says		like nodrain, but says that it is draining
 *	chatter		.. again and again
 *	nostop		ignores that it is told to stop at once
 *	orphan[=PATH]	leaves a dead process of a dead child when it starts,
 *			before anything else, or then, when that file is there
 *	mute		closes its channel when it is told to go
 *	burden		when it is told to go, passes to whoever takes it, by
 *			all that it has, a descriptor whose close() lasts
 *	block		takes O_NONBLOCK from its log's descriptor
 *	truncate	tries to empty the access log when it is told to go
 *	forge		as soon as it goes, writes into all of the statistics
 *			that it can reach that their owner is busy since long
 *	type		tries to type into the terminal that its standard
 *			descriptors may be
 *
 * None of them is a time: what comes before what is the test's to say.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "conf/conf.h"
#include "loop/loop.h"
#include "proc/birth.h"
#include "proc/chan.h"
#include "stats/stats.h"

static struct {
	struct loop		*loop;
	struct birth		 birth;
	struct conf		*conf;
	struct chan		 chan;
	struct loop_io		 listeners[BIRTH_LISTENERS_MAX];
	struct loop_timer	 timer;
	const struct act	*next;		/* waits for its file */
	char			*words;
} fake;

/* What is done at once, or when a file is there. */
struct act {
	const char	*word;
	void		(*act)(void);
};

/* ---- behaviour ------------------------------------------------------- */

/* The word's value, "" without one; NULL: not there. */
static const char *
word(const char *name)
{
	size_t n = strlen(name);
	const char *p = fake.words;

	for (; *p != '\0'; p += strcspn(p, " "), p += strspn(p, " "))
		if (strncmp(p, name, n) == 0) {
			if (p[n] == '=')
				return p + n + 1;
			if (p[n] == '\0' || p[n] == ' ')
				return "";
		}
	return NULL;
}

static void
read_words(void)
{
	const char *env = getenv("FAKE");
	size_t len;
	int fd;

	if (env == NULL || *env != '@') {
		fake.words = strdup(env != NULL ? env : "");
	} else if ((fd = open(env + 1, O_RDONLY | O_CLOEXEC)) != -1) {
		fake.words = fd_read_all(fd, &len);
		close(fd);
	}
	if (fake.words == NULL)
		fatal(1, "fake: %s: %s", env, strerror(errno));
}

static void
say(const char *what)
{
	log_info("fake: %s", what);
}

static void
leave(void)
{
	say("stopped");
	(void)chan_send(&fake.chan, CHAN_STOPPING, "");
	(void)chan_send(&fake.chan, CHAN_STOPPED, "");
	loop_stop(fake.loop);
}

static bool
is_there(const char *path)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(path, " "), path);
	return access(name, F_OK) == 0;
}

static void
on_timer(struct loop *l, struct loop_timer *t)
{
	const char *path = word(fake.next->word);

	if (*path == '\0' || is_there(path))
		fake.next->act();
	else
		loop_timer_set(l, t, mono_now() + 5 * NSEC_PER_MSEC);
}

/* The first of these that is among our words. */
static bool
expect(const struct act *acts, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (word(acts[i].word) != NULL) {
			fake.next = &acts[i];
			loop_timer_set(fake.loop, &fake.timer, mono_now());
			return true;
		}
	return false;
}

static void
get_ready(void)
{
	(void)chan_send(&fake.chan, CHAN_READY, "");
}

static void
recycle(void)
{
	(void)chan_send(&fake.chan, CHAN_RECYCLE, "");
}

static const struct act before[] = {
	{ "until",	get_ready },
};
static const struct act after[] = {
	{ "die",	abort },
	{ "recycle",	recycle },
	{ "leave",	leave },
};

/* ---- serving: the answer to a connection is our number --------------- */

static void
on_listener(struct loop *l UNUSED, struct loop_io *io, unsigned rev UNUSED)
{
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd == -1)
		return;
	(void)dprintf(fd, "%d\n", (int)getpid());
	close(fd);
}

/* A connection to ourselves with more in it than we shall ever read, and an
 * hour for the rest. */
static int
lingering(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct linger hour = { .l_onoff = 1, .l_linger = 3600 };
	socklen_t len = sizeof(sin);
	static char block[65536];
	int l = socket(AF_INET, SOCK_STREAM, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (l == -1 || fd == -1 ||
	    bind(l, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(l, 1) == -1 ||
	    getsockname(l, (struct sockaddr *)&sin, &len) == -1 ||
	    connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hour, sizeof(hour)) == -1)
		fatal(1, "fake: %s", strerror(errno));
	while (send(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	return fd;
}

static void
burden(void)
{
	union {
		struct cmsghdr	 align;
		char		 space[CMSG_SPACE(sizeof(int))];
	} control = { .align = { CMSG_LEN(sizeof(int)), SOL_SOCKET,
	    SCM_RIGHTS } };
	char type = CHAN_NTYPE;
	struct iovec iov = { &type, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = &control, .msg_controllen = sizeof(control) };
	int fd = lingering(), to;

	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	for (to = 0; to < 64; to++) {
		if (sendmsg(to, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
			continue;
		/* the next message lets go of it */
		(void)send(to, &type, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		close(fd);
		break;
	}
	say("burdened");
}

static void
forge(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), off;
	size_t step = (sizeof(struct stats_slot) + page - 1) / page * page;
	struct stats_slot *s;
	struct stat st;
	char *p;

	if (fstat(fake.birth.stats_fd, &st) == -1 ||
	    (p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
	    MAP_SHARED, fake.birth.stats_fd, 0)) == MAP_FAILED)
		fatal(1, "fake: %s", strerror(errno));
	for (off = 0; off < (size_t)st.st_size; off += step) {
		s = (void *)(p + off);
		s->turn_began = 1;
	}
}

static void
truncate_access(void)
{
	int rv = ftruncate(fake.birth.access_fd, 0);

	log_info("fake: truncate: %s", strerror(rv == -1 ? errno : 0));
}

static void
on_go(const char *text UNUSED)
{
	size_t i;

	say("go");
	for (i = 0; i < fake.birth.nlisteners; i++) {
		loop_io_init(&fake.listeners[i], fake.birth.listeners[i],
		    on_listener);
		if (loop_io_set(fake.loop, &fake.listeners[i],
		    LOOP_READ | LOOP_EXCLUSIVE) == -1)
			fatal(1, "fake: listener: %s", strerror(errno));
	}
	if (word("mute") != NULL)
		chan_fini(&fake.chan);
	if (word("burden") != NULL)
		burden();
	if (word("forge") != NULL)
		forge();
	if (word("truncate") != NULL)
		truncate_access();
	(void)expect(after, countof(after));
}

static void
say_again(struct loop *l, struct loop_timer *t)
{
	(void)chan_send(&fake.chan, CHAN_STOPPING, "");
	loop_timer_set(l, t, mono_now() + 100 * NSEC_PER_MSEC);
}

static void
chatter(void)
{
	loop_timer_init(&fake.timer, say_again);
	say_again(fake.loop, &fake.timer);
}

static void
on_drain(const char *text UNUSED)
{
	say("drain");
	if (word("chatter") != NULL)
		chatter();
	else if (word("says") != NULL)
		(void)chan_send(&fake.chan, CHAN_STOPPING, "");
	else if (word("nodrain") == NULL)
		leave();
}

static void
on_stop_now(const char *text UNUSED)
{
	say("stop now");
	if (word("nostop") == NULL)
		leave();
}

static void
on_reopen(const char *text)
{
	char *names = strdup(text), *rest = names, *name;
	size_t i;
	int fd;

	log_info("fake: reopen %s", text);
	for (i = 0; (name = strsep(&rest, " ")) != NULL; i++) {
		fd = chan_take_fd(&fake.chan, i);
		if (fd == -1 || dup3(fd, strcmp(name, "error") == 0 ?
		    log_fd() : fake.birth.access_fd, O_CLOEXEC) == -1)
			fatal(1, "fake: reopen: %s", strerror(errno));
		close(fd);
	}
	free(names);
	say("reopened");
	if (fake.birth.access_fd != -1)
		(void)dprintf(fake.birth.access_fd, "fake: access\n");
}

static void (*const messages[CHAN_NTYPE])(const char *) = {
	[CHAN_GO]	= on_go,
	[CHAN_DRAIN]	= on_drain,
	[CHAN_STOP_NOW]	= on_stop_now,
	[CHAN_REOPEN]	= on_reopen,
};

static void
on_message(struct chan *c UNUSED, enum chan_type type, const char *text,
    void *arg UNUSED)
{
	if (messages[type] != NULL)
		messages[type](text);
}

static void
on_eof(struct chan *c, void *arg UNUSED)
{
	chan_fini(c);
	loop_stop(fake.loop);
}

static void
on_sigterm(struct loop *l UNUSED, int signo UNUSED, void *arg UNUSED)
{
	say("SIGTERM");
	if (word("nodrain") == NULL)
		leave();
}

/* ---- what it was born with ------------------------------------------- */

static void
report_status(void)
{
	static const char *const wanted[] = { "SigBlk:", "SigIgn:", "Uid:",
	    "Gid:", "Groups:", "Umask:", "NoNewPrivs:", "CapInh:", "CapPrm:",
	    "CapAmb:" };
	char line[512];
	FILE *f = fopen("/proc/self/status", "re");
	size_t i;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		for (i = 0; i < countof(wanted); i++)
			if (strncmp(line, wanted[i], strlen(wanted[i])) == 0) {
				line[strcspn(line, "\n")] = '\0';
				log_info("fake: %s", line);
			}
	if (f != NULL)
		fclose(f);
}

/* Before anything of our own is opened: all of this was inherited. */
static void
report_fds(void)
{
	char link[300], target[256];
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	ssize_t n;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.' || atoi(e->d_name) == dirfd(dir))
			continue;
		snprintf(link, sizeof(link), "/proc/self/fd/%s", e->d_name);
		n = readlink(link, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		log_info("fake: fd %s %s", e->d_name, target);
	}
	if (dir != NULL)
		closedir(dir);
}

static void
report(void)
{
	const struct birth *b = &fake.birth;
	const char *env[] = { "HOME", "USER", "LOGNAME", "LISTEN_FDS",
	    "NOTIFY_SOCKET", "ASGID_BIRTH", "ASGID_WORKER_NUMBER",
	    "ASGID_GENERATION" };
	struct rlimit nofile;
	int death = 0;
	size_t i;

	log_info("fake: born id=%u generation=%u channel=%d,%d error=%d "
	    "access=%d stats=%d app=%s", b->id, b->generation, b->channel.in,
	    b->channel.out, b->error_fd, b->access_fd, b->stats_fd,
	    fake.conf->app);
	for (i = 0; i < b->nlisteners; i++)
		log_info("fake: listener %d", b->listeners[i]);
	for (i = 0; i < countof(env); i++)
		if (getenv(env[i]) != NULL)
			log_info("fake: env %s=%s", env[i], getenv(env[i]));
	(void)prctl(PR_GET_PDEATHSIG, &death);
	log_info("fake: pdeathsig %d", death);
	if (getrlimit(RLIMIT_NOFILE, &nofile) == 0)
		log_info("fake: nofile %ju", (uintmax_t)nofile.rlim_cur);
	report_status();
	report_fds();
}

static void
type(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		log_info("fake: typing %d: %s", fd,
		    ioctl(fd, TIOCSTI, "!") == 0 ? "done" : strerror(errno));
}

/* A grandchild whose parent ends first, and which then ends itself. */
static void
make_orphan(void)
{
	const char *path = word("orphan");
	int fds[2];
	char c;
	pid_t pid;

	while (*path != '\0' && !is_there(path))
		usleep(5000);
	if (pipe2(fds, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		fatal(1, "fake: %s", strerror(errno));
	if (pid == 0) {
		if (fork() == 0) {
			close(fds[1]);
			(void)!read(fds[0], &c, 1);
		}
		_exit(0);
	}
	(void)waitpid(pid, NULL, 0);
	close(fds[0]);
	close(fds[1]);
	say("orphan");
}

/* It is ours until we end. */
static bool
take_lock(const char *path)
{
	char name[PATH_MAX];
	int fd;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(path, " "), path);
	fd = open(name, O_RDWR | O_CLOEXEC);
	return fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/* The ends that come before any loop. */
static void
end_early(void)
{
	const char *value;

	if ((value = word("exit")) != NULL)
		exit(atoi(value));
	if (word("crash") != NULL)
		abort();
	if ((value = word("fail")) != NULL) {
		(void)chan_send(&fake.chan, CHAN_FAILED,
		    "SyntaxError: told to fail");
		exit(atoi(value));
	}
	if ((value = word("lock")) != NULL && !take_lock(value)) {
		(void)chan_send(&fake.chan, CHAN_FAILED,
		    "application startup failed: OSError: locked");
		exit(3);
	}
}

int
main(int argc, char *argv[])
{
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		puts("fakeworker 1");
		return 0;
	}
	if (birth_import(&fake.birth, &fake.conf) == -1)
		return 1;
	log_adopt(fake.birth.error_fd, fake.conf->log_error,
	    (enum log_level)fake.conf->log_level, "asgid-worker");
	read_words();
	if (word("only") != NULL && atoi(word("only")) != (int)fake.birth.id)
		fake.words[0] = '\0';
	if (word("report") != NULL)
		report();
	if (word("block") != NULL)
		(void)fd_set_nonblock(log_fd(), false);
	if (word("type") != NULL)
		type();
	if (word("orphan") != NULL)
		make_orphan();
	if ((fake.loop = loop_new()) == NULL ||
	    chan_init(&fake.chan, fake.loop, &fake.birth.channel, on_message,
	    on_eof, NULL) == -1)
		fatal(1, "fake: %s", strerror(errno));
	end_early();
	if (word("hang") == NULL || word("nodrain") != NULL)
		(void)loop_signal(fake.loop, SIGTERM, on_sigterm, NULL);
	loop_timer_init(&fake.timer, on_timer);
	if (word("hang") == NULL && !expect(before, countof(before)))
		get_ready();
	(void)loop_run(fake.loop);
	chan_fini(&fake.chan);
	loop_free(&fake.loop);
	conf_free(&fake.conf);
	free(fake.words);
	return 0;
}
