/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Elements of `listen`: making them, reading an address, naming them.
 */
#include "conf/conf_priv.h"

#include <arpa/inet.h>

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

void
conf_listen_drop(struct conf *c)
{
	struct conf_listen *l = &c->listen[--c->nlisten];

	free(l->host);
	free(l->path);
	free(l->owner);
	free(l->group);
}

void
conf_listen_clear(struct conf *c)
{
	while (c->nlisten > 0)
		conf_listen_drop(c);
	free(c->listen);
	c->listen = NULL;
}

struct conf_listen *
conf_listen_add(struct conf_parse *p, const struct conf_source *where)
{
	struct conf *c = p->conf;
	struct conf_listen *l;

	l = reallocarray(c->listen, c->nlisten + 1, sizeof(*l));
	if (l == NULL) {
		p->nomem = true;
		return NULL;
	}
	c->listen = l;
	l += c->nlisten++;
	*l = (struct conf_listen){
		.kind = CONF_LISTEN_TCP,
		.host = conf_strdup(p, ""),
		.path = conf_strdup(p, ""),
		.mode = CONF_UNIX_MODE,
		.owner = conf_strdup(p, ""),
		.group = conf_strdup(p, ""),
		.fd = -1,
		.backlog = CONF_BACKLOG,
		.source = conf_keep_source(p, where),
	};
	return p->nomem ? NULL : l;
}

static int
bad_address(struct conf_parse *p, const struct conf_listen *l,
    const char *key, const char *text, const char *why)
{
	conf_error(p, &l->source, key, "\"%s\": %s", text, why);
	return -1;
}

/* Letters, digits and the few signs of names, addresses and scopes. */
static bool
plausible_host(const char *host, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((unsigned char)host[i] <= ' ' || host[i] == 0x7f ||
		    strchr("[]/\"'\\,;@*?#", host[i]) != NULL)
			return false;
	return true;
}

static bool
is_ipv6(const char *host, size_t n)
{
	const char *scope = memchr(host, '%', n);
	char text[INET6_ADDRSTRLEN];
	struct in6_addr in6;

	if (scope != NULL)
		n = (size_t)(scope - host);
	if (n >= sizeof(text))
		return false;
	memcpy(text, host, n);
	text[n] = '\0';
	return inet_pton(AF_INET6, text, &in6) == 1;
}

int
conf_listen_host(struct conf_parse *p, struct conf_listen *l,
    const char *host, size_t len)
{
	char *copy;

	if (len == 1 && *host == '*')
		len = 0;
	if (!plausible_host(host, len) ||
	    (memchr(host, ':', len) != NULL && !is_ipv6(host, len)))
		return -1;
	if ((copy = strndup(host, len)) == NULL) {
		p->nomem = true;
		return 0;
	}
	free(l->host);
	l->host = copy;
	l->kind = CONF_LISTEN_TCP;
	return 0;
}

int
conf_listen_address(struct conf_parse *p, struct conf_listen *l,
    const char *key, const char *text)
{
	const char *host = text, *colon = strrchr(text, ':');
	const char *end = colon;
	uint64_t port;

	if (*text == '/' || strncmp(text, "unix:", 5) == 0)
		return bad_address(p, l, key, text, "not an address; a "
		    "UNIX socket is written { unix = \"/path\"; }");
	if (*text == '[') {
		host++;
		end = strchr(text, ']');
		if (end == NULL)
			return bad_address(p, l, key, text, "']' is missing");
		if (end[1] != ':')
			return bad_address(p, l, key, text,
			    "the port is missing: [address]:port");
		colon = end + 1;
		if (!is_ipv6(host, (size_t)(end - host)))
			return bad_address(p, l, key, text,
			    "no IPv6 address between the brackets");
	} else if (colon == NULL) {
		return bad_address(p, l, key, text,
		    "the port is missing: address:port");
	} else if (memchr(text, ':', (size_t)(colon - text)) != NULL) {
		return bad_address(p, l, key, text,
		    "an IPv6 address needs brackets: [address]:port");
	}
	if (str_to_uint(str_of(colon + 1), &port) == -1 || port > 65535)
		return bad_address(p, l, key, text,
		    "the port is not 0 to 65535");
	if (conf_listen_host(p, l, host, (size_t)(end - host)) == -1)
		return bad_address(p, l, key, text,
		    "not a host name or an address");
	l->port = (unsigned)port;
	return 0;
}

void
conf_listen_text(const struct conf_listen *l, struct buf *b)
{
	switch (l->kind) {
	case CONF_LISTEN_TCP:
		buf_printf(b, strchr(l->host, ':') != NULL ?
		    "[%s]:%u" : "%s:%u", l->host, l->port);
		break;
	case CONF_LISTEN_UNIX:
		buf_printf(b, "unix:%s", l->path);
		break;
	case CONF_LISTEN_FD:
		buf_printf(b, "fd:%d", l->fd);
		break;
	}
}
