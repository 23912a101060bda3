/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong around programs: lists, endpoints, agents, the shim's file, the disk, the ledger. */
#include "support/testing.h"

#include "chaos/chaos.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/moves.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"
#include "support/versions.h"

enum { MOST_WORDS = 200, AGENT_FILES = 40, AGENT_THREADS = 8 };
/* Rows and cursors that are in use lie at the beginning of theirs. */
enum { USED_ROWS = 32, USED_CURSORS = 8 };

/* Of an agent. */
enum { BORN_ELSEWHEN = 1, JUMPING, POOR };

/* ---- lists ---- */

static char *entry_of(const char *name, const struct place *own, const char *endpoints, const char *more)
{
	return format("{ \"name\": \"%s\", \"addresses\": [\"%s\"], \"ports\": [ { \"port\": %d } ], \"endpoints\": [ %s ], %s }",
		      name, own->address, own->port, endpoints, more);
}

/* Of each place two bits say what it is: in the list, with twice the weight, terminating or not there. The first one is. */
static char *endpoints_of(const struct place *places, size_t count, unsigned what)
{
	char *list = format("%s", "");

	for (size_t i = 0; i < count; i++) {
		static const char *const more[] = { "", ", \"weight\": 2", ", \"terminating\": true" };
		unsigned it = i ? what >> 2 * i & 3 : 0;

		if (it < 3)
			list = format("%s%s{ \"address\": \"%s\", \"port\": %d%s }", list, *list ? ", " : "", places[i].address,
				      places[i].port, more[it]);
	}
	return list;
}

#define EJECTS "\"eject_for\": \"200ms\", \"eject_max\": \"1s\""

#define MOVES "\"drain\": \"idle\", \"rebalance\": \"1s\", \"max_age\": \"3s\", " QUICK

void write_list(const struct stage *stage, unsigned web, unsigned numbers)
{
	const struct place *places = backends_places(stage->b);
	char *temporary = format("%s.new", stage->s->file), *text;

	text = format("{ \"services\": [ %s, %s, %s, %s ] }\n",
		      entry_of("web", &places[WEB], endpoints_of(places + NATIVE, ENDPOINTS, web),
			       "\"balance\": \"least_conn\", " EJECTS),
		      entry_of("turns", &places[TURNS], endpoints_of(places + NATIVE, ENDPOINTS, web ^ numbers << 3),
			       "\"balance\": \"round_robin\", " EJECTS),
		      entry_of("moved", &places[MOVED], endpoints_of(places + NATIVE, ENDPOINTS, web ^ numbers << 5),
			       "\"balance\": \"least_conn\", " MOVES ", " EJECTS),
		      entry_of("numbers", &stage->places[0], endpoints_of(stage->places + STEADY, PLACES - STEADY, numbers),
			       "\"balance\": \"p2c\", " MOVES ", " EJECTS));
	write_file(temporary, text, strlen(text));
	assert_int_equal(rename(temporary, stage->s->file), 0);
}

void change_list(struct stage *stage, const struct step *step)
{
	write_list(stage, step->a, step->b);
}

void flap(struct stage *stage, const struct step *step)
{
	unsigned i = STEADY + 1 + step->a % (PLACES - STEADY - 1);
	char *line = format("%s %u", stage->closed[i] ? "open" : "close", i + 1);

	process_say(stage->server, format("%s\n", line));
	assert_string_equal(process_line(stage->server, LIMIT_MS), line);
	stage->closed[i] = !stage->closed[i];
}

/* ---- agents ---- */

static const char *const *words_before_agent(unsigned peculiar)
{
	switch (peculiar % 4) {
	case BORN_ELSEWHEN:
		return with_env(NULL, "unshare", "-T", peculiar / 4 % 2 ? "--boottime=1000000" : "--boottime=100", NULL);
	case POOR:
		return with_env(NULL, "sh", "-c", format("ulimit -n %u; exec \"$@\"", 6 + peculiar / 4 % 12), "sh", NULL);
	default:
		return NULL;
	}
}

static const char *log_of(const struct stage *stage, unsigned agent)
{
	return format("%s/agent-%u.log", stage->s->root, agent);
}

/* As usual, or with a clock that began at another time, a wall clock that jumps, few descriptors. */
void start_agent(struct stage *stage, unsigned version, unsigned peculiar)
{
	static const char *const jumps[] = { "CLOCK_JUMP=86400", "CLOCK_JUMP=-1000000" };

	stage->log = log_of(stage, stage->agents++);
	stage->agent = agent_start_as(&(struct agent_setup){
		.dir = stage->s->dir,
		.program = version_file(stage->has_next && version % 2 ? NEXT : NOW, "fairdial"),
		.before = words_before_agent(peculiar),
		.more = ARGV("--services", stage->s->file),
		.log = stage->log,
		.env = peculiar % 4 == JUMPING ? ARGV(format("LD_PRELOAD=%s", stage->clock), jumps[peculiar / 4 % 2]) : NULL });
	stage->agent_stopped = false;
	stage->agent_excused = stage->full || peculiar % 4 == POOR;
}

unsigned agents_that_said(const struct stage *stage, const char *text)
{
	unsigned n = 0;

	for (unsigned i = 0; i < stage->agents; i++)
		n += access(log_of(stage, i), F_OK) == 0 && strstr(read_file(log_of(stage, i), NULL), text);
	return n;
}

const char *said_by_agent(const struct stage *stage)
{
	return access(stage->log, F_OK) ? "" : read_file(stage->log, NULL);
}

void wait_for_agent(struct stage *stage)
{
	long end = now_ms() + LIMIT_MS;

	while (!strstr(said_by_agent(stage), "published")) {
		if (now_ms() > end)
			fail_msg("an agent in peace has published nothing for a minute: %s", said_by_agent(stage));
		poll(NULL, 0, 20);
	}
	agent_wait_vouched(stage->agent, true);
}

/* One that never had room for its table, or too few descriptors, may give up, but not crash. */
void end_agent(struct stage *stage, int signal)
{
	struct agent_run *a = stage->agent;
	bool ended = process_has_ended(a->process);
	struct held held = { 0 };

	if (!ended)
		held = held_by(a->process->pid);
	if (held.files > AGENT_FILES || held.threads > AGENT_THREADS)
		fail_msg("an agent has %ld descriptors, %ld threads", held.files, held.threads);
	kill(-a->process->pid, SIGCONT);
	kill(-a->process->pid, signal);
	process_wait(a->process, LIMIT_MS);
	if (ended && (a->process->signal || !stage->agent_excused))
		fail_msg("an agent ended by itself, with exit status %d, signal %d: %s", a->process->exit_status,
			 a->process->signal, said_by_agent(stage));
	if (!ended && a->process->signal != signal && a->process->exit_status)
		fail_msg("an agent ended with exit status %d, signal %d: %s", a->process->exit_status, a->process->signal,
			 said_by_agent(stage));
}

void replace_agent(struct stage *stage, const struct step *step)
{
	end_agent(stage, step->a % 3 ? SIGKILL : SIGTERM);
	start_agent(stage, step->b, step->b / 2);
}

void stop_agent(struct stage *stage, const struct step *step)
{
	(void)step;
	if (!process_has_ended(stage->agent->process))
		kill(-stage->agent->process->pid, stage->agent_stopped ? SIGCONT : SIGSTOP);
	stage->agent_stopped = !stage->agent_stopped;
}

/* From when on it also knows what SIGHUP means. */
void hang_up(struct stage *stage, const struct step *step)
{
	(void)step;
	if (strstr(said_by_agent(stage), "published"))
		kill(-stage->agent->process->pid, SIGHUP);
}

/* ---- the shim, the disk and the ledger ---- */

void exchange_shim(struct stage *stage, const struct step *step)
{
	version_install(stage->has_next && step->a % 2 ? NEXT : NOW, stage->shim);
}

/* What is there stays, without the room for more. */
static bool set_disk(const struct stage *stage, unsigned long long bytes)
{
	return mount("chaos", stage->s->dir, "tmpfs", MS_REMOUNT, format("size=%llu", bytes)) == 0;
}

static unsigned long long bytes_used(const char *dir)
{
	struct statvfs disk;

	assert_int_equal(statvfs(dir, &disk), 0);
	return (unsigned long long)(disk.f_blocks - disk.f_bfree) * disk.f_bsize;
}

/* Tables and ledgers that are there have all their bytes already, so half of the time there is no ledger any more. */
void fill_disk(struct stage *stage, const struct step *step)
{
	long end = now_ms() + LIMIT_MS;

	stage->full = !stage->full;
	if (!stage->full) {
		assert_true(set_disk(stage, DISK_BYTES));
		return;
	}
	stage->agent_excused = true;
	while (!set_disk(stage, bytes_used(stage->s->dir))) /* others take of it, too */
		if (now_ms() > end)
			fail_msg("cannot fill the disk: %s", strerror(errno));
	if (step->a % 2)
		lose_ledger(stage, step);
}

/* Offset of a word of the ledger. Its size stays, and its first word: without that it is a stranger's file. */
static uint64_t some_word(const struct ledger_head *head, uint64_t *random)
{
	uint64_t where = next_random(random) >> 33, at = next_random(random) >> 33;

	switch (where % 4) {
	case 0:
		return 8 + at % (sizeof(*head) / 8 - 1) * 8;
	case 1:
		return head->cursors_offset + at % ((uint64_t)USED_CURSORS * head->cursor_size / 8) * 8;
	case 2:
		return head->rows_offset + at % ((uint64_t)USED_ROWS * head->row_size / 8) * 8;
	default:
		return 8 + at % (head->file_size / 8 - 1) * 8;
	}
}

/*
 * Values that have another tag than their row are worth nothing. So half of what is written keeps the upper half of the word, and
 * is a value that is believed: any, a little more or less than it was, or one of another row.
 */
static uint64_t some_value(int fd, const struct ledger_head *head, uint64_t was, uint64_t *random)
{
	uint64_t how = next_random(random) >> 33, any = next_random(random), other = 0;

	switch (how % 6) {
	case 0:
		return (was & ~0xffffffffull) | (any & 0xffffffffu);
	case 1:
		return (was & ~0xffffffffull) | (uint32_t)(was + any % 200 - 100);
	case 2:
		return (was & ~0xffffffffull) | (any & 1 ? 0xffffffffu : 0x7fffffffu);
	case 3:
		return pread(fd, &other, 8, (off_t)some_word(head, random)) == 8 ? other : 0;
	case 4:
		return any & 1 ? 0 : ~0ull;
	default:
		return any;
	}
}

/* The head, counts, times, cursors, and now and then what nobody uses. */
void scribble(struct stage *stage, const struct step *step)
{
	uint64_t random = step->a | 1;
	int fd = open(stage->s->ledger, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return;
	assert_int_equal(fstat(fd, &st), 0);
	for (unsigned i = step->b % MOST_WORDS; i && (uint64_t)st.st_size == stage->ledger.file_size; i--) {
		uint64_t at = some_word(&stage->ledger, &random), word = 0;

		assert_int_equal(pread(fd, &word, 8, (off_t)at), 8);
		word = some_value(fd, &stage->ledger, word, &random);
		assert_int_equal(pwrite(fd, &word, 8, (off_t)at), 8);
	}
	close(fd);
}

void lose_ledger(struct stage *stage, const struct step *step)
{
	(void)step;
	unlink(stage->s->ledger);
}

