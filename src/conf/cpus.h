/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How many CPUs this process may use: what "auto" stands for.
 */
#ifndef CONF_CPUS_H
#define CONF_CPUS_H

/* The CPUs of our affinity, or what the control groups' quota allows, whichever
 * is less; at least 1. */
unsigned cpus_usable(void);

/* The quota alone, of version 1 or 2, rounded up; UINT_MAX: there is none.
 * /proc and what is mounted are looked for below `root`: "" but in tests. */
unsigned cpus_quota(const char *root);

#endif
