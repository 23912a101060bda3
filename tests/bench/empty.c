/* SPDX-License-Identifier: Apache-2.0 */
/* A preloaded object that does nothing: what the loader itself costs. */
typedef int nothing;
