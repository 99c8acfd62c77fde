/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Runs the suites of stats/; with the name of a format prints what it makes of
 * an example, for render.sh.
 */
#include "test_stats.h"

#include <stdlib.h>

int
main(int argc, char *argv[])
{
	SRunner *runner;
	int failed;

	if (argc == 2)
		return render_print(argv[1]);
	runner = srunner_create(hist_suite());
	srunner_add_suite(runner, render_suite());
	srunner_add_suite(runner, segment_suite());
	srunner_add_suite(runner, table_suite());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
