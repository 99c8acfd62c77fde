/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/control.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/sock.h"
#include "master/aside.h"
#include "master/privs.h"
#include "master/unix.h"

#define CLIENTS_MAX	64
#define BACKLOG		64
/* For a whole line, and for taking some of an answer. */
#define PATIENCE	(10 * NSEC_PER_SEC)
/* Of progress that a client does not read. */
#define UNREAD_MAX	(64 * 1024)

struct control_client {
	struct list		 node;
	struct control		*control;
	struct loop_io		 io;
	struct loop_timer	 deadline;
	struct ucred		 cred;
	bool			 owner;		/* may do everything */
	bool			 member;	/* of control.group */
	char			 in[CTL_LINE_MAX];
	size_t			 nin;
	struct buf		 out;
	size_t			 sent;
	bool			 busy;		/* waits for its answer */
	bool			 progress;	/* wants to know meanwhile */
	bool			 last;		/* no more lines will come */
};

static void on_client(struct loop *, struct loop_io *, unsigned);

/* ---- a client's life ---------------------------------------------------- */

/* With what it has sent and nobody has read goes what it has passed. */
static void
client_close(const struct control_client *c)
{
	int unread = 0;

	/* shut: what is in it now is all */
	if (c->control->rights && shutdown(c->io.fd, SHUT_RDWR) == 0 &&
	    ioctl(c->io.fd, FIONREAD, &unread) == 0 && unread > 0)
		aside_close(c->io.fd);
	else
		close(c->io.fd);
}

static void
client_free(struct control_client *c)
{
	struct control *ctl = c->control;

	if (c->busy)
		ctl->ops->on_gone(c, ctl->arg);
	list_remove(&c->node);
	ctl->nclients--;
	loop_timer_del(ctl->loop, &c->deadline);
	loop_io_del(ctl->loop, &c->io);
	client_close(c);
	buf_fini(&c->out);
	free(c);
}

static void
on_deadline(struct loop *loop UNUSED, struct loop_timer *t)
{
	client_free(container_of(t, struct control_client, deadline));
}

/*
 * What is waited for: room for what is unsent, the end of a client whose
 * command runs (by edge: one that has only shut its sending side waits for
 * its answer), else another line.
 */
static void
watch(struct control_client *c)
{
	struct loop *loop = c->control->loop;
	bool unsent = c->sent < c->out.len;
	unsigned events = unsent ? LOOP_WRITE :
	    c->busy ? LOOP_RDHUP | LOOP_EDGE : LOOP_READ;

	/* not prolonged by a byte now and then */
	if (c->busy && !unsent)
		loop_timer_del(loop, &c->deadline);
	else if (!loop_timer_armed(&c->deadline))
		loop_timer_set(loop, &c->deadline, mono_now() + PATIENCE);
	if (loop_io_set(loop, &c->io, events) == -1)
		loop_timer_set(loop, &c->deadline, mono_now());
}

/* As much as goes. 0, or -1: the client is gone. */
static int
flush(struct control_client *c)
{
	ssize_t n;

	while (c->sent < c->out.len) {
		n = send(c->io.fd, c->out.data + c->sent,
		    c->out.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno == EAGAIN ? 0 : -1;
		c->sent += (size_t)n;
	}
	buf_reset(&c->out);
	c->sent = 0;
	return 0;
}

/* ---- answers ------------------------------------------------------------ */

/* The client is freed by its own events only, never under the hands of who
 * answers. */
static void
say(struct control_client *c, enum ctl_result_id id, struct str text)
{
	ctl_print_answer(&c->out, id, text);
	if (c->out.failed || flush(c) == -1) {
		c->last = true;
		buf_reset(&c->out);
		c->sent = 0;
		(void)shutdown(c->io.fd, SHUT_RDWR);
	}
	watch(c);
}

static void
answer(struct control_client *c, enum ctl_result_id id, struct str text)
{
	c->busy = false;
	say(c, id, text);
}

void
control_answer_buf(struct control_client *c, enum ctl_result_id id,
    const struct buf *text)
{
	if (text->failed)
		answer(c, CTL_R_FAILED, STR("out of memory\n"));
	else
		answer(c, id, (struct str){ buf_str(text), text->len });
}

/* As a whole line, if there is any text. */
static void
put_line(struct buf *to, const char *text)
{
	size_t n = strlen(text);

	buf_put(to, text, n);
	if (n > 0 && text[n - 1] != '\n')
		buf_putc(to, '\n');
}

void
control_answer(struct control_client *c, enum ctl_result_id id,
    const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = NULL;
	va_end(ap);
	if (text != NULL)
		put_line(&b, text);
	else
		b.failed = true;
	control_answer_buf(c, id, &b);
	buf_fini(&b);
	free(text);
}

void
control_progress(struct control_client *c, const char *text)
{
	struct buf b = BUF_INIT;

	if (!c->progress || !c->busy || c->out.len - c->sent >= UNREAD_MAX)
		return;
	put_line(&b, text);
	say(c, CTL_R_WAITING, (struct str){ buf_str(&b), b.len });
	buf_fini(&b);
}

void
control_who(const struct control_client *c, char text[CONTROL_WHO_MAX])
{
	snprintf(text, CONTROL_WHO_MAX, "uid %u, pid %d",
	    (unsigned)c->cred.uid, (int)c->cred.pid);
}

/* ---- requests ----------------------------------------------------------- */

static bool
may(const struct control_client *c, const struct ctl_command *command)
{
	const struct conf_list *grant = &c->control->conf->control_grant;
	size_t i;

	if (c->owner || !c->member)
		return c->owner;
	for (i = 0; i < grant->n; i++)
		if (strcmp(grant->at[i], command->name) == 0)
			return true;
	return false;
}

/* What is asked for; how it is to be answered is nobody's business. */
static void
log_request(const struct ctl_request *r, const char *who)
{
	struct ctl_request asked = *r;
	struct buf text = BUF_INIT;

	asked.flags &= ~(unsigned)CTL_F_SILENT;
	asked.config = NULL;
	ctl_print_request(&asked, &text);
	if (!text.failed)
		log_info("control: %.*s (%s)", (int)text.len - 1, text.data,
		    who);
	buf_fini(&text);
}

static void
take_line(struct control_client *c, char *line)
{
	struct control *ctl = c->control;
	struct buf why = BUF_INIT;
	struct ctl_request r;
	char who[CONTROL_WHO_MAX];

	c->busy = true;
	if (ctl_parse_line(&r, line, &why) == -1) {
		control_answer(c, CTL_R_USAGE, "%s", buf_str(&why));
		goto out;
	}
	control_who(c, who);
	if (!may(c, r.command)) {
		if (r.command->changes)
			log_warn("control: %s: not permitted (%s)",
			    r.command->name, who);
		control_answer(c, CTL_R_DENIED, "not permitted to uid %u",
		    (unsigned)c->cred.uid);
		goto out;
	}
	if (r.config != NULL && !ctl->ops->is_file(r.config, ctl->arg)) {
		control_answer(c, CTL_R_OTHER, "another asgid has this "
		    "socket: it reads %s", *ctl->conf->file != '\0' ?
		    ctl->conf->file : "no configuration file");
		goto out;
	}
	if (r.command->changes)
		log_request(&r, who);
	c->progress = (r.flags & CTL_F_PROGRESS) != 0;
	ctl->ops->on_request(c, &r, ctl->arg);
out:
	buf_fini(&why);
}

/* Lines that are here, one after the other's answer. */
static void
take_lines(struct control_client *c)
{
	char line[CTL_LINE_MAX], *end;
	size_t n;

	while (!c->busy && c->sent == c->out.len &&
	    (end = memchr(c->in, '\n', c->nin)) != NULL) {
		n = (size_t)(end - c->in);
		memcpy(line, c->in, n);
		line[n] = '\0';
		while (strlen(line) < n)
			line[strlen(line)] = 0x7f;	/* in no word either */
		c->nin -= n + 1;
		loop_timer_del(c->control->loop, &c->deadline);
		memmove(c->in, end + 1, c->nin);
		take_line(c, line);
	}
	if (!c->busy && c->nin == sizeof(c->in)) {
		c->last = true;
		c->nin = 0;
		answer(c, CTL_R_TOO_LONG, STR("the line is too long\n"));
	}
}

/*
 * recv(), but -1 with EPERM if descriptors were passed with these bytes, which
 * then stay where they are: to read them is to close those.  Without room for
 * them only a look at the bytes is harmless, and tells.
 */
static ssize_t
receive(struct control_client *c, char *to, size_t size)
{
	struct iovec iov = { to, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (c->control->rights) {
		n = recvmsg(c->io.fd, &msg, MSG_DONTWAIT | MSG_PEEK);
		if (n > 0 && (msg.msg_flags & MSG_CTRUNC) != 0) {
			errno = EPERM;
			return -1;
		}
		if (n <= 0)
			return n;
		size = (size_t)n;
	}
	return recv(c->io.fd, to, size, MSG_DONTWAIT);
}

/* 0, or -1: no more will come. */
static int
fill(struct control_client *c)
{
	ssize_t n;

	if (c->last || c->nin == sizeof(c->in))
		return 0;
	n = receive(c, c->in + c->nin, sizeof(c->in) - c->nin);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0) {
		c->last = true;
		return 0;
	}
	c->nin += (size_t)n;
	return 0;
}

/* Who sends a line and leaves at once has still sent it. */
static void
on_client(struct loop *loop UNUSED, struct loop_io *io, unsigned revents)
{
	struct control_client *c = container_of(io, struct control_client, io);
	bool gone = (revents & LOOP_HUP) != 0;

	if (flush(c) == -1 || (gone && c->busy) ||
	    (!c->busy && fill(c) == -1)) {
		client_free(c);
		return;
	}
	take_lines(c);
	if (gone || (c->last && !c->busy && c->sent == c->out.len))
		client_free(c);
	else
		watch(c);
}

/* ---- who is it ---------------------------------------------------------- */

static bool
is_member(const struct control_client *c, gid_t wanted)
{
	gid_t *groups;
	socklen_t len = 0;
	size_t i, n;
	bool found = false;

	if (wanted == (gid_t)-1 || c->cred.gid == wanted)
		return wanted != (gid_t)-1;
	/* the first answer is how much there is */
	if (getsockopt(c->io.fd, SOL_SOCKET, SO_PEERGROUPS, NULL,
	    &len) == 0 || errno != ERANGE || (groups = malloc(len)) == NULL)
		return false;
	if (getsockopt(c->io.fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0)
		for (i = 0, n = len / sizeof(*groups); i < n && !found; i++)
			found = groups[i] == wanted;
	free(groups);
	return found;
}

static int
identify(struct control_client *c)
{
	socklen_t len = sizeof(c->cred);

	if (getsockopt(c->io.fd, SOL_SOCKET, SO_PEERCRED, &c->cred,
	    &len) == -1)
		return -1;
	c->owner = c->cred.uid == 0 || c->cred.uid == geteuid();
	c->member = is_member(c, c->control->group);
	return 0;
}

/*
 * Room for one more: the oldest that has nothing under way goes, or, for the
 * sake of those who may do everything, the oldest of the others.
 */
static bool
make_room(struct control *ctl, bool for_owner)
{
	struct list *n;
	struct control_client *c, *victim = NULL;

	if (ctl->nclients <= CLIENTS_MAX)
		return true;
	for (n = ctl->clients.next; n != ctl->clients.prev; n = n->next) {
		c = list_entry(n, struct control_client, node);
		if (!c->busy) {
			victim = c;
			break;
		}
		if (victim == NULL && for_owner && !c->owner)
			victim = c;
	}
	if (victim != NULL)
		client_free(victim);
	return victim != NULL;
}

static void
client_new(struct control *ctl, int fd)
{
	struct control_client *c = calloc(1, sizeof(*c));
	const int yes = 1;

	if (c == NULL) {
		close(fd);
		return;
	}
	c->control = ctl;
	list_append(&ctl->clients, &c->node);
	ctl->nclients++;
	loop_io_init(&c->io, fd, on_client);
	loop_timer_init(&c->deadline, on_deadline);
	/* what is urgent must not be taken out of its order either */
	if ((ctl->rights && setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &yes,
	    sizeof(yes)) == -1) || identify(c) == -1) {
		client_free(c);
		return;
	}
	if (!make_room(ctl, c->owner)) {
		c->last = true;
		answer(c, CTL_R_BUSY, STR("too many connections\n"));
		client_free(c);
		return;
	}
	watch(c);
}

static void
on_accept(struct acceptor *a, int fd)
{
	client_new(container_of(a, struct control, acceptor), fd);
}

/* ---- the socket --------------------------------------------------------- */

/* The folder of the socket, if only that is missing. */
static void
make_folder(struct control *ctl)
{
	const char *slash = strrchr(ctl->path, '/');
	char *folder;

	if (slash == NULL || slash == ctl->path ||
	    (folder = strndup(ctl->path, (size_t)(slash - ctl->path))) == NULL)
		return;
	if (mkdir(folder, 0755) == 0)
		ctl->made_folder = folder;
	else
		free(folder);
}

static int
open_socket(struct control *ctl)
{
	char same[] = "";
	struct conf_listen cl = {
		.kind = CONF_LISTEN_UNIX, .path = ctl->path, .owner = same,
		.mode = (mode_t)ctl->conf->control_mode, .backlog = BACKLOG,
		.group = ctl->conf->control_group,
	};
	int fd;

	if ((fd = unix_listen(&cl, "control.socket", &ctl->file)) == -1)
		return -1;
	ctl->rights = sock_refuse_rights(fd) == -1;
	if (acceptor_begin(&ctl->acceptor, fd) == 0)
		return 0;
	log_err("control.socket: %s: %s", ctl->path, strerror(errno));
	return -1;
}

int
control_init(struct control *ctl, struct loop *loop, const struct conf *conf,
    const struct control_ops *ops, void *arg)
{
	bool optional = strcmp(conf->control_socket, "auto") == 0;
	const char *why;

	*ctl = (struct control){ .loop = loop, .conf = conf, .ops = ops,
	    .arg = arg, .group = (gid_t)-1, .file = -1 };
	list_init(&ctl->clients);
	acceptor_init(&ctl->acceptor, loop, "control.socket", on_accept);
	if ((ctl->path = conf_control_socket(conf)) == NULL) {
		log_err("control.socket: %s", strerror(errno));
		return -1;
	}
	if (*ctl->path == '\0')
		return 0;
	make_folder(ctl);
	if (optional && (why = unix_obstacle(ctl->path)) != NULL) {
		log_write(strcmp(why, UNIX_BUSY) == 0 ? LOG_L_WARNING :
		    LOG_L_INFO, "No control socket: %s: %s", ctl->path, why);
		*ctl->path = '\0';
		return 0;
	}
	if (open_socket(ctl) == -1) {
		*ctl->path = '\0';
		if (optional)
			return 0;
		control_fini(ctl);
		return -1;
	}
	/* once: looking it up may take long, and the socket keeps it */
	if (*conf->control_group != '\0')
		(void)privs_find_group(conf->control_group, &ctl->group);
	return 0;
}

void
control_fini(struct control *ctl)
{
	struct list *n, *next;

	list_foreach_safe(n, next, &ctl->clients)
		client_free(list_entry(n, struct control_client, node));
	unix_remove(ctl->path, &ctl->file);
	/* what is queued may have brought something as well: left to the
	 * exit of the process, see aside.c */
	if (!ctl->rights)
		acceptor_end(&ctl->acceptor);
	if (ctl->made_folder != NULL)
		(void)rmdir(ctl->made_folder);
	free(ctl->made_folder);
	free(ctl->path);
	ctl->made_folder = ctl->path = NULL;
}

void
control_set_conf(struct control *ctl, const struct conf *conf)
{
	ctl->conf = conf;
}
