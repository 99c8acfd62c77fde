/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The command check: is the configuration as it stands now a valid one, and
 * what would it change?  Its names are looked up beside the master.
 */
#include "master/master_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "master/precheck.h"

struct check {
	struct list		 node;
	struct master		*master;
	struct control_client	*client;
	bool			 diff;
	struct conf		*conf;
	struct lookup		*lookup;
	struct buf		 text;		/* of the answer */
};

/* "workers.count: 2 -> 4 (with new workers)" */
static void
on_difference(const char *key, enum conf_class class, void *arg)
{
	static const char *const effects[] = {
		[CONF_LIVE]	= "at once",
		[CONF_WORKER]	= "with new workers",
		[CONF_RESTART]	= "only by a restart",
	};
	struct check *c = arg;

	buf_printf(&c->text, "%s: ", key);
	conf_print_one(c->master->setup->conf, key, &c->text);
	buf_puts(&c->text, " -> ");
	conf_print_one(c->conf, key, &c->text);
	buf_printf(&c->text, " (%s)\n", effects[class]);
}

static enum ctl_result_id
look(struct check *c)
{
	unsigned faults = 1;

	reload_enter(&c->master->reload);
	if (c->conf != NULL)
		faults = precheck(c->conf, NULL, &c->text);
	reload_leave(c->master->setup);
	if (faults > 0)
		return CTL_R_INVALID;
	buf_reset(&c->text);
	if (!c->diff)
		buf_puts(&c->text, "the configuration is valid\n");
	else if (conf_diff(c->master->setup->conf, c->conf, on_difference,
	    c) == CONF_SAME)
		buf_puts(&c->text, "nothing differs\n");
	return CTL_R_DONE;
}

static void
check_free(struct check *c)
{
	list_remove(&c->node);
	lookup_cancel(&c->lookup);
	conf_free(&c->conf);
	buf_fini(&c->text);
	free(c);
}

static void
finish(struct check *c, enum ctl_result_id result)
{
	struct control_client *client = c->client;
	struct buf text = c->text;

	c->text = (struct buf)BUF_INIT;
	check_free(c);
	if (text.failed)
		control_answer(client, CTL_R_FAILED, "%s", strerror(ENOMEM));
	else
		control_answer_buf(client, result, &text);
	buf_fini(&text);
}

static void
on_names(void *arg, const char *why)
{
	struct check *c = arg;

	c->lookup = NULL;
	if (why == NULL) {
		finish(c, look(c));
		return;
	}
	buf_reset(&c->text);
	buf_printf(&c->text, "%s\n", why);
	finish(c, CTL_R_FAILED);
}

void
check_begin(struct master *m, struct control_client *client, bool diff)
{
	struct check *c = calloc(1, sizeof(*c));
	int rv = 0;

	if (c == NULL) {
		control_answer(client, CTL_R_FAILED, "%s", strerror(errno));
		return;
	}
	list_append(&m->checks, &c->node);
	c->master = m;
	c->client = client;
	c->diff = diff;
	reload_enter(&m->reload);
	c->conf = reload_parse(&m->reload, &c->text);
	reload_leave(m->setup);
	if (c->conf != NULL)
		rv = lookup_begin(&c->lookup, m->loop, c->conf, on_names, c);
	if (rv == -1)
		on_names(c, strerror(errno));
	else if (rv == 0)
		finish(c, look(c));
}

void
check_forget(struct master *m, const struct control_client *client)
{
	struct list *n, *next;
	struct check *c;

	list_foreach_safe(n, next, &m->checks) {
		c = list_entry(n, struct check, node);
		if (c->client == client)
			check_free(c);
	}
}
