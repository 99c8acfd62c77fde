/* SPDX-License-Identifier: BSD-3-Clause */
#include "asgictl/completion.h"

#include <string.h>

#include "base/defs.h"
#include "ctl/ctl.h"

/* Texts of the tables go between single quotes as they are: none has one. */

static const struct option {
	const char	*letter, *name, *value, *text;
} options[] = {
#define OPTION(l, n, v, t)	{ l, n, v, t },
#include "asgictl/options.def"
#undef OPTION
};

#define for_each_command(c) \
	for (c = ctl_commands; c < ctl_commands + CTL_NCOMMANDS; c++)
/* That the command takes. */
#define for_each_flag(f, c)						\
	for (f = ctl_flags; f < ctl_flags + CTL_NFLAGS; f++)		\
		if (((c)->flags & (1u << (f - ctl_flags))) != 0)

/* The first argument, when it is one of a few words: "ready drained". */
static void
print_choices(const struct ctl_command *c, struct buf *to)
{
	size_t i, n = strcspn(c->arguments, " ");

	if (memchr(c->arguments, '|', n) == NULL)
		return;
	for (i = 0; i < n; i++)
		buf_putc(to, c->arguments[i] == '|' ? ' ' : c->arguments[i]);
}

static void
print_names(struct buf *to)
{
	const struct ctl_command *c;

	for_each_command(c)
		buf_printf(to, "%s%s", c == ctl_commands ? "" : " ", c->name);
}

/* ---- bash --------------------------------------------------------------- */

static const char bash_head[] =
    "# bash completion for asgictl, made by \"asgictl completion bash\"\n"
    "_asgictl()\n"
    "{\n"
    "\tlocal i command= words= current=${COMP_WORDS[COMP_CWORD]}\n"
    "\tlocal -a where=()\n"
    "\n"
    "\tCOMPREPLY=()\n"
    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
    "\t\tcase ${COMP_WORDS[i]} in\n"
    "\t\t-[sc])\n"
    "\t\t\tif ((++i == COMP_CWORD)); then\n"
    "\t\t\t\tcompopt -o filenames 2>/dev/null\n"
    "\t\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
    "\t\t\t\treturn\n"
    "\t\t\tfi\n"
    "\t\t\twhere=(\"${COMP_WORDS[i - 1]}\" \"${COMP_WORDS[i]}\") ;;\n"
    "\t\t-*) ;;\n"
    "\t\t*)\tcommand=${COMP_WORDS[i]}\n"
    "\t\t\tbreak ;;\n"
    "\t\tesac\n"
    "\tdone\n"
    "\tcase $command in\n";

static const char bash_tail[] =
    "\tesac\n"
    "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
    "}\n"
    "complete -F _asgictl asgictl\n";

static void
bash_command(const struct ctl_command *c, struct buf *to)
{
	const struct ctl_flag *f;

	buf_printf(to, "\t%s)\n", c->name);
	if (c->flags != 0) {
		buf_puts(to, "\t\twords='");
		for_each_flag(f, c)
			buf_printf(to, " %s", f->word);
		buf_puts(to, "'\n");
	}
	if (*c->arguments != '\0') {
		buf_puts(to, "\t\t((COMP_CWORD > i + 1)) || words+=' ");
		if (c == &ctl_commands[CTL_help])
			print_names(to);
		else if (c == &ctl_commands[CTL_restart_worker])
			buf_puts(to, "'$(asgictl \"${where[@]}\" workers "
			    "2>/dev/null |\n\t\t    sed -n "
			    "'s/^ *\\([0-9][0-9]*\\) .*/\\1/p')'");
		else
			print_choices(c, to);
		buf_puts(to, "'\n");
	}
	buf_puts(to, "\t\t;;\n");
}

static void
print_bash(struct buf *to)
{
	const struct ctl_command *c;
	size_t i;

	buf_puts(to, bash_head);
	buf_puts(to, "\t'')\n\t\twords='");
	print_names(to);
	for (i = 0; i < countof(options); i++) {
		buf_printf(to, " -%s", options[i].letter);
		if (*options[i].name != '\0')
			buf_printf(to, " --%s", options[i].name);
	}
	buf_puts(to, "'\n\t\t;;\n");
	for_each_command(c)
		if (c->flags != 0 || *c->arguments != '\0')
			bash_command(c, to);
	buf_puts(to, bash_tail);
}

/* ---- zsh ---------------------------------------------------------------- */

static const char zsh_head[] =
    "#compdef asgictl\n"
    "# made by \"asgictl completion zsh\"\n"
    "_asgictl()\n"
    "{\n"
    "\tlocal curcontext=$curcontext state line\n"
    "\tlocal -a commands\n"
    "\tlocal -A opt_args\n"
    "\n"
    "\tcommands=(\n";

static void
zsh_command(const struct ctl_command *c, struct buf *to)
{
	const struct ctl_flag *f;

	buf_printf(to, "\t%s)\n\t\t_arguments", c->name);
	for_each_flag(f, c)
		buf_printf(to, " \\\n\t\t    '%s[%s]'", f->word, f->text);
	if (c == &ctl_commands[CTL_help])
		buf_puts(to, " \\\n\t\t    "
		    "'1:command:{_describe command commands}'");
	else if (c == &ctl_commands[CTL_restart_worker])
		buf_puts(to, " \\\n\t\t    \"1:worker:($(asgictl "
		    "${(kv)opt_args[(I)-[sc]]} workers 2>/dev/null |\n"
		    "\t\t\tsed -n 's/^ *\\([0-9][0-9]*\\) .*/\\1/p'))\"");
	else if (*c->arguments != '\0') {
		buf_puts(to, " \\\n\t\t    '1:argument:(");
		print_choices(c, to);
		buf_puts(to, ")'");
	}
	buf_puts(to, "\n\t\t;;\n");
}

static void
print_zsh(struct buf *to)
{
	const struct ctl_command *c;
	const struct option *o;

	buf_puts(to, zsh_head);
	for_each_command(c)
		buf_printf(to, "\t\t'%s:%s'\n", c->name, c->text);
	buf_puts(to, "\t)\n\t_arguments -C");
	for (o = options; o < options + countof(options); o++) {
		if (*o->name != '\0')
			buf_printf(to, " \\\n\t    '--%s[%s]'", o->name,
			    o->text);
		buf_printf(to, " \\\n\t    '-%s[%s]", o->letter, o->text);
		if (*o->value != '\0')
			buf_printf(to, ":%s:_files", o->value);
		buf_putc(to, '\'');
	}
	buf_puts(to, " \\\n\t    '1: :->command' '*:: :->argument'\n"
	    "\tcase $state in\n"
	    "\tcommand)\n"
	    "\t\t_describe command commands\n"
	    "\t\treturn ;;\n"
	    "\targument) ;;\n"
	    "\t*)\treturn ;;\n"
	    "\tesac\n"
	    "\tcase $words[1] in\n");
	for_each_command(c)
		if (c->flags != 0 || *c->arguments != '\0')
			zsh_command(c, to);
	buf_puts(to, "\tesac\n}\n_asgictl \"$@\"\n");
}

/* ---- fish --------------------------------------------------------------- */

static const char fish_head[] =
    "# made by \"asgictl completion fish\"\n"
    "\n"
    "# With a name: is it the command of the line? Without: is there one yet?\n"
    "function __asgictl_command\n"
    "    set -l words (commandline -opc)\n"
    "    set -e words[1]\n"
    "    while set -q words[1]\n"
    "        switch $words[1]\n"
    "            case -s -c\n"
    "                set -e words[1]\n"
    "            case '-*'\n"
    "            case '*'\n"
    "                test (count $argv) -eq 0; or test $words[1] = $argv[1]\n"
    "                return\n"
    "        end\n"
    "        set -e words[1]\n"
    "    end\n"
    "    return 1\n"
    "end\n"
    "\n"
    "# The words that say which asgid is meant.\n"
    "function __asgictl_where\n"
    "    set -l words (commandline -opc)\n"
    "    while set -q words[2]\n"
    "        if contains -- $words[1] -s -c\n"
    "            printf '%s\\n' $words[1..2]\n"
    "        end\n"
    "        set -e words[1]\n"
    "    end\n"
    "end\n"
    "\n"
    "complete -c asgictl -f\n";

static void
fish_command(const struct ctl_command *c, struct buf *to)
{
	const struct ctl_flag *f;

	buf_printf(to, "complete -c asgictl -n 'not __asgictl_command' "
	    "-a %s -d '%s'\n", c->name, c->text);
	for_each_flag(f, c)
		buf_printf(to, "complete -c asgictl -n '__asgictl_command %s' "
		    "-l %s -d '%s'\n", c->name, f->word + 2, f->text);
	if (*c->arguments == '\0')
		return;
	buf_printf(to, "complete -c asgictl -n '__asgictl_command %s' "
	    "-a '", c->name);
	if (c == &ctl_commands[CTL_help])
		print_names(to);
	else if (c == &ctl_commands[CTL_restart_worker])
		buf_puts(to, "(asgictl (__asgictl_where) workers "
		    "2>/dev/null | string match -rg \"^ *([0-9]+) \")");
	else
		print_choices(c, to);
	buf_puts(to, "'\n");
}

static void
print_fish(struct buf *to)
{
	const struct ctl_command *c;
	const struct option *o;

	buf_puts(to, fish_head);
	for (o = options; o < options + countof(options); o++) {
		buf_printf(to, "complete -c asgictl -n 'not "
		    "__asgictl_command' -s %s%s", o->letter,
		    *o->value != '\0' ? " -rF" : "");
		if (*o->name != '\0')
			buf_printf(to, " -l %s", o->name);
		buf_printf(to, " -d '%s'\n", o->text);
	}
	for_each_command(c)
		fish_command(c, to);
}

static const struct {
	const char	*name;
	void		(*print)(struct buf *);
} shells[] = {
	{ "bash", print_bash },
	{ "zsh", print_zsh },
	{ "fish", print_fish },
};

int
completion_print(const char *shell, struct buf *to)
{
	size_t i;

	for (i = 0; i < countof(shells); i++)
		if (strcmp(shells[i].name, shell) == 0) {
			shells[i].print(to);
			return 0;
		}
	return -1;
}
