/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Shared by the files of this folder only: the table of options, and a
 * configuration in the making with its errors.
 */
#ifndef CONF_CONF_PRIV_H
#define CONF_CONF_PRIV_H

#include "conf/conf.h"

#include <sys/un.h>

/* One identifier an option: OPT_workers_count indexes the table. */
enum conf_option_id {
#define OPTION(key, member, ...)	OPT_##member,
#include "conf/options.def"
#undef OPTION
	CONF_NOPTIONS
};

enum conf_type {
	CONF_T_string, CONF_T_bool, CONF_T_int, CONF_T_size, CONF_T_duration,
	CONF_T_mode, CONF_T_enum, CONF_T_count, CONF_T_list,
};

struct conf_option {
	const char		*key;
	enum conf_type		 type;
	size_t			 offset;	/* in struct conf */
	union {
		const char	*text;		/* string, list: a,b */
		int64_t		 number;	/* all others */
	} def;
	int64_t			 min, max;	/* max 0: no bounds */
	const char *const	*names;		/* enum, NULL ends */
	enum conf_class		 class;
	const char		*cmdline;	/* "" is none */
	const char		*text;
};

extern const struct conf_option conf_options[CONF_NOPTIONS];
extern const char *const conf_log_formats[];	/* NULL ends */

static inline void *
conf_member(struct conf *c, const struct conf_option *o)
{
	return (char *)c + o->offset;
}

static inline const void *
conf_const_member(const struct conf *c, const struct conf_option *o)
{
	return (const char *)c + o->offset;
}

/* A configuration in the making. */
struct conf_parse {
	struct conf	*conf;
	struct buf	*errors;
	unsigned	 nerrors;
	unsigned	 nhints;	/* that were looked for */
	bool		 usage;		/* an error of the command line */
	bool		 outside;	/* look at what the values name, too */
	bool		 nomem;
	bool		 bad[CONF_NOPTIONS];	/* given, and refused */
};

/* A value as it was given, before it is known what was expected. */
enum conf_kind {
	CONF_K_INT, CONF_K_FLOAT, CONF_K_STRING, CONF_K_BOOL,
	CONF_K_GROUP, CONF_K_LIST,
	CONF_K_TEXT,		/* command line: a value of any type */
};

struct conf_value {
	enum conf_kind	 kind;
	int64_t		 number;	/* int, bool */
	double		 real;
	const char	*text;		/* string, text */
	const struct conf_list *list;	/* list of strings; else NULL */
};

/* conf.c */
int	 conf_parse_init(struct conf_parse *, struct buf *errors);
/* The finished configuration, checked, or NULL; conf_parse_fini() is still to
 * be called. */
struct conf *conf_parse_finish(struct conf_parse *);
void	 conf_parse_fini(struct conf_parse *);
/* One line, see conf_complain(). */
void	 conf_error(struct conf_parse *, const struct conf_source *where,
	    const char *key, const char *fmt, ...) PRINTF(4, 5);
/* The same with a name that lives as long as the configuration. */
struct conf_source conf_keep_source(struct conf_parse *,
	    const struct conf_source *);
/* A copy that is never NULL unless p->nomem is set. */
char	*conf_strdup(struct conf_parse *, const char *);
const struct conf_option *conf_option_by_key(const char *);
/* The value of the table again; 0, or -1 when out of memory. */
int	 conf_set_default(struct conf *, const struct conf_option *);

/* value.c */
/* Convert, check the bounds and store; 0, or -1 after conf_error(). */
int	 conf_set(struct conf_parse *, const struct conf_option *,
	    const struct conf_value *, const struct conf_source *where);
int	 conf_set_text(struct conf_parse *, const struct conf_option *,
	    const char *text, const struct conf_source *where);
/* "the string \"x\"", for messages. */
void	 conf_describe(const struct conf_value *, char *, size_t);
/* Octal digits up to 0777: 0, or -1. */
int	 conf_to_mode(const char *, unsigned *);

/* list.c */
/* Add the words between commas; 0, or -1 with errno. */
int	 conf_list_split(struct conf_list *, const char *);

/* Nearest of many names to a wrong one, fed one by one. */
struct conf_nearest {
	const char	*wrong;		/* NULL: too many were wrong already */
	char		 best[48];	/* "": nothing is near */
	unsigned	 distance;
};
struct conf_nearest conf_nearest_to(struct conf_parse *, const char *wrong);
void	 conf_nearest(struct conf_nearest *, const char *name);
/* ", did you mean X?" or "" */
void	 conf_hint(const struct conf_nearest *, char *, size_t);

/* listen.c */
#define CONF_LISTEN_MAX	256
#define CONF_BACKLOG	2048
#define CONF_BACKLOG_MAX	65535
#define CONF_UNIX_MODE	0660
#define CONF_UNIX_PATH_MAX	\
	(sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)
/* A new element with its defaults; NULL when out of memory. */
struct conf_listen *conf_listen_add(struct conf_parse *,
	    const struct conf_source *where);
void	 conf_listen_clear(struct conf *);
/* Take back the one added last: it has an error. */
void	 conf_listen_drop(struct conf *);
/* "host:port" into the element; 0, or -1 after conf_error() with that key. */
int	 conf_listen_address(struct conf_parse *, struct conf_listen *,
	    const char *key, const char *text);
int	 conf_listen_host(struct conf_parse *, struct conf_listen *,
	    const char *host, size_t len);

/* load.c */
int	 conf_load_file(struct conf_parse *, const char *path);
int	 conf_load_text(struct conf_parse *, const char *text,
	    const char *name);

/* scan.c */
/* What libconfig must not see is found, and too much of anything: 0, or -1
 * after conf_error(). */
int	 conf_scan(struct conf_parse *, const char *text, const char *name);
/* NULL with errno, whose text is conf_file_error()'s. */
char	*conf_read_file(const char *path);
const char *conf_file_error(int error);

/* syntax.c */
/* The first mistake in a text that libconfig refuses at that line
 * (`duplicates`: for that reason): its own line, and what it is.  False: not
 * seen; one behind libconfig's line is another one. */
bool	 conf_syntax_look(const char *text, bool duplicates, unsigned *line,
	    struct buf *why);

/* check.c */
void	 conf_check(struct conf_parse *);

#endif
