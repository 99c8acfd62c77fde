/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/names.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "master/tcp.h"

#define NAME_LEN	256

/* As it goes through the pipe; n items follow. */
struct answer {
	uint32_t	 kind;
	uint32_t	 n;
	int32_t		 status, error;
	uid_t		 uid;
	gid_t		 gid;
	char		 key[NAME_LEN], name[NAME_LEN], home[PATH_MAX];
};

struct entry {
	struct list	 node;
	struct answer	 a;
	char		*items;
	unsigned	 text;		/* that it was in */
};

static struct {
	struct list	 entries;
	unsigned	 texts;
} table = { LIST_INIT(table.entries), 0 };

static const size_t item_sizes[] = {
	[NAMES_USER]	= sizeof(gid_t),
	[NAMES_GROUP]	= sizeof(gid_t),
	[NAMES_HOST]	= sizeof(struct sock_addr),
};

/* ---- asking ------------------------------------------------------------- */

static int
number(const char *name, uint32_t *id)
{
	uint64_t n;

	/* (uid_t)-1 means "leave it" to the system calls */
	if (str_to_uint(str_of(name), &n) == -1 || n >= UINT32_MAX)
		return -1;
	*id = (uint32_t)n;
	return 0;
}

/* What initgroups(3) would set beside the group itself. */
static void
ask_groups(const char *user, struct answer *a, struct buf *items)
{
	gid_t *groups = NULL, *more;
	int n = 16, have;

	do {
		have = n;
		more = realloc(groups, (size_t)n * sizeof(*more));
		if (more == NULL) {
			items->failed = true;
			break;
		}
		groups = more;
	} while (getgrouplist(user, (gid_t)-1, groups, &n) == -1 && n > have);
	/* the first is what we gave */
	if (more != NULL && n > 1) {
		a->n = (uint32_t)n - 1;
		buf_put(items, groups + 1, a->n * sizeof(*groups));
	}
	free(groups);
}

static void
ask_user(struct answer *a, struct buf *items)
{
	struct passwd *pw = getpwnam(a->key);

	a->gid = (gid_t)-1;
	if (pw == NULL) {
		if ((a->status = number(a->key, &a->uid)) == -1)
			return;
		pw = getpwuid(a->uid);
	}
	snprintf(a->home, sizeof(a->home), "%s", pw != NULL ? pw->pw_dir :
	    "/");
	if (pw == NULL) {
		snprintf(a->name, sizeof(a->name), "%u", (unsigned)a->uid);
		return;
	}
	snprintf(a->name, sizeof(a->name), "%s", pw->pw_name);
	a->uid = pw->pw_uid;
	a->gid = pw->pw_gid;
	ask_groups(a->name, a, items);
}

static void
ask_group(struct answer *a, struct buf *items UNUSED)
{
	struct group *gr = getgrnam(a->key);

	if (gr == NULL)
		a->status = number(a->key, &a->gid);
	else
		a->gid = gr->gr_gid;
}

static void
ask_host(struct answer *a, struct buf *items)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *list, *i;
	struct sock_addr addr;

	/* without a port there must be a name */
	a->status = getaddrinfo(*a->key != '\0' ? a->key : NULL, "0", &hints,
	    &list);
	a->error = errno;
	if (a->status != 0)
		return;
	for (i = list; i != NULL; i = i->ai_next, a->n++) {
		memset(&addr, 0, sizeof(addr));
		addr.len = i->ai_addrlen;
		memcpy(&addr.ss, i->ai_addr, addr.len);
		buf_put(items, &addr, sizeof(addr));
	}
	freeaddrinfo(list);
}

static void (*const asks[])(struct answer *, struct buf *items) = {
	[NAMES_USER]	= ask_user,
	[NAMES_GROUP]	= ask_group,
	[NAMES_HOST]	= ask_host,
};

void
names_ask(enum names_kind kind, const char *key, struct buf *to)
{
	struct buf items = BUF_INIT;
	struct answer a;

	memset(&a, 0, sizeof(a));	/* padding goes through the pipe too */
	a.kind = kind;
	snprintf(a.key, sizeof(a.key), "%s", key);
	if (strlen(key) < sizeof(a.key))
		asks[kind](&a, &items);
	else
		a.status = kind == NAMES_HOST ? EAI_NONAME : -1;
	buf_put(to, &a, sizeof(a));
	if (items.len > 0)
		buf_put(to, items.data, items.len);
	to->failed |= items.failed;
	buf_fini(&items);
}

/* ---- what is known ------------------------------------------------------ */

static struct entry *
known(enum names_kind kind, const char *key)
{
	struct list *n;
	struct entry *e;

	for (n = table.entries.next; n != &table.entries; n = n->next) {
		e = list_entry(n, struct entry, node);
		if (e->a.kind == kind && strncmp(e->a.key, key,
		    sizeof(e->a.key) - 1) == 0)
			return e;
	}
	return NULL;
}

static void
forget(struct entry *e)
{
	list_remove(&e->node);
	free(e->items);
	free(e);
}

/* Of one text the first answer counts: a name server may have taken over since
 * who wrote it. */
static int
learn(const struct answer *a, const char *items, size_t len)
{
	struct entry *former = known(a->kind, a->key), *e;

	if (former != NULL && former->text == table.texts)
		return 0;
	if ((e = calloc(1, sizeof(*e))) == NULL ||
	    (e->items = malloc(len + 1)) == NULL) {
		free(e);
		return -1;
	}
	memcpy(e->items, items, len);
	e->a = *a;
	e->text = table.texts;
	if (former != NULL)
		forget(former);
	list_append(&table.entries, &e->node);
	return 0;
}

/* Who wrote it is less than we are: nothing of it is believed. */
static bool
is_sound(const struct answer *a, const char *items, size_t rest)
{
	struct sock_addr addr;
	uint32_t i;

	if (a->kind > NAMES_HOST || a->n > rest / item_sizes[a->kind] ||
	    memchr(a->key, '\0', sizeof(a->key)) == NULL ||
	    memchr(a->name, '\0', sizeof(a->name)) == NULL ||
	    memchr(a->home, '\0', sizeof(a->home)) == NULL)
		return false;
	for (i = 0; a->kind == NAMES_HOST && i < a->n; i++) {
		memcpy(&addr, items + i * sizeof(addr), sizeof(addr));
		if (addr.len > sizeof(addr.ss) || (addr.ss.ss_family !=
		    AF_INET && addr.ss.ss_family != AF_INET6))
			return false;
	}
	return true;
}

int
names_learn(const struct buf *text)
{
	size_t at = 0, len;
	struct answer a;
	int n;

	table.texts++;
	for (n = 0; at < text->len; n++) {
		if (text->len - at < sizeof(a))
			goto bad;
		memcpy(&a, text->data + at, sizeof(a));
		at += sizeof(a);
		if (!is_sound(&a, text->data + at, text->len - at))
			goto bad;
		len = a.n * item_sizes[a.kind];
		if (learn(&a, text->data + at, len) == -1)
			return -1;
		at += len;
	}
	return n;
bad:
	errno = EPROTO;
	return -1;
}

void
names_forget(void)
{
	while (!list_empty(&table.entries))
		forget(list_entry(table.entries.next, struct entry, node));
}

static const struct entry *
find(enum names_kind kind, const char *key)
{
	const struct entry *e = known(kind, key);
	struct buf text = BUF_INIT;

	if (e != NULL)
		return e;
	names_ask(kind, key, &text);
	if (!text.failed && names_learn(&text) == 1)
		e = known(kind, key);
	buf_fini(&text);
	return e;
}

/* ---- answers ------------------------------------------------------------ */

int
names_user(const char *name, struct names_user *u)
{
	const struct entry *e = find(NAMES_USER, name);

	if (e == NULL || e->a.status != 0)
		return -1;
	*u = (struct names_user){ e->a.uid, e->a.gid, e->a.name, e->a.home,
	    (const void *)e->items, e->a.n };
	return 0;
}

int
names_group(const char *name, gid_t *gid)
{
	const struct entry *e = find(NAMES_GROUP, name);

	if (e == NULL || e->a.status != 0)
		return -1;
	*gid = e->a.gid;
	return 0;
}

int
names_host(const char *host, const struct sock_addr **list, size_t *n)
{
	const struct entry *e = find(NAMES_HOST, host);

	if (e == NULL)
		return EAI_MEMORY;
	*list = (const void *)e->items;
	*n = e->a.n;
	errno = e->a.error;
	return e->a.status;
}

const char *
names_host_error(int status)
{
	return status == EAI_SYSTEM ? strerror(errno) : gai_strerror(status);
}

/* ---- what a configuration asks for -------------------------------------- */

static bool
is_numeric(const char *host)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST }, *list;

	if (*host == '\0')
		return true;
	if (getaddrinfo(host, NULL, &hints, &list) != 0)
		return false;
	freeaddrinfo(list);
	return true;
}

struct asking {
	names_f		*ask;
	struct buf	*to;
	size_t		 n;
};

static void
each(struct asking *q, enum names_kind kind, const char *name)
{
	if (kind == NAMES_HOST ? is_numeric(name) : *name == '\0')
		return;
	q->n++;
	if (q->ask != NULL)
		q->ask(kind, name, q->to);
}

size_t
names_each(const struct conf *conf, names_f *ask, struct buf *to)
{
	struct asking q = { ask, to, 0 };
	char host[TCP_HOST_MAX];
	const struct conf_listen *l;
	size_t i;

	each(&q, NAMES_USER, conf->user);
	each(&q, NAMES_GROUP, conf->group);
	each(&q, NAMES_GROUP, conf->control_group);
	for (i = 0; i < conf->nlisten; i++) {
		l = &conf->listen[i];
		if (l->kind != CONF_LISTEN_UNIX)
			continue;
		each(&q, NAMES_USER, l->owner);
		each(&q, NAMES_GROUP, l->group);
	}
	tcp_host(conf->metrics_listen, host);
	each(&q, NAMES_HOST, host);
	for (i = 0; i < conf->nlisten; i++)
		if (conf->listen[i].kind == CONF_LISTEN_TCP)
			each(&q, NAMES_HOST, conf->listen[i].host);
	return q.n;
}
