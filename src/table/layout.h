/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of the table: what the tool tells every shim of a pod, in one file that they all map.
 *
 *	+--------------------+  0
 *	| struct table_head  |  who made this file, and which area is current
 *	| struct table_note  |  at TABLE_NOTE_OFFSET: how the writer is, for people
 *	+--------------------+  area_offset[0]
 *	| area 0             |  one whole generation: a struct table_area and its sections
 *	+--------------------+  area_offset[1]
 *	| area 1             |  another
 *	+--------------------+  file_size
 *
 * The file has its full size from the start (posix_fallocate: a hole in a full tmpfs kills whoever touches it),
 * is linked into place whole, and never shrinks. New generations are written into the area that is not current,
 * because a process that has changed its root or its user cannot open a new file, but keeps its mapping.
 *
 * The writer (there is one: it holds flock(2) on DIR/lock):
 *	1. area.seq   := odd			readers of this area now fail their last step and start again
 *	2. the bytes of the area
 *	3. area.seq   := next even		store_release: pairs with the reader's step 2
 *	4. head.current := generation, area	store_release: pairs with the reader's step 1
 * Killed before 4, it leaves head.current at the last whole generation, in the other area. Its successor sees
 * an odd area.seq, or an even one that nothing points to, and writes that area anew.
 *
 * Step 2 need not touch every byte. The area that is not current holds the generation before the current one; where a
 * writer remembers what it stored to make the current one out of that, it stores it here too, and both areas say the same;
 * then what is new follows (writer_patch). Who does not remember, a successor or whoever published a whole generation,
 * copies the current area instead. Nothing moves, for room is left where a generation grows: behind the endpoints of each
 * port, behind those of the last port (for ports that outgrow their place), and behind the texts, up to area.size. Rows in
 * that room belong to nobody, and their bytes may be anything, such as the rows of endpoints that went.
 *
 * The reader (any number, anywhere, even in a signal handler):
 *	1. load_acquire(head.current)		which area
 *	2. load_acquire(area.seq)		odd: start again
 *	3. copy what it needs, word by word, each with load_acquire; every offset and count is bounded first
 *	4. load_acquire(area.seq)		differs from step 2: start again
 * After TABLE_TRIES turns it gives up, and the dial goes through as if there were no table. Each load of step 3 is an
 * acquire, so step 4 cannot be seen before them; each store of the writer's step 2 is a release, so whoever sees
 * one of those bytes in step 3 sees the odd number in step 4. What a reader has may be one generation ahead of head.current: whole,
 * and not named yet; or of a writer that died before it was. tests/model/table.pml has both protocols, and `make check-model`
 * proves this for a memory that knows no more order than these.
 *
 * What a reader believes is checked twice: against bounds, so that no byte pattern can make it crash, and
 * against sums, so that no damaged row can send a dial astray. Sums are no defence against somebody who may write the
 * file; its owner and mode are (see table/map.h).
 *
 * Two clocks tell how the writer is, and neither is part of a generation. head.heartbeat_ms: the list is vouched for, its
 * source was heard of; dials look at it, and pass through where it is too old. note.alive_ms: the process lives; only
 * people look at it, beside a text that says what it lacks. The text has a sequence number of its own, odd while it is
 * being written, and is read as an area is.
 *
 * Compatibility. Every section names the stride of its rows: new fields are appended to rows and heads, never
 * inserted, and a reader takes as many bytes of a row as it knows, the rest being zero. The sums of services, ports and
 * endpoints are over the whole row, as are those of heads over the whole head, so that a reader may check what it does not
 * know. TABLE_MINOR counts what was appended; a writer never changes a file of another minor number, but puts one of its
 * own in its place. A change that an older reader would misread raises TABLE_MAJOR, and older readers then pass the file
 * over.
 *	1.1  struct table_note; mesh_port
 *	1.2  struct table_tally, of either family of a port
 *
 * Byte order is that of the host: a table is never moved between machines.
 */
#ifndef FAIRDIAL_TABLE_LAYOUT_H
#define FAIRDIAL_TABLE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define TABLE_MAGIC 0x6c61696472696166u /* "fairdial" */
#define TABLE_MAJOR 1
#define TABLE_MINOR 2
#define TABLE_TRIES 8

#define TABLE_NAME_SIZE 64    /* a DNS label (RFC 1123: 63 bytes) and its NUL */
#define TABLE_SOURCE_SIZE 128 /* where the services come from, for people */
#define TABLE_MAX_PROBES 64   /* the writer chooses a seed under which no lookup looks at more slots */
#define TABLE_MAX_STRIDE 4096
#define TABLE_MAX_SIZE (1ull << 32)
#define TABLE_MAX_SLOTS (1u << 24)

/* What heads and rows of 1.0 have: the least that any table of this major version has. */
enum table_least_size {
	LEAST_AREA = 320,
	LEAST_KEY = 32,
	LEAST_NAME = 8,
	LEAST_SERVICE = 224,
	LEAST_PORT = 112,
	LEAST_ENDPOINT = 56,
	LEAST_ADDRESS = 24,
	LEAST_STRING = 8,
};

enum table_head_flags {
	TABLE_STATIC = 1, /* published once: has no heartbeat and never ages */
};

struct table_head {
	uint64_t magic;
	uint16_t major, minor;
	uint32_t head_size;
	uint64_t file_size;
	uint64_t instance;   /* random, new with every file that does not continue another; never 0 */
	uint8_t boot_id[16]; /* of the kernel whose CLOCK_BOOTTIME the heartbeat counts in; 0: unknown */
	uint64_t flags;
	uint64_t area_offset[2];
	uint64_t area_size;
	uint32_t rows;	  /* the ledger has a row for each endpoint slot below this */
	uint32_t cursors; /* and a cursor for each port slot below this */
	uint64_t sum;	  /* table_sum of all words before it */

	uint64_t zero[4];

	/* What changes, on a line of its own. */
	uint64_t current;      /* generation << 1 | area; 0: nothing published yet */
	uint64_t heartbeat_ms; /* CLOCK_BOOTTIME; until then the list is vouched for */
	uint64_t retired;      /* not 0: a file of the same name has taken over */
	uint64_t zero2[5];
};

#define TABLE_NOTE_OFFSET 192
#define TABLE_NOTE_SIZE	  480

/* How the writer is, for people. In files of 1.1 on, where head_size has room for it. */
struct table_note {
	uint64_t seq;	   /* of since_ms and text; odd: being written. The other words stand each for itself */
	uint64_t alive_ms; /* CLOCK_BOOTTIME; the writer lives, whatever its list is worth */
	uint64_t since_ms; /* CLOCK_REALTIME when this text was first set */
	char text[TABLE_NOTE_SIZE]; /* ends with NUL; empty: all is well */
	uint64_t delay_ms; /* from what caused the last change that told its time, to here; UINT64_MAX: none did */
};

struct table_section {
	uint32_t offset; /* from the start of the area; a multiple of 8 */
	uint32_t count;
	uint32_t stride; /* bytes a row; a multiple of 8 */
	uint32_t zero;
};

enum table_section_id {
	SECTION_KEYS,	   /* struct table_key: hash of (address, port, protocol), open addressing, 2^n slots */
	SECTION_NAMES,	   /* struct table_name: hash of (name, namespace), likewise */
	SECTION_SERVICES,  /* struct table_service, in the order of (namespace, name) */
	SECTION_PORTS,	   /* struct table_port */
	SECTION_ENDPOINTS, /* struct table_endpoint: of one port together, IPv4 first, in the order of addresses */
	SECTION_ADDRESSES, /* struct table_address */
	SECTION_STRINGS,   /* bytes, stride 8: NUL-terminated texts; offset 0 is the empty one. The last section */
	SECTION_COUNT
};

enum fairdial_mode {
	MODE_ON,
	MODE_OBSERVE, /* count and explain, change nothing */
	MODE_OFF,
	MODE_COUNT
};

/* client_peers: the rank is an ordinal, and how many there are is not known */
#define CLIENT_PEERS_UNKNOWN UINT32_MAX

struct table_area {
	uint64_t seq; /* odd: being written */
	uint64_t sum; /* table_sum of the words from `generation` to head_size */
	uint64_t generation;
	uint64_t seed;	       /* of both hash sections */
	uint64_t published_ms; /* CLOCK_REALTIME, for people */
	uint64_t size;	       /* bytes of this generation, from the start of the area, with the room that is left */
	uint32_t mode;	       /* enum fairdial_mode, over all services */
	uint32_t stale_after_ms;
	uint32_t client_rank; /* of this pod among the clients, below client_peers */
	uint32_t client_peers; /* 0: rank unknown; CLIENT_PEERS_UNKNOWN */
	uint32_t head_size;
	uint32_t zero;
	struct table_section section[SECTION_COUNT];
	char source[TABLE_SOURCE_SIZE];
	uint64_t strings_sum; /* of SECTION_STRINGS, whose texts are shown to people and decide nothing: for the checker */
	/* Since 1.1: */
	uint32_t mesh_port; /* the listener of a mesh sidecar that made Services stand down (STAND_DOWN_MESH); 0: none */
	uint32_t zero3;
};

enum balance {
	BALANCE_LEAST_CONN,
	BALANCE_ROUND_ROBIN,
	BALANCE_RANDOM,
	BALANCE_P2C,
	BALANCE_HASH,
	BALANCE_COUNT
};

enum headless { HEADLESS_ORDER, HEADLESS_ADDRESS, HEADLESS_COUNT };

enum drain { DRAIN_LEAVE, DRAIN_IDLE, DRAIN_DEADLINE, DRAIN_COUNT };

/* How one Service is dialed. Keys, forms and defaults: model/policy.c. */
struct table_policy {
	uint8_t mode;	  /* enum fairdial_mode */
	uint8_t balance;  /* enum balance */
	uint8_t headless; /* enum headless */
	uint8_t drain;	  /* enum drain */
	uint16_t attempts;
	uint16_t eject_percent;
	uint16_t eject_after;	       /* refusals in a row */
	uint16_t eject_timeouts_after; /* timeouts in a row */
	uint32_t connect_timeout_ms;
	uint32_t eject_for_ms;
	uint32_t eject_max_ms;
	uint32_t slow_start_ms;
	uint32_t drain_deadline_ms;
	uint32_t rebalance_ms; /* 0: off */
	uint32_t max_age_ms;   /* 0: off */
	uint32_t quiet_ms;
	uint32_t keepalive_ms; /* 0: off */
	uint64_t origin;       /* four bits a key, in the order of model/policy.c: enum policy_origin */
};

enum table_protocol { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, PROTOCOL_SCTP = 132 };

enum table_service_flags {
	SERVICE_BARE_NAME = 1,	 /* answers to its name alone: given by a services file */
	SERVICE_HEADLESS = 2,
	SERVICE_OWN_ADDRESS = 4, /* kube-proxy or somebody else serves its address too: a dial can be passed through */
	SERVICE_LOCAL = 8,	 /* internalTrafficPolicy: Local */
};

/* Why a Service is in the table but its dials pass through untouched. */
enum stand_down {
	STAND_DOWN_NO,
	STAND_DOWN_MESH,	/* a mesh sidecar in this pod must see the ClusterIP */
	STAND_DOWN_OTHER_PROXY, /* label service.kubernetes.io/service-proxy-name */
	STAND_DOWN_API,		/* default/kubernetes: the agent depends on it */
	STAND_DOWN_UNSYNCED,	/* not all of its slices are known yet */
	STAND_DOWN_COUNT
};

struct table_service {
	uint64_t sum; /* table_sum of the words after it, to the end of the row, then of its addresses' rows */
	char name[TABLE_NAME_SIZE];
	char namespace[TABLE_NAME_SIZE]; /* may be empty */
	uint32_t first_port, port_count;
	uint32_t first_address, address_count;
	uint32_t flags;
	uint32_t stand_down;
	uint32_t affinity_s; /* sessionAffinity ClientIP: its timeout; 0: none */
	uint32_t zero;
	struct table_policy policy; /* last: it may grow */
};

/*
 * Of the usable endpoints of one family of a port: what a policy would otherwise have to walk over all of them for. All zero
 * where none is usable, and in rows of 1.1.
 */
struct table_tally {
	uint64_t weight; /* of all together */
	uint32_t usable; /* their number */
	uint32_t heaviest; /* the weight of the heaviest */
	uint64_t oldest_ms, newest_ms; /* the least and the greatest added_ms */
};

struct table_port {
	uint64_t sum; /* table_sum of the words after it, to the end of the row */
	uint32_t service;
	uint32_t name;	       /* string; may be empty */
	uint32_t app_protocol; /* string; may be empty */
	uint32_t first_endpoint;
	uint32_t v4_count, v6_count; /* endpoints of each family */
	uint32_t cursor;	     /* slot in the ledger, kept across generations */
	uint32_t cursor_tag;	     /* never 0 */
	uint32_t flags;		     /* enum table_service_flags, of its Service */
	uint32_t stand_down;	     /* of its Service */
	uint32_t affinity_s;	     /* of its Service */
	uint16_t port;		     /* host order */
	uint8_t protocol;	     /* enum table_protocol */
	uint8_t zero;
	struct table_policy policy; /* of its Service; what it may get more follows the tallies */
};

/* A row of SECTION_PORTS, since 1.2. Apart, because a dial has little room for what it needs only a part of. */
struct table_port_row {
	struct table_port port;
	struct table_tally v4, v6;
};

enum table_endpoint_flags {
	ENDPOINT_READY = 1,
	ENDPOINT_SERVING = 2,
	ENDPOINT_TERMINATING = 4,
	ENDPOINT_USABLE = 8, /* what the rules of its Service leave to be dialed, here */
};

struct table_endpoint {
	uint8_t ip[16];
	uint16_t port_be;
	uint8_t is_v4;
	uint8_t zero;
	uint32_t slot;	   /* row in the ledger, kept across generations; one per address and port */
	uint32_t tag;	   /* of the instance, address and port: tells whether the row is this endpoint's; never 0 */
	uint16_t weight;   /* 1 or more; those of a port have no common divisor */
	uint16_t flags;	   /* enum table_endpoint_flags */
	uint32_t zone;	   /* string; may be empty */
	uint32_t node;	   /* string; may be empty */
	uint64_t added_ms; /* CLOCK_BOOTTIME since when it can be dialed, beside others; 0: before anybody looked */
	uint32_t given_weight; /* as the source has it, before the common divisor is taken out; for people */
	uint32_t check;	       /* of the whole row but this: whoever dials it makes sure of this row alone */
};

enum table_address_kind {
	ADDRESS_CLUSTER,   /* a ClusterIP, or given in a services file */
	ADDRESS_ALLOCATED, /* from --address-range: nobody else serves it */
};

struct table_address {
	uint8_t ip[16];
	uint8_t is_v4;
	uint8_t kind; /* enum table_address_kind */
	uint8_t zero[6];
};

struct table_key {
	uint8_t ip[16];
	uint16_t port_be;
	uint8_t protocol; /* 0: the slot is empty */
	uint8_t is_v4;
	uint32_t port;	/* row in SECTION_PORTS */
	uint32_t check; /* table_key_check of all before it */
	uint32_t zero;
};

enum { TABLE_NAME_BARE = 1u << 31 };

struct table_name {
	uint32_t hash;
	uint32_t service; /* 0: empty; else row + 1, with TABLE_NAME_BARE for an entry of the name alone */
};

_Static_assert(offsetof(struct table_head, sum) == 88, "head: fields may only be appended");
_Static_assert(offsetof(struct table_head, current) == 128, "head: the changing line");
_Static_assert(offsetof(struct table_head, retired) == 144, "head: the changing line");
_Static_assert(sizeof(struct table_head) == 192, "head: the changing line");
_Static_assert(offsetof(struct table_area, section) == 72, "area: fields may only be appended");
_Static_assert(offsetof(struct table_area, mesh_port) == LEAST_AREA, "area: fields may only be appended");
_Static_assert(sizeof(struct table_area) == 328, "area: fields may only be appended");
_Static_assert(sizeof(struct table_note) == 512, "note: fields may only be appended");
_Static_assert(TABLE_NOTE_OFFSET == sizeof(struct table_head), "note: behind the changing line");
_Static_assert(sizeof(struct table_policy) == 56, "policy is part of rows");
_Static_assert(sizeof(struct table_service) == 224, "service row");
_Static_assert(offsetof(struct table_port, policy) == 56, "port row");
_Static_assert(sizeof(struct table_port) == LEAST_PORT, "port row: fields may only be appended");
_Static_assert(sizeof(struct table_port_row) == 176, "port row");
_Static_assert(sizeof(struct table_tally) == 32, "tally is part of rows");
_Static_assert(sizeof(struct table_endpoint) == 56, "endpoint row");
_Static_assert(sizeof(struct table_address) == 24, "address row");
_Static_assert(sizeof(struct table_key) == 32, "key slot");
_Static_assert(sizeof(struct table_name) == 8, "name slot");

#endif
