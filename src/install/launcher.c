/* SPDX-License-Identifier: Apache-2.0 */
#include "install/launcher.h"

__asm__(".pushsection .rodata\n"
	".balign 16\n"
	".globl launcher_begin, launcher_end\n"
	"launcher_begin:\n"
	".incbin \"" LAUNCHER_FILE "\"\n"
	"launcher_end:\n"
	".byte 0\n"
	".popsection\n");
