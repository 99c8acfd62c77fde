/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The name of the application, module:attribute: what no import can find, and
 * what was probably meant.
 */
#include "conf/conf_priv.h"

#include <string.h>

#include "base/str.h"

/* Names between dots, none of them empty? */
static bool
is_dotted(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] == '.' && (i == 0 || s.p[i - 1] == '.'))
			return false;
	return s.n > 0 && s.p[s.n - 1] != '.';
}

static bool
has_blank(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return true;
	return false;
}

/* Cut off a beginning or an end, if it is there. */
static bool
cut(struct str *s, struct str part, bool at_end)
{
	if (s->n <= part.n || memcmp(at_end ? s->p + s->n - part.n : s->p,
	    part.p, part.n) != 0)
		return false;
	s->p += at_end ? 0 : part.n;
	s->n -= part.n;
	return true;
}

/* The folder that cannot be part of a module's name: of an absolute path,
 * or of one that leads upward. */
static struct str
outer_folder(struct str path)
{
	const char *slash = memrchr(path.p, '/', path.n);

	if (slash == NULL || (*path.p != '/' &&
	    (path.n < 3 || memcmp(path.p, "../", 3) != 0)))
		return STR("");
	return (struct str){ path.p, (size_t)(slash + 1 - path.p) };
}

bool
conf_app_meant(const char *app, struct buf *to)
{
	const char *colon = strchr(app, ':');
	struct str path = { app, colon != NULL ? (size_t)(colon - app) :
	    strlen(app) }, folder;
	bool is_file = cut(&path, STR(".py"), true);
	struct buf module = BUF_INIT;
	bool known;
	size_t i;

	while (cut(&path, STR("./"), false))
		;
	is_file |= memchr(path.p, '/', path.n) != NULL;
	folder = outer_folder(path);
	for (i = folder.n; i < path.n; i++)
		buf_putc(&module, path.p[i] == '/' ? '.' : path.p[i]);
	known = is_file && !has_blank(app) && is_dotted(str_of(
	    buf_str(&module)));
	if (known)
		buf_printf(to, "%s:%s", buf_str(&module), colon != NULL &&
		    colon[1] != '\0' ? colon + 1 : "app");
	if (known && folder.n > 0)
		buf_printf(to, " with app_dir = \"" STR_FMT "\"",
		    STR_ARG(folder));
	buf_fini(&module);
	return known;
}

const char *
conf_app_fault(const char *app)
{
	const char *colon = strchr(app, ':');

	if (colon == NULL || colon == app || colon[1] == '\0')
		return "not of the form module:attribute";
	if (strchr(app, '/') != NULL)
		return "the path of a file, not the name of a module";
	if (has_blank(app))
		return "there is a blank in it";
	if (!is_dotted((struct str){ app, (size_t)(colon - app) }) ||
	    !is_dotted(str_of(colon + 1)))
		return "a name is missing beside a dot";
	return NULL;
}
