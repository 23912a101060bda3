/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program whose file is anybody's, as `fairdial check PROGRAM` reads it: an ELF file, a script, or neither. Read through a
 * descriptor or in memory it is the same; what is told of it lies within its bounds and is fit for a terminal.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "inspect/elf.h"
#include "inspect/elf_code.h"
#include "inspect/elf_links.h"
#include "inspect/findings.h"
#include "inspect/libraries.h"
#include "inspect/preloads.h"
#include "inspect/program.h"

static bool is_plain(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return len < size;
}

/* Texts of others: ASCII alone. */
static bool is_shown(const char *text, size_t size)
{
	for (const char *at = text; at < text + size && *at; at++)
		if (*at < ' ' || *at > '~')
			return false;
	return is_plain(text, size);
}

static bool is_hexadecimal(const char *text)
{
	return strspn(text, "0123456789abcdef") == strlen(text);
}

/* ---- the file ---- */

static void identify(int fd, const void *bytes, size_t size)
{
	struct elf_kind kind, same;
	int r = elf_identify_fd(fd, &kind);

	FUZZ_HOLDS(r == elf_identify_bytes(bytes, size, &same));
	FUZZ_HOLDS(r == 0 || r == -ENOEXEC || r == -EBADMSG);
	if (r < 0)
		return;
	FUZZ_HOLDS(kind.linkage < ELF_LINKAGES && kind.linkage == same.linkage && kind.is_go == same.is_go);
	FUZZ_HOLDS(elf_is_same_machine(&kind, &same) && elf_machine_name(&kind));
	FUZZ_HOLDS(strnlen(kind.interpreter, ELF_INTERPRETER_SIZE) < ELF_INTERPRETER_SIZE);
	FUZZ_HOLDS(strcmp(kind.interpreter, same.interpreter) == 0);
}

static void link_to(int fd)
{
	struct elf_links *links = malloc(sizeof(*links));
	int r = links ? elf_links_fd(fd, links) : -ENOMEM;

	FUZZ_HOLDS(r == 0 || r == -ENOTSUP || r == -ENOEXEC || r == -EBADMSG || r == -EFBIG);
	if (r == 0) {
		FUZZ_HOLDS(links->needed_len <= sizeof(links->needed));
		FUZZ_HOLDS(links->needed_len == 0 || links->needed[links->needed_len - 1] == '\0');
		FUZZ_HOLDS(strnlen(links->search, sizeof(links->search)) < sizeof(links->search));
		FUZZ_HOLDS(is_shown(links->version, sizeof(links->version)) && is_hexadecimal(links->build_id));
	}
	free(links);
}

/* The bytes as instructions, of either machine, at the end of what may be read. */
static void run_code(const uint8_t *code, size_t size)
{
	struct code_calls calls = { .slots = { 0x4000, 0x4008 }, .slot_count = 2 };

	code_makes_call(true, code, size, 42);
	code_makes_call(false, code, size, 203);
	code_find_stubs(&calls, code, size, 0x1000);
	FUZZ_HOLDS(calls.stub_count <= CODE_STUBS);
	for (size_t i = 0; i < calls.stub_count; i++)
		FUZZ_HOLDS(calls.stubs[i] >= 0x1000 && calls.stubs[i] < 0x1000 + size);
	code_passes_bit(&calls, code, size, 0x1000, 8);
}

/* ---- the program, and what check says of it ---- */

static void find(const struct program *program, const struct preloads *preloads)
{
	struct check_facts *facts = calloc(1, sizeof(*facts));
	struct findings *findings = calloc(1, sizeof(*findings));
	struct libraries libraries;

	if (!facts || !findings)
		abort();
	libraries_find_missing("/proc/self/exe", &program->file, preloads, &libraries);
	FUZZ_HOLDS(is_shown(libraries.names, sizeof(libraries.names)));
	facts->program = program;
	facts->file = &program->file;
	facts->preloads = preloads;
	facts->libraries = &libraries;
	facts->arguments = facts->shim_shown = facts->shim_path = facts->shim_version = "";
	facts->table.error = -ENOENT;
	findings_make(facts, findings);
	for (size_t i = 0; i < findings->count; i++) {
		FUZZ_HOLDS(is_plain(findings->at[i].what, sizeof(findings->at[i].what)) && findings->at[i].what[0]);
		FUZZ_HOLDS(is_plain(findings->at[i].remedy, sizeof(findings->at[i].remedy)));
	}
	free(facts);
	free(findings);
}

static void look(const char *path)
{
	static const struct preloads none;
	char *const command[] = { (char *)path, NULL };
	struct program *program = calloc(1, sizeof(*program));
	int r = program ? program_look(command, program) : -ENOMEM;

	FUZZ_HOLDS(r <= 0 && r != -ENOMEM);
	FUZZ_HOLDS(program->step_count <= sizeof(program->steps) / sizeof(program->steps[0]));
	FUZZ_HOLDS(is_shown(program->shown, sizeof(program->shown)));
	for (size_t i = 0; i < program->step_count; i++)
		FUZZ_HOLDS(is_shown(program->steps[i].from, sizeof(program->steps[i].from)) &&
			   is_shown(program->steps[i].to, sizeof(program->steps[i].to)));
	if (r == 0)
		find(program, &none);
	free(program);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = fuzz_copy(data, size, false);
	int fd = memfd_create("program", MFD_CLOEXEC);
	char path[64];

	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	identify(fd, bytes, size);
	link_to(fd);
	run_code(bytes, size);
	look(path);
	close(fd);
	free(bytes);
	return 0;
}
