/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The configuration: one immutable struct made from one table.
 *
 * options.def is the only place where a scalar option exists; the member of
 * struct conf is the option's key with '.' replaced by '_'
 * ("timeouts.keep_alive" is conf->timeouts_keep_alive).  Strings are never
 * NULL: an option that is not set is "".
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mono.h"

enum conf_lost { CONF_LOST_RAISE, CONF_LOST_IGNORE };
enum conf_lifespan { CONF_LIFESPAN_AUTO, CONF_LIFESPAN_ON, CONF_LIFESPAN_OFF };
enum conf_interface { CONF_ASGI_AUTO, CONF_ASGI3, CONF_ASGI2 };

enum conf_listen_kind { CONF_LISTEN_TCP, CONF_LISTEN_UNIX, CONF_LISTEN_FD };

/* Where a value comes from. */
enum conf_origin {
	CONF_BY_DEFAULT, CONF_BY_FILE, CONF_BY_ENVIRONMENT, CONF_BY_CMDLINE
};

struct conf_source {
	enum conf_origin origin;
	/* of the file, the variable, the option; "": the command line as a
	 * whole. Lives as long as the configuration. */
	const char	*name;
	unsigned	 line;		/* of the file; 0: all of it */
};

/* One element of `listen`. */
struct conf_listen {
	enum conf_listen_kind kind;
	char		*host;		/* TCP: name or address; "" is all */
	unsigned	 port;		/* TCP: 0 is any free one */
	char		*path;		/* UNIX */
	mode_t		 mode;		/* UNIX */
	char		*owner, *group;	/* UNIX, "" keeps the process's */
	int		 fd;		/* inherited descriptor */
	int		 backlog;
	struct conf_source source;
};

/* Strings, in the order they were given. */
struct conf_list {
	char		**at;
	size_t		 n;
};

/* C types of the option types used in options.def. */
typedef char		*conf_string_t;
typedef bool		 conf_bool_t;
typedef int64_t		 conf_int_t;
typedef uint64_t	 conf_size_t;		/* bytes */
typedef nsec_t		 conf_duration_t;	/* nanoseconds; 0 is off */
/* A hundred years: two of them and the time of day make no overflow. */
#define CONF_DURATION_MAX	(876000 * (3600 * NSEC_PER_SEC))
typedef unsigned	 conf_mode_t;		/* octal in the file */
typedef int		 conf_enum_t;
typedef struct conf_list conf_list_t;
/* A number, or "auto": the CPUs we may use; <= 0 stands for auto. */
typedef int64_t		 conf_count_t;

struct conf {
#define OPTION(key, member, type, ...)	conf_##type##_t member;
#include "conf/options.def"
#undef OPTION
	struct conf_listen *listen;
	size_t		 nlisten;
	char		*file;		/* where it came from, or "" */
	struct conf_source *sources;	/* one an option */
	struct conf_list names;		/* of the sources, each once */
};

/* What the command line asked for. */
enum conf_action {
	CONF_RUN,
	CONF_CHECK,		/* -t */
	CONF_PRINT,		/* -T */
	CONF_VERSION,
	CONF_HELP,
};

/*
 * The whole way: defaults, then the file (-c FILE), then the environment
 * (WEB_CONCURRENCY), then the command line (later wins), then the checks
 * across options.  On failure NULL is returned and every problem stands in
 * `errors`, one line each ("/etc/asgid.conf:12: timeouts.haeder: unknown
 * option, did you mean timeouts.header?"); *usage tells that the command line
 * was at fault (exit status 2 instead of 6); a last line then points to
 * --help.
 */
struct conf *conf_from_argv(int argc, char *const argv[],
	    enum conf_action *, struct buf *errors, bool *usage);

/* From a file's text (worker: the master's memfd; reload: the file).
 * `name` is used in messages. NULL on failure, as above. */
struct conf *conf_from_text(const char *text, const char *name,
	    struct buf *errors);

/* How a changed option takes effect; grows with the effort. */
enum conf_class {
	CONF_SAME,
	CONF_LIVE,		/* at once */
	CONF_WORKER,		/* with new workers */
	CONF_RESTART,		/* only with a new master */
};
typedef void conf_diff_f(const char *key, enum conf_class, void *arg);
/* Calls back for every option (and for "listen") that differs; the highest
 * class among them. */
enum conf_class conf_diff(const struct conf *from, const struct conf *to,
	    conf_diff_f *, void *arg);
/* Options of class CONF_RESTART get the value they have in `from`; before
 * anybody uses `to`. 0, or -1 with errno. */
int	 conf_keep_fixed(struct conf *to, const struct conf *from);

/* Who set this option. */
const struct conf_source *conf_source(const struct conf *, const char *key);
/* "asgid.conf:12", "--port", "$WEB_CONCURRENCY"; nothing for a default. */
void	 conf_source_text(const struct conf_source *, struct buf *);
/* One line, as all errors are told: "asgid.conf:12: user: no such user: joe".
 * Source and key may be NULL. */
void	 conf_complain(struct buf *, const struct conf_source *,
	    const char *key, const char *fmt, ...) PRINTF(4, 5);

/* An element of `listen` for people and for comparing: "127.0.0.1:80",
 * "unix:/x", "fd:3". */
void	 conf_listen_text(const struct conf_listen *, struct buf *);

/* The effective configuration in loadable syntax. */
void	 conf_print(const struct conf *, struct buf *);
/* One option's value in the same syntax, on one line; "listen" too. */
void	 conf_print_one(const struct conf *, const char *key, struct buf *);
/* The text of --help. */
void	 conf_usage(struct buf *);
/* Frees it and NULLs the pointer. */
void	 conf_free(struct conf **);

/* Lists of one's own: add a copy of a string, replace all by copies of
 * another's; 0, or -1 with errno. */
int	 conf_list_add(struct conf_list *, const char *);
int	 conf_list_copy(struct conf_list *to, const struct conf_list *from);
void	 conf_list_clear(struct conf_list *);
bool	 conf_list_same(const struct conf_list *, const struct conf_list *);

/* What makes module:attribute a name that no import can find, or NULL. */
const char *conf_app_fault(const char *app);
/* Where it looks like a file's path, the name that was probably meant. */
bool	 conf_app_meant(const char *app, struct buf *);

/* workers.count with "auto" resolved, at least 1. */
unsigned conf_workers(const struct conf *);

/* The path of the control socket with "auto" resolved, "" for none; to be
 * freed. NULL with errno. Two files of different names have two; those that
 * still meet there tell one another apart by CTL_CONFIG. */
char	*conf_control_socket(const struct conf *);

#endif
