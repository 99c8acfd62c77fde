/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The commands of the control socket.  Those that take time are answered by
 * wait.c, when their outcome is known.
 */
#include "master/master_priv.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "master/child.h"

/* ---- commands ----------------------------------------------------------- */

typedef void command_f(struct master *, struct control_client *,
    const struct ctl_request *);

static void
answer_text(struct control_client *client, struct buf *text)
{
	control_answer_buf(client, CTL_R_DONE, text);
	buf_fini(text);
}

static void
do_status(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	struct buf b = BUF_INIT;

	view_status(m, (r->flags & CTL_F_JSON) != 0, &b);
	answer_text(client, &b);
}

static void
do_stats(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	struct buf b = BUF_INIT;

	view_stats(m, (r->flags & CTL_F_JSON) != 0 ? stats_json :
	    (r->flags & CTL_F_OPENMETRICS) != 0 ? stats_openmetrics :
	    (r->flags & CTL_F_PROMETHEUS) != 0 ? stats_prometheus :
	    stats_text, &b);
	answer_text(client, &b);
}

static void
do_workers(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	struct buf b = BUF_INIT;

	view_workers(m, r->flags, &b);
	answer_text(client, &b);
}

static void
do_reload(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	enum ctl_result_id result;
	struct buf why = BUF_INIT;
	char who[CONTROL_WHO_MAX];

	control_who(client, who);
	result = master_reload(m, who, &why);
	if (result == CTL_R_WAITING)
		wait_for(m, client, r, WAIT_RELOAD, 0, 0);
	else
		control_answer_buf(client, result, &why);
	buf_fini(&why);
}

/* The waiter first: an empty fleet ends at once. */
static void
do_stop(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	wait_for(m, client, r, WAIT_STOP, 0, 0);
	master_stop(m, (r->flags & CTL_F_NOW) != 0);
}

static void
do_reopen(struct master *m, struct control_client *client,
    const struct ctl_request *r UNUSED)
{
	struct buf why = BUF_INIT;

	control_answer_buf(client, master_reopen(m, &why), &why);
	buf_fini(&why);
}

/* A decimal number; 0 if it is none, which no worker and no count is. */
static unsigned
number(const char *text)
{
	uint64_t n;

	return str_to_uint(str_of(text), &n) == 0 && n <= INT32_MAX ?
	    (unsigned)n : 0;
}

static void
do_scale(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	struct buf why = BUF_INIT;
	unsigned count = number(r->args[0]);
	enum ctl_result_id result = master_scale(m, count, &why);

	if (result == CTL_R_DONE)
		wait_for(m, client, r, WAIT_SCALE, (int)count, 0);
	else
		control_answer_buf(client, result, &why);
	buf_fini(&why);
}

static void
do_restart_worker(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	struct seat *s = fleet_seat(&m->fleet, number(r->args[0]));

	if (s == NULL)
		control_answer(client, CTL_R_UNKNOWN, "no worker %s",
		    r->args[0]);
	else if (m->stopping || fleet_replace(&m->fleet, s) == -1)
		control_answer(client, CTL_R_CONFLICT, "worker %s is being "
		    "replaced already, or a reload is running", r->args[0]);
	else
		wait_for(m, client, r, WAIT_RESTART, s->child->pid, 0);
}

static void
do_check(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	check_begin(m, client, (r->flags & CTL_F_DIFF) != 0);
}

static void
do_config(struct master *m, struct control_client *client,
    const struct ctl_request *r UNUSED)
{
	struct buf b = BUF_INIT;

	conf_print(m->setup->conf, &b);
	answer_text(client, &b);
}

static void
do_wait(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	bool ready = strcmp(r->args[0], "ready") == 0;
	nsec_t limit = 0;

	if (r->nargs > 1 && (str_to_duration(r->args[1], &limit) == -1 ||
	    limit <= 0))
		control_answer(client, CTL_R_USAGE, "%s: expected a duration "
		    "(10s, 2m)", r->args[1]);
	else if (ready && m->stopping)
		control_answer(client, CTL_R_BUSY, STOPPING_TEXT);
	else
		wait_for(m, client, r, ready ? WAIT_READY : WAIT_DRAINED, 0,
		    limit);
}

static void
do_ping(struct master *m UNUSED, struct control_client *client,
    const struct ctl_request *r UNUSED)
{
	control_answer(client, CTL_R_DONE, "pong");
}

static void
do_version(struct master *m UNUSED, struct control_client *client,
    const struct ctl_request *r)
{
	struct buf b = BUF_INIT;
	struct json j = JSON_INIT(&b);

	if ((r->flags & CTL_F_JSON) != 0) {
		json_open(&j, NULL, '{');
		json_str(&j, KEY(version), PACKAGE_VERSION);
		json_close(&j, '}');
		buf_putc(&b, '\n');
	} else
		buf_puts(&b, "asgid " PACKAGE_VERSION "\n");
	answer_text(client, &b);
}

static void
do_help(struct master *m UNUSED, struct control_client *client,
    const struct ctl_request *r)
{
	const struct ctl_command *of = NULL;
	struct buf b = BUF_INIT;

	if (r->nargs > 0 && (of = ctl_find(r->args[0], &b)) == NULL) {
		control_answer(client, CTL_R_USAGE, "%s", buf_str(&b));
		buf_fini(&b);
		return;
	}
	ctl_help(of, &b);
	answer_text(client, &b);
}

static command_f *const commands[CTL_NCOMMANDS] = {
#define COMMAND(id, ...)	[CTL_##id] = do_##id,
#include "ctl/commands.def"
#undef COMMAND
};

static bool
is_file(const char *id, void *arg)
{
	const struct master *m = arg;

	return reload_is_file(&m->reload, m->setup->conf->file, id);
}

static void
on_request(struct control_client *client, const struct ctl_request *r,
    void *arg)
{
	STAT_ADD(commands, 1);
	commands[r->command - ctl_commands](arg, client, r);
}

static void
on_gone(struct control_client *client, void *arg)
{
	wait_forget(arg, client);
	check_forget(arg, client);
}

const struct control_ops command_ops = {
	.is_file	= is_file,
	.on_request	= on_request,
	.on_gone	= on_gone,
};
