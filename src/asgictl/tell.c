/* SPDX-License-Identifier: BSD-3-Clause */
#include "asgictl/tell.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int		 error, status;
	const char	*text;
} problems[] = {
	{ ENOENT, STATUS_NOT_RUNNING, "asgid is not running" },
	{ ECONNREFUSED, STATUS_NOT_RUNNING, "asgid is not running" },
	{ EACCES, STATUS_DENIED, "not permitted" },
	{ EPERM, STATUS_DENIED, "not permitted" },
	{ ETIMEDOUT, STATUS_TIMEOUT, "asgid does not answer" },
	{ ENOTSOCK, STATUS_FAILED, "not a socket" },
	{ ENODATA, STATUS_FAILED,
	    "the connection was closed without an answer" },
	{ EPROTO, STATUS_FAILED, "the answer ends too early" },
	{ EBADMSG, STATUS_FAILED, "that is not an answer of asgid" },
	{ EMSGSIZE, STATUS_FAILED, "the answer is too long" },
};

void
tell_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("asgictl: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

int
tell_errno(const char *what)
{
	size_t i;

	for (i = 0; i < countof(problems); i++)
		if (problems[i].error == errno) {
			tell_error("%s: %s", what, problems[i].text);
			return problems[i].status;
		}
	tell_error("%s: %s", what, strerror(errno));
	return STATUS_FAILED;
}

int
tell_text(const struct buf *text)
{
	if (!text->failed &&
	    fwrite(buf_str(text), 1, text->len, stdout) == text->len &&
	    fflush(stdout) == 0)
		return STATUS_OK;
	if (text->failed)
		errno = ENOMEM;
	return tell_errno("standard output");
}
