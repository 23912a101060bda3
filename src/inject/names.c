/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/names.h"

#include <string.h>

bool names_our_container(const char *name)
{
	return strcmp(name, NAME_INSTALL) == 0 || strcmp(name, NAME_AGENT) == 0;
}

bool names_our_volume(const char *name)
{
	return strcmp(name, VOLUME_BIN) == 0 || strcmp(name, VOLUME_RUN) == 0 || strcmp(name, VOLUME_TOKEN) == 0 ||
	       strcmp(name, VOLUME_CONFIG) == 0;
}
