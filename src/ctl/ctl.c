/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/ctl.h"

#include <sys/stat.h>

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/defs.h"

const struct ctl_flag ctl_flags[CTL_NFLAGS] = {
#define FLAG(id, w, t)	[CTL_FLAG_##id] = { .word = w, .text = t },
#include "ctl/flags.def"
#undef FLAG
};

#define F_JSON		CTL_F_JSON
#define F_OPENMETRICS	CTL_F_OPENMETRICS
#define F_PROMETHEUS	CTL_F_PROMETHEUS
#define F_NOW		CTL_F_NOW
#define F_DIFF		CTL_F_DIFF
#define READ		false
#define CHANGE		true

const struct ctl_command ctl_commands[CTL_NCOMMANDS] = {
#define COMMAND(id, n, f, a, lo, hi, c, t)				\
	[CTL_##id] = { .name = n, .flags = f, .arguments = a,		\
	    .min = lo, .max = hi, .changes = c, .text = t },
#include "ctl/commands.def"
#undef COMMAND
};

const struct ctl_result ctl_results[CTL_NRESULTS] = {
#define RESULT(id, c, e, t)	[CTL_R_##id] = { c, e, t },
#include "ctl/results.def"
#undef RESULT
};

/* ---- names -------------------------------------------------------------- */

bool
ctl_is_command(const char *name)
{
	size_t i;

	for (i = 0; i < CTL_NCOMMANDS; i++)
		if (strcmp(ctl_commands[i].name, name) == 0)
			return true;
	return false;
}

static void
nearest(const char *word, struct buf *why)
{
	unsigned d, best = (unsigned)strlen(word) / 2 + 1;
	const char *name = NULL;
	size_t i;

	for (i = 0; i < CTL_NCOMMANDS; i++)
		if ((d = str_distance(word, ctl_commands[i].name)) < best) {
			best = d;
			name = ctl_commands[i].name;
		}
	buf_printf(why, "%s: no such command", word);
	if (name != NULL)
		buf_printf(why, ", did you mean %s?", name);
	else
		buf_puts(why, ", try help");
}

const struct ctl_command *
ctl_find(const char *word, struct buf *why)
{
	const struct ctl_command *found = NULL;
	size_t i, n = strlen(word), matches = 0;

	for (i = 0; i < CTL_NCOMMANDS; i++) {
		if (strncmp(ctl_commands[i].name, word, n) != 0)
			continue;
		if (ctl_commands[i].name[n] == '\0')
			return &ctl_commands[i];
		found = &ctl_commands[i];
		matches++;
	}
	if (matches == 1 && n > 0)
		return found;
	if (matches == 0 || n == 0) {
		nearest(word, why);
		return NULL;
	}
	buf_printf(why, "%s: which one?", word);
	for (i = 0; i < CTL_NCOMMANDS; i++)
		if (strncmp(ctl_commands[i].name, word, n) == 0)
			buf_printf(why, " %s", ctl_commands[i].name);
	return NULL;
}

/* ---- help --------------------------------------------------------------- */

#define HELP_INDENT	34
#define HELP_ROOM	(79 - HELP_INDENT)

void
ctl_synopsis(const struct ctl_command *c, struct buf *to)
{
	const char *sep = " [";
	size_t i;

	buf_puts(to, c->name);
	for (i = 0; i < CTL_NFLAGS; i++) {
		if ((c->flags & (1u << i)) == 0)
			continue;
		buf_printf(to, "%s%s", sep, ctl_flags[i].word);
		sep = "|";
	}
	if (*sep == '|')
		buf_putc(to, ']');
	if (*c->arguments != '\0')
		buf_printf(to, " %s", c->arguments);
}

static void
indent(struct buf *to, size_t start)
{
	do
		buf_putc(to, ' ');
	while (to->len < start + HELP_INDENT && !to->failed);
}

static void
help_line(const struct ctl_command *c, struct buf *to)
{
	const char *text = c->text, *space;
	size_t start = to->len;

	buf_puts(to, "  ");
	ctl_synopsis(c, to);
	if (to->len - start >= HELP_INDENT) {
		buf_putc(to, '\n');
		start = to->len;
	}
	indent(to, start);
	while (strlen(text) > HELP_ROOM &&
	    (space = memrchr(text, ' ', HELP_ROOM + 1)) != NULL) {
		buf_put(to, text, (size_t)(space - text));
		buf_putc(to, '\n');
		indent(to, to->len);
		text = space + 1;
	}
	buf_printf(to, "%s\n", text);
}

void
ctl_help(const struct ctl_command *c, struct buf *to)
{
	size_t i;

	if (c == NULL) {
		for (i = 0; i < CTL_NCOMMANDS; i++)
			help_line(&ctl_commands[i], to);
		return;
	}
	ctl_synopsis(c, to);
	buf_printf(to, "\n  %s\n", c->text);
	for (i = 0; i < CTL_NFLAGS; i++)
		if ((c->flags & (1u << i)) != 0)
			buf_printf(to, "  %-15s %s\n", ctl_flags[i].word,
			    ctl_flags[i].text);
}

/* ---- requests ----------------------------------------------------------- */

static int
usage(const struct ctl_command *c, struct buf *why)
{
	buf_puts(why, "expected: ");
	ctl_synopsis(c, why);
	return -1;
}

static int
take_flag(struct ctl_request *r, const char *word, struct buf *why)
{
	unsigned flag;
	size_t i;

	for (i = 0; i < CTL_NFLAGS; i++)
		if (strcmp(ctl_flags[i].word, word) == 0)
			break;
	flag = i < CTL_NFLAGS ? 1u << i : 0;
	if ((flag & (r->command->flags | CTL_F_SILENT)) == 0) {
		buf_printf(why, "%s: %s is not for it, ", r->command->name,
		    word);
		return usage(r->command, why);
	}
	if ((flag & CTL_F_SILENT) == 0 && (r->flags & r->command->flags &
	    ~flag) != 0) {
		buf_printf(why, "%s: one flag at most, ", r->command->name);
		return usage(r->command, why);
	}
	r->flags |= flag;
	return 0;
}

/* Of a command whose first argument is one of few words. */
static int
check_choice(const struct ctl_request *r, struct buf *why)
{
	const char *names = r->command->arguments;
	size_t n = strcspn(names, " ");
	struct str rest = { names, n };
	const char *bar;

	if (r->nargs == 0 || memchr(names, '|', n) == NULL)
		return 0;
	while (rest.n > 0) {
		bar = memchr(rest.p, '|', rest.n);
		n = bar != NULL ? (size_t)(bar - rest.p) : rest.n;
		if (str_eq((struct str){ rest.p, n }, str_of(r->args[0])))
			return 0;
		if (bar != NULL)
			n++;
		rest.p += n;
		rest.n -= n;
	}
	buf_printf(why, "%s: ", r->args[0]);
	return usage(r->command, why);
}

/* A blank or a line end within a word would make two of it on the way; what is
 * not ASCII is no word of ours. */
static bool
is_word(const char *word)
{
	for (; *word != '\0'; word++)
		if ((unsigned char)*word <= ' ' || (unsigned char)*word >= 0x7f)
			return false;
	return true;
}

int
ctl_parse_words(struct ctl_request *r, const char *const *words, size_t n,
    struct buf *why)
{
	size_t i;

	*r = (struct ctl_request){ .command = NULL };
	if (n == 0 || n > CTL_WORDS_MAX) {
		buf_puts(why, n == 0 ? "a command is missing, try help" :
		    "too many words");
		return -1;
	}
	for (i = 0; i < n; i++)
		if (!is_word(words[i])) {
			buf_printf(why, "word %zu has characters that no word "
			    "has", i + 1);
			return -1;
		}
	if ((r->command = ctl_find(words[0], why)) == NULL)
		return -1;
	for (i = 1; i < n; i++) {
		if (strncmp(words[i], CTL_CONFIG, strlen(CTL_CONFIG)) == 0)
			r->config = words[i] + strlen(CTL_CONFIG);
		else if (strncmp(words[i], "--", 2) != 0)
			r->args[r->nargs++] = words[i];
		else if (take_flag(r, words[i], why) == -1)
			return -1;
	}
	if (r->nargs < r->command->min || r->nargs > r->command->max) {
		buf_printf(why, "too %s arguments, ", r->nargs <
		    r->command->min ? "few" : "many");
		return usage(r->command, why);
	}
	return check_choice(r, why);
}

int
ctl_parse_line(struct ctl_request *r, char *line, struct buf *why)
{
	/* one more than is allowed, so that it is noticed */
	const char *words[CTL_WORDS_MAX + 1];
	char *word, *state;
	size_t n = 0;

	for (word = strtok_r(line, " \t\r", &state);
	    word != NULL && n < countof(words);
	    word = strtok_r(NULL, " \t\r", &state))
		words[n++] = word;
	return ctl_parse_words(r, words, n, why);
}

int
ctl_file_id(const char *path, char id[CTL_FILE_ID_MAX])
{
	struct stat st;

	if (stat(path, &st) == -1)
		return -1;
	snprintf(id, CTL_FILE_ID_MAX, "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	return 0;
}

void
ctl_print_request(const struct ctl_request *r, struct buf *to)
{
	size_t i;

	buf_puts(to, r->command->name);
	for (i = 0; i < CTL_NFLAGS; i++)
		if ((r->flags & (1u << i)) != 0)
			buf_printf(to, " %s", ctl_flags[i].word);
	if (r->config != NULL)
		buf_printf(to, " " CTL_CONFIG "%s", r->config);
	for (i = 0; i < r->nargs; i++)
		buf_printf(to, " %s", r->args[i]);
	buf_putc(to, '\n');
}

/* ---- answers ------------------------------------------------------------ */

void
ctl_print_answer(struct buf *to, enum ctl_result_id id, struct str text)
{
	buf_printf(to, "%d %zu\n", ctl_results[id].code, text.n);
	buf_put(to, text.p, text.n);
}

int
ctl_parse_head(struct str head, int *code, size_t *length)
{
	const char *space = memchr(head.p, ' ', head.n);
	uint64_t number, size;

	if (head.n < 5 || space != head.p + 3 ||
	    str_to_uint((struct str){ head.p, 3 }, &number) == -1 ||
	    str_to_uint((struct str){ space + 1, head.n - 4 }, &size) == -1 ||
	    size > SSIZE_MAX)
		return -1;
	*code = (int)number;
	*length = (size_t)size;
	return 0;
}

int
ctl_exit_status(int code)
{
	size_t i;

	for (i = 0; i < CTL_NRESULTS; i++)
		if (ctl_results[i].code == code)
			return ctl_results[i].exit;
	return 1;
}
