/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Closing what may take its time.
 */
#ifndef MASTER_ASIDE_H
#define MASTER_ASIDE_H

/* Close a socket in which somebody may have left descriptors whose close()
 * lingers, without waiting for it. */
void	 aside_close(int fd);

#endif
