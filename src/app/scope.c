/* SPDX-License-Identifier: BSD-3-Clause */
#include "py/py.h"
#include "app/scope.h"

#include <string.h>

#include "base/defs.h"
#include "py/names.h"

/*
 * Header fields repeat from request to request: a direct-mapped cache of the
 * (name, value) tuples spares three allocations a field.  Tuples and bytes
 * are immutable, so sharing them between requests is invisible.
 */
#define CACHE_SIZE	512		/* a power of two */
#define CACHE_VALUE_MAX	256

static struct {
	PyObject	*template;	/* every key, in order */
	PyObject	*asgi;		/* copied, since it is mutable */
	PyObject	*state;		/* borrowed from lifespan */
	PyObject	*empty;		/* b"" */
	const char	*root_path;
	size_t		 root_len;
	PyObject	*fields[CACHE_SIZE];
} self;

/* ---- small values ------------------------------------------------------- */

static PyObject *
ascii(const char *p, size_t n)
{
	PyObject *s = PyUnicode_New((Py_ssize_t)n, 127);

	if (s != NULL && n > 0)
		memcpy(PyUnicode_1BYTE_DATA(s), p, n);
	return s;
}

static PyObject *
bytes_of(struct str s)
{
	if (s.n == 0)
		return py_ref(self.empty);
	return PyBytes_FromStringAndSize(s.p, (Py_ssize_t)s.n);
}

static PyObject *
method_of(struct str m)
{
	PyObject *const known[] = { names.GET, names.POST, names.HEAD,
	    names.PUT, names.DELETE, names.PATCH, names.OPTIONS };
	size_t i;

	for (i = 0; i < countof(known); i++)
		if ((size_t)PyUnicode_GET_LENGTH(known[i]) == m.n &&
		    memcmp(PyUnicode_1BYTE_DATA(known[i]), m.p, m.n) == 0)
			return py_ref(known[i]);
	return ascii(m.p, m.n);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decode; whatever is no %XX stays. */
static PyObject *
decode_path(const char *p, size_t n)
{
	char small[512] = "", *to = small;
	size_t i, len = 0;
	PyObject *path;
	int hi, lo;

	if (n > sizeof(small) && (to = PyMem_Malloc(n)) == NULL)
		return PyErr_NoMemory();
	for (i = 0; i < n; i++) {
		if (p[i] == '%' && i + 2 < n && (hi = hex_value(p[i + 1])) >= 0
		    && (lo = hex_value(p[i + 2])) >= 0) {
			to[len++] = (char)(hi << 4 | lo);
			i += 2;
		} else
			to[len++] = p[i];
	}
	path = PyUnicode_DecodeUTF8(to, (Py_ssize_t)len, "replace");
	if (to != small)
		PyMem_Free(to);
	return path;
}

static PyObject *
path_of(struct str raw)
{
	PyObject *path;

	if (raw.n == 1 && raw.p[0] == '/')
		path = py_ref(names.slash);
	else if (memchr(raw.p, '%', raw.n) == NULL)
		path = ascii(raw.p, raw.n);
	else
		path = decode_path(raw.p, raw.n);
	if (path != NULL && self.root_len > 0)
		py_set(&path, PyUnicode_FromFormat("%s%U", self.root_path,
		    path));
	return path;
}

static PyObject *
raw_path_of(struct str raw)
{
	PyObject *b;

	if (self.root_len == 0)
		return bytes_of(raw);
	b = PyBytes_FromStringAndSize(NULL,
	    (Py_ssize_t)(self.root_len + raw.n));
	if (b != NULL) {
		memcpy(PyBytes_AS_STRING(b), self.root_path, self.root_len);
		memcpy(PyBytes_AS_STRING(b) + self.root_len, raw.p, raw.n);
	}
	return b;
}

/* ---- header fields ------------------------------------------------------ */

/* FNV-1a, seeded by nothing: a collision costs a miss, not a chain. */
static uint32_t
hash_field(const struct http_field *f)
{
	uint32_t h = 2166136261u;
	size_t i;

	for (i = 0; i < f->name.n; i++)
		h = (h ^ (unsigned char)f->name.p[i]) * 16777619u;
	for (i = 0; i < f->value.n; i++)
		h = (h ^ (unsigned char)f->value.p[i]) * 16777619u;
	return h ^ h >> 15;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool
same_lower(PyObject *name, struct str s)
{
	const char *p = PyBytes_AS_STRING(name);
	size_t i;

	if ((size_t)PyBytes_GET_SIZE(name) != s.n)
		return false;
	for (i = 0; i < s.n; i++)
		if (p[i] != lower(s.p[i]))
			return false;
	return true;
}

static bool
same_field(PyObject *tuple, const struct http_field *f)
{
	PyObject *value = PyTuple_GET_ITEM(tuple, 1);

	return (size_t)PyBytes_GET_SIZE(value) == f->value.n &&
	    memcmp(PyBytes_AS_STRING(value), f->value.p, f->value.n) == 0 &&
	    same_lower(PyTuple_GET_ITEM(tuple, 0), f->name);
}

static PyObject *
make_field(const struct http_field *f)
{
	PyObject *name, *value, *tuple = PyTuple_New(2);
	size_t i;

	if (tuple == NULL)
		return NULL;
	name = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)f->name.n);
	value = bytes_of(f->value);
	PyTuple_SET_ITEM(tuple, 0, name);
	PyTuple_SET_ITEM(tuple, 1, value);
	if (name == NULL || value == NULL) {
		Py_DECREF(tuple);
		return NULL;
	}
	for (i = 0; i < f->name.n; i++)
		PyBytes_AS_STRING(name)[i] = lower(f->name.p[i]);
	return tuple;
}

/* Credentials are not kept beyond their request. */
static bool
is_secret(struct str name)
{
	return str_ieq(name, STR("cookie")) ||
	    str_ieq(name, STR("authorization")) ||
	    str_ieq(name, STR("proxy-authorization"));
}

static PyObject *
field_of(const struct http_field *f)
{
	PyObject **slot, *tuple;

	if (f->value.n > CACHE_VALUE_MAX || is_secret(f->name))
		return make_field(f);
	slot = &self.fields[hash_field(f) & (CACHE_SIZE - 1)];
	if (*slot != NULL && same_field(*slot, f))
		return py_ref(*slot);
	if ((tuple = make_field(f)) != NULL)
		py_set(slot, py_ref(tuple));
	return tuple;
}

static PyObject *
headers_of(const struct http_req *req)
{
	PyObject *list = PyList_New((Py_ssize_t)req->nfields), *tuple;
	size_t i;

	for (i = 0; list != NULL && i < req->nfields; i++) {
		if ((tuple = field_of(&req->fields[i])) == NULL)
			py_drop(&list);
		else
			PyList_SET_ITEM(list, (Py_ssize_t)i, tuple);
	}
	return list;
}

/* ---- the two ends, kept with the connection ----------------------------- */

static PyObject *
host_port(const struct sock_addr *a)
{
	char host[SOCK_HOST_MAX];
	int port = sock_host(a, host);

	return Py_BuildValue("(si)", host, port);
}

/* (client, server) */
static PyObject *
ends_of(struct http_ends *ends)
{
	char path[SOCK_HOST_MAX];
	PyObject *client, *server;

	if (ends->user != NULL)
		return ends->user;
	if (sock_is_unix(ends->local)) {
		sock_host(ends->local, path);
		client = py_ref(Py_None);
		/* a name of a file, as os.fsdecode() has it: any bytes */
		server = Py_BuildValue("(NO)", PyUnicode_DecodeFSDefault(path),
		    Py_None);
	} else {
		client = host_port(&ends->peer);
		server = host_port(ends->local);
	}
	if (client != NULL && server != NULL)
		ends->user = PyTuple_Pack(2, client, server);
	Py_XDECREF(client);
	Py_XDECREF(server);
	return ends->user;
}

void
scope_forget(struct http_ends *ends)
{
	Py_CLEAR(ends->user);
}

/* ---- the dict ----------------------------------------------------------- */

static PyObject *
state_copy(void)
{
	return self.state != NULL && PyDict_GET_SIZE(self.state) > 0 ?
	    PyDict_Copy(self.state) : PyDict_New();
}

/* Steals value. */
static int
put(PyObject *dict, PyObject *key, PyObject *value)
{
	int rc = value != NULL ? PyDict_SetItem(dict, key, value) : -1;

	Py_XDECREF(value);
	return rc;
}

PyObject *
scope_new(const struct http_req *req)
{
	PyObject *ends = ends_of(req->ends), *d;

	if (ends == NULL || (d = PyDict_Copy(self.template)) == NULL)
		return NULL;
	if (put(d, names.asgi, PyDict_Copy(self.asgi)) == -1 ||
	    (req->minor == 0 && PyDict_SetItem(d, names.http_version,
	    names.v1_0) == -1) ||
	    put(d, names.server, py_ref(PyTuple_GET_ITEM(ends, 1))) == -1 ||
	    put(d, names.client, py_ref(PyTuple_GET_ITEM(ends, 0))) == -1 ||
	    put(d, names.method, method_of(req->method)) == -1 ||
	    put(d, names.path, path_of(req->path)) == -1 ||
	    put(d, names.raw_path, raw_path_of(req->path)) == -1 ||
	    put(d, names.query_string, bytes_of(req->query)) == -1 ||
	    put(d, names.headers, headers_of(req)) == -1 ||
	    put(d, names.state, state_copy()) == -1 ||
	    put(d, names.extensions, PyDict_New()) == -1)
		py_drop(&d);
	return d;
}

int
scope_init(const struct conf *conf, const struct app *app, PyObject *state)
{
	PyObject *const order[] = { names.type, names.asgi,
	    names.http_version, names.server, names.client, names.scheme,
	    names.root_path, names.headers, names.state, names.method,
	    names.path, names.raw_path, names.query_string,
	    names.extensions };
	size_t i;

	self.state = state;
	self.root_path = conf->root_path;
	self.root_len = strlen(conf->root_path);
	self.empty = PyBytes_FromStringAndSize(NULL, 0);
	/* 2.4 is the version in which send() began to raise */
	self.asgi = Py_BuildValue("{OsOO}", names.version, app->version,
	    names.spec_version, conf->application_send_after_disconnect ==
	    CONF_LOST_IGNORE ? names.v2_3 : names.v2_5);
	self.template = PyDict_New();
	if (self.empty == NULL || self.asgi == NULL || self.template == NULL)
		return -1;
	for (i = 0; i < countof(order); i++)
		if (PyDict_SetItem(self.template, order[i], Py_None) == -1)
			return -1;
	if (PyDict_SetItem(self.template, names.type, names.http) == -1 ||
	    PyDict_SetItem(self.template, names.http_version,
	    names.v1_1) == -1 ||
	    PyDict_SetItem(self.template, names.scheme, names.http) == -1)
		return -1;
	return put(self.template, names.root_path,
	    PyUnicode_DecodeUTF8(conf->root_path,
	    (Py_ssize_t)self.root_len, "replace"));
}

void
scope_fini(void)
{
	size_t i;

	for (i = 0; i < CACHE_SIZE; i++)
		Py_CLEAR(self.fields[i]);
	self.state = NULL;
	Py_CLEAR(self.template);
	Py_CLEAR(self.asgi);
	Py_CLEAR(self.empty);
}
