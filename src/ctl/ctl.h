/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the daemon's control socket and asgictl say to one another.
 *
 * A request is one line of words.  An answer is "NNN LENGTH\n" and LENGTH
 * bytes of text; NNN is one of results.def.  A connection may carry one
 * request after the other.  "stop" ends with the connection.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

#define CTL_LINE_MAX	1024	/* of a request, with its line end */
#define CTL_HEAD_MAX	32	/* of an answer's first line */
#define CTL_WORDS_MAX	8

/* ---- commands ----------------------------------------------------------- */

enum ctl_command_id {
#define COMMAND(id, ...)	CTL_##id,
#include "ctl/commands.def"
#undef COMMAND
	CTL_NCOMMANDS
};

enum ctl_flag_id {
#define FLAG(id, ...)		CTL_FLAG_##id,
#include "ctl/flags.def"
#undef FLAG
	CTL_NFLAGS
};

/* Sets of flags. */
enum {
#define FLAG(id, ...)		CTL_F_##id = 1 << CTL_FLAG_##id,
#include "ctl/flags.def"
#undef FLAG
};

/* asgictl says these of itself, with any command: how to answer, not what is
 * asked for. */
#define CTL_F_SILENT	(CTL_F_COLOR | CTL_F_PROGRESS)

struct ctl_flag {
	const char	*word, *text;	/* text "": not for people */
};

struct ctl_command {
	const char	*name;
	unsigned	 flags;		/* that it takes, one at a time */
	const char	*arguments;
	unsigned	 min, max;	/* arguments */
	bool		 changes;	/* and is logged */
	const char	*text;
};

extern const struct ctl_flag	 ctl_flags[CTL_NFLAGS];
extern const struct ctl_command	 ctl_commands[CTL_NCOMMANDS];

/* A whole name. */
bool	 ctl_is_command(const char *name);
/* By its name or the clear beginning of it; NULL with one line in `why`. */
const struct ctl_command *ctl_find(const char *word, struct buf *why);
/* "stop [--now]": name, flags and arguments. */
void	 ctl_synopsis(const struct ctl_command *, struct buf *);
/* One line a command; of one command (not NULL) its synopsis, text and
 * flags. */
void	 ctl_help(const struct ctl_command *, struct buf *);

/* ---- requests ----------------------------------------------------------- */

struct ctl_request {
	const struct ctl_command *command;
	unsigned	 flags;
	const char	*args[CTL_WORDS_MAX];	/* of the words given */
	unsigned	 nargs;
	const char	*config;	/* of whom, or NULL; see CTL_CONFIG */
};

/*
 * Which asgid is meant, with any command: "--config=DEVICE:INODE" of the file
 * that it reads.  One that reads another, or none, refuses: two asgid may be
 * configured to have the same socket.
 */
#define CTL_CONFIG		"--config="
#define CTL_FILE_ID_MAX		48
/* "DEVICE:INODE" of what the path leads to now. 0, or -1 with errno. */
int	 ctl_file_id(const char *path, char id[CTL_FILE_ID_MAX]);

/* Names may be cut as long as they are clear ("restart" for
 * "restart-worker"). 0, or -1 with one line in `why`, which says what was
 * expected. */
int	 ctl_parse_words(struct ctl_request *, const char *const *words,
	    size_t n, struct buf *why);
/* The same of a line without its end; the words stay in it, it is cut up. */
int	 ctl_parse_line(struct ctl_request *, char *line, struct buf *why);
/* The line of a request, with its end. */
void	 ctl_print_request(const struct ctl_request *, struct buf *);

/* ---- answers ------------------------------------------------------------ */

enum ctl_result_id {
#define RESULT(id, ...)		CTL_R_##id,
#include "ctl/results.def"
#undef RESULT
	CTL_NRESULTS
};

struct ctl_result {
	int		 code, exit;
	const char	*text;
};

extern const struct ctl_result	 ctl_results[CTL_NRESULTS];

/* Head and text of an answer. */
void	 ctl_print_answer(struct buf *, enum ctl_result_id, struct str text);
/* "NNN LENGTH" without its line end: 0, or -1 if it is not one. */
int	 ctl_parse_head(struct str, int *code, size_t *length);
/* What asgictl exits with; 1 for a code that is not known. */
int	 ctl_exit_status(int code);

#endif
