/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The effective configuration as text that loads again to the same struct.
 */
#include "conf/conf_priv.h"

#include <inttypes.h>
#include <string.h>

#include "base/str.h"

static void
print_string(struct buf *b, const char *s)
{
	const unsigned char *c;

	buf_putc(b, '"');
	for (c = (const unsigned char *)s; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			buf_printf(b, "\\%c", *c);
		else if (*c < ' ' || *c == 0x7f)
			buf_printf(b, "\\x%02x", *c);
		else
			buf_putc(b, (char)*c);
	}
	buf_putc(b, '"');
}

static void
print_list(struct buf *b, const struct conf_list *l)
{
	size_t i;

	buf_putc(b, '[');
	for (i = 0; i < l->n; i++) {
		buf_puts(b, i > 0 ? ", " : " ");
		print_string(b, l->at[i]);
	}
	buf_puts(b, " ]");
}

static void
print_number(struct buf *b, int64_t n)
{
	/* an integer of libconfig has 32 bits unless it ends in L */
	buf_printf(b, "%" PRId64 "%s", n,
	    n > INT32_MAX || n < INT32_MIN ? "L" : "");
}

static void
print_value(struct buf *b, const struct conf *c, const struct conf_option *o)
{
	const void *member = conf_const_member(c, o);
	char text[32];

	switch (o->type) {
	case CONF_T_string:
		print_string(b, *(char *const *)member);
		break;
	case CONF_T_bool:
		buf_puts(b, *(const conf_bool_t *)member ? "true" : "false");
		break;
	case CONF_T_count:
		if (*(const conf_count_t *)member <= 0) {
			buf_puts(b, "\"auto\"");
			break;
		}
		print_number(b, *(const conf_count_t *)member);
		break;
	case CONF_T_int:
		print_number(b, *(const conf_int_t *)member);
		break;
	case CONF_T_size:
		str_from_size(*(const conf_size_t *)member, text);
		buf_printf(b, "\"%s\"", text);
		break;
	case CONF_T_duration:
		str_from_duration(*(const conf_duration_t *)member, text);
		buf_printf(b, "\"%s\"", text);
		break;
	case CONF_T_mode:
		buf_printf(b, "\"%04o\"", *(const conf_mode_t *)member);
		break;
	case CONF_T_enum:
		print_string(b, o->names[*(const conf_enum_t *)member]);
		break;
	case CONF_T_list:
		print_list(b, member);
		break;
	}
}

static void
print_options(const struct conf *c, struct buf *b)
{
	const struct conf_option *o;
	const char *dot, *group = "";
	size_t i, glen = 0, len;

	for (i = 0; i < CONF_NOPTIONS; i++) {
		o = &conf_options[i];
		dot = strchr(o->key, '.');
		len = dot != NULL ? (size_t)(dot - o->key) : 0;
		if (len != glen || memcmp(o->key, group, len) != 0) {
			if (glen > 0)
				buf_puts(b, "};\n");
			if (len > 0)
				buf_printf(b, "%.*s = {\n", (int)len, o->key);
			group = o->key;
			glen = len;
		}
		buf_printf(b, "%s# %s\n", len > 0 ? "\t" : "", o->text);
		buf_printf(b, "%s%s = ", len > 0 ? "\t" : "",
		    len > 0 ? dot + 1 : o->key);
		print_value(b, c, o);
		buf_puts(b, ";\n");
	}
	if (glen > 0)
		buf_puts(b, "};\n");
}

static void
print_listener(const struct conf_listen *l, struct buf *b)
{
	struct buf text = BUF_INIT;

	buf_puts(b, "{ ");
	switch (l->kind) {
	case CONF_LISTEN_TCP:
		conf_listen_text(l, &text);
		buf_puts(b, "address = ");
		print_string(b, buf_str(&text));
		break;
	case CONF_LISTEN_UNIX:
		buf_puts(b, "unix = ");
		print_string(b, l->path);
		buf_printf(b, "; mode = \"%04o\"; owner = ",
		    (unsigned)l->mode);
		print_string(b, l->owner);
		buf_puts(b, "; group = ");
		print_string(b, l->group);
		break;
	case CONF_LISTEN_FD:
		buf_printf(b, "fd = %d", l->fd);
		break;
	}
	buf_printf(b, "; backlog = %d; }", l->backlog);
	if (text.failed)
		b->failed = true;
	buf_fini(&text);
}

void
conf_print(const struct conf *c, struct buf *b)
{
	size_t i;

	print_options(c, b);
	buf_puts(b, "# where requests come in\nlisten = (\n");
	for (i = 0; i < c->nlisten; i++) {
		buf_putc(b, '\t');
		print_listener(&c->listen[i], b);
		buf_puts(b, i + 1 < c->nlisten ? ",\n" : "\n");
	}
	buf_puts(b, ");\n");
}

void
conf_print_one(const struct conf *c, const char *key, struct buf *b)
{
	const struct conf_option *o = conf_option_by_key(key);
	size_t i;

	if (o != NULL) {
		print_value(b, c, o);
		return;
	}
	buf_puts(b, "( ");
	for (i = 0; i < c->nlisten; i++) {
		print_listener(&c->listen[i], b);
		buf_puts(b, i + 1 < c->nlisten ? ", " : " )");
	}
}
