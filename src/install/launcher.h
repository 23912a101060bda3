/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher (launch/launch.c), which the tool carries, so that it can install from wherever it is. */
#ifndef FAIRDIAL_INSTALL_LAUNCHER_H
#define FAIRDIAL_INSTALL_LAUNCHER_H

extern const char launcher_begin[], launcher_end[];

#endif
