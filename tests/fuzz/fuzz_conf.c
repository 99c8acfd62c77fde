/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Any text as a configuration: refused with a message, or accepted and then
 * printed so that it loads again to the same.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

/* libconfig 1.5 loses the string before a syntax error: not ours to mend. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig.so\n";
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf errors = BUF_INIT, first = BUF_INIT, second = BUF_INIT;
	struct conf *c, *again;
	char *text = malloc(size + 1);

	if (text == NULL)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	c = conf_from_text(text, "fuzz", &errors);
	if (c == NULL && errors.len == 0)
		abort();	/* refused without a reason */
	if (c != NULL) {
		conf_print(c, &first);
		again = conf_from_text(buf_str(&first), "printed", &errors);
		if (again == NULL) {
			fputs(buf_str(&errors), stderr);
			abort();
		}
		conf_print(again, &second);
		if (strcmp(buf_str(&first), buf_str(&second)) != 0)
			abort();
		conf_free(&again);
		conf_free(&c);
	}
	buf_fini(&errors);
	buf_fini(&first);
	buf_fini(&second);
	free(text);
	return 0;
}
