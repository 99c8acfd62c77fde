/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Runs the suites of base/.
 */
#include "test_base.h"

#include <signal.h>
#include <stdlib.h>

int
main(void)
{
	SRunner *runner = srunner_create(buf_suite());
	int failed;

	signal(SIGPIPE, SIG_IGN);
	srunner_add_suite(runner, date_suite());
	srunner_add_suite(runner, heap_suite());
	srunner_add_suite(runner, json_suite());
	srunner_add_suite(runner, list_suite());
	srunner_add_suite(runner, outlet_suite());
	srunner_add_suite(runner, sock_suite());
	srunner_add_suite(runner, str_suite());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
