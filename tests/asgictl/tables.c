/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The tables that asgictl(8) tells of, as pieces of its source:
 *	tables commands|flags|results|metrics|fields
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/defs.h"
#include "ctl/ctl.h"

#define COLUMNS	78

/* A line of the source is no longer than that. */
static void
print_sentence(const char *text)
{
	struct buf b = BUF_INIT;
	const char *rest, *space;

	buf_printf(&b, "%c%s.", toupper((unsigned char)*text), text + 1);
	rest = buf_str(&b);
	while (strlen(rest) > COLUMNS &&
	    (space = memrchr(rest, ' ', COLUMNS)) != NULL) {
		printf("%.*s\n", (int)(space - rest), rest);
		rest = space + 1;
	}
	puts(rest);
	buf_fini(&b);
}

/* "ready|drained [TIMEOUT]" */
static void
print_arguments(const char *text)
{
	size_t i, n;
	bool choice;

	for (; *text != '\0'; text += n + (text[n] == ' ')) {
		n = strcspn(text, " ");
		choice = memchr(text, '|', n) != NULL;
		if (*text == '[') {
			printf(" Op Ar %.*s", (int)n - 2, text + 1);
			continue;
		}
		fputs(choice ? " Cm " : " Ar ", stdout);
		for (i = 0; i < n; i++)
			if (text[i] == '|')
				fputs(" | ", stdout);
			else
				putchar(text[i]);
	}
}

static void
print_command(const struct ctl_command *c)
{
	const char *sep = " Op";
	size_t i;

	printf(".It Ic %s", c->name);
	for (i = 0; i < CTL_NFLAGS; i++)
		if ((c->flags & (1u << i)) != 0) {
			printf("%s Fl %s", sep, ctl_flags[i].word + 1);
			sep = " |";
		}
	print_arguments(c->arguments);
	putchar('\n');
	print_sentence(c->text);
}

static void
print_commands(void)
{
	size_t i;

	for (i = 0; i < CTL_NCOMMANDS; i++)
		print_command(&ctl_commands[i]);
}

static void
print_flags(void)
{
	size_t i;

	for (i = 0; i < CTL_NFLAGS; i++)
		if (*ctl_flags[i].text != '\0') {
			printf(".It Fl %s\n", ctl_flags[i].word + 1);
			print_sentence(ctl_flags[i].text);
		}
}

static void
print_results(void)
{
	size_t i;

	for (i = 0; i < CTL_NRESULTS; i++)
		if (ctl_results[i].code < 200)
			printf(".It %d Ta \\- Ta %s\n", ctl_results[i].code,
			    ctl_results[i].text);
		else
			printf(".It %d Ta %d Ta %s\n", ctl_results[i].code,
			    ctl_results[i].exit, ctl_results[i].text);
}

/* ---- metrics ------------------------------------------------------------ */

static const struct metric {
	const char	*kind, *suffix, *family, *labels, *text;
} metrics[] = {
#define COUNTER(m, f, l, u, s, t)	{ "counter", "_total", f, l, t },
#define GAUGE(m, f, l, u, s, t)		{ "gauge", "", f, l, t },
#define PEAK(m, f, l, u, s, t)		{ "gauge", "", f, l, t },
#define HISTOGRAM(m, f, l, u, s, t)	{ "histogram", "", f, l, t },
#include "stats/counters.def"
};

/* class="2xx" as class=2xx */
static void
print_labels(const struct metric *m, const struct metric *end)
{
	const char *p;

	if (*m->labels == '\0')
		return;
	puts("Labels:");
	for (; m < end; m++) {
		fputs(".Li ", stdout);
		for (p = m->labels; *p != '\0'; p++)
			if (*p != '"')
				putchar(*p == ',' ? ' ' : *p);
		puts(m + 1 < end ? " ," : " .");
	}
}

static void
print_metrics(void)
{
	const struct metric *m = metrics, *next;

	for (; m < metrics + countof(metrics); m = next) {
		for (next = m + 1; next < metrics + countof(metrics) &&
		    strcmp(next->family, m->family) == 0; next++)
			;
		printf(".It Li asgid_%s%s Pq %s\n", m->family, m->suffix,
		    m->kind);
		print_sentence(m->text);
		print_labels(m, next);
	}
}

/* ---- fields of --json --------------------------------------------------- */

static const struct {
	const char	*name, *text;
} fields[] = {
#define FIELD(name, text)	{ #name, text },
#include "stats/fields.def"
};

static void
print_fields(void)
{
	size_t i;

	for (i = 0; i < countof(fields); i++) {
		printf(".It Li %s\n", fields[i].name);
		print_sentence(fields[i].text);
	}
}

/* ---- which one ---------------------------------------------------------- */

static const struct {
	const char	*name;
	void		(*print)(void);
} tables[] = {
	{ "commands", print_commands },
	{ "flags", print_flags },
	{ "results", print_results },
	{ "metrics", print_metrics },
	{ "fields", print_fields },
};

int
main(int argc, char *argv[])
{
	size_t i;

	for (i = 0; argc == 2 && i < countof(tables); i++)
		if (strcmp(tables[i].name, argv[1]) == 0) {
			tables[i].print();
			return 0;
		}
	fputs("usage: tables commands|flags|results|metrics|fields\n", stderr);
	return 2;
}
