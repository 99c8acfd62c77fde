/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Where the lines of a log leave the process: a descriptor that others may
 * have too, and whose reader may have stopped.  Whoever writes here does not
 * wait for that reader: what a pipe, a terminal or a socket does not take at
 * once is dropped, and counted.  Files and devices are waited for, as any file
 * is.
 *
 * O_NONBLOCK belongs to what all who have the descriptor share, so it is not
 * touched; a pipe or terminal without it is asked for room first, and gets no
 * more than a pipe that has room takes at once.
 */
#ifndef BASE_OUTLET_H
#define BASE_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outlet_kind {
	OUTLET_UNKNOWN,		/* not looked at yet */
	OUTLET_FILE,		/* and devices */
	OUTLET_SOCKET,
	OUTLET_NONBLOCK,	/* a pipe or terminal with O_NONBLOCK */
	OUTLET_NOWAIT,		/* without; RWF_NOWAIT does (Linux 6.5) */
	OUTLET_POLL,		/* nor that */
};

struct outlet {
	int		 fd;		/* not ours; -1: none */
	enum outlet_kind kind;
	bool		 torn;		/* a line's end was dropped */
	bool		 stalled;	/* it had no room when last asked */
	uint64_t	 lost;		/* lines, until the owner has told */
};

#define OUTLET_INIT(fd)	{ (fd), OUTLET_UNKNOWN, false, false, 0 }

/* Lines, each with its end. How many were dropped, which are in `lost` too;
 * errno tells why: EAGAIN, nobody reads, or what write(2) said. */
size_t	 outlet_write(struct outlet *, const char *lines, size_t len);
/* Why lines of this one are lost, for who tells it later. */
const char *outlet_reason(const struct outlet *);
/* How many these are. */
size_t	 outlet_lines(const char *lines, size_t len);

#endif
