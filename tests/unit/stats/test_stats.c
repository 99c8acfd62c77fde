/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Runs the suites of stats/.
 */
#include "test_stats.h"

#include <stdlib.h>

int
main(void)
{
	SRunner *runner = srunner_create(hist_suite());
	int failed;

	srunner_add_suite(runner, segment_suite());
	srunner_add_suite(runner, table_suite());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
