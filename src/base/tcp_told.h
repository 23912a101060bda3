/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel tells of a connection (tcp(7), TCP_INFO): its struct tcp_info as <linux/tcp.h> has it, up to what this project
 * reads. That header cannot be included beside <netinet/tcp.h>, whose struct of the same name ends earlier in some C libraries.
 * The kernel only ever adds at the end, and a shorter length says what an older one does not have.
 */
#ifndef FAIRDIAL_BASE_TCP_TOLD_H
#define FAIRDIAL_BASE_TCP_TOLD_H

#include <stddef.h>
#include <stdint.h>

struct tcp_told {
	uint8_t state; /* TCP_ESTABLISHED and its like */
	uint8_t ca_state;
	uint8_t retransmits;
	uint8_t probes;
	uint8_t backoff;
	uint8_t options;
	uint8_t scales; /* bit fields, as the next */
	uint8_t flags;

	uint32_t rto; /* us, as all but the times below */
	uint32_t ato;
	uint32_t snd_mss;
	uint32_t rcv_mss;

	uint32_t unacked; /* segments, as the next four */
	uint32_t sacked;
	uint32_t lost;
	uint32_t retrans;
	uint32_t fackets;

	uint32_t last_data_sent_ms; /* ago; in whole ticks of the kernel, which are 1 to 10 ms; both start when it is established */
	uint32_t last_ack_sent_ms;  /* always 0 */
	uint32_t last_data_recv_ms;
	uint32_t last_ack_recv_ms;

	uint32_t pmtu;
	uint32_t rcv_ssthresh;
	uint32_t rtt;
	uint32_t rttvar;
	uint32_t snd_ssthresh;
	uint32_t snd_cwnd;
	uint32_t advmss;
	uint32_t reordering;

	uint32_t rcv_rtt;
	uint32_t rcv_space;

	uint32_t total_retrans;

	uint64_t pacing_rate;
	uint64_t max_pacing_rate;
	uint64_t bytes_acked; /* the SYN counts as one; Linux 4.1, as the next */
	uint64_t bytes_received;
	uint32_t segs_out; /* Linux 4.2, as the next */
	uint32_t segs_in;

	uint32_t notsent_bytes; /* Linux 4.6, as all that follow */
	uint32_t min_rtt;
	uint32_t data_segs_in;
	uint32_t data_segs_out; /* each time that one is sent */
};

_Static_assert(offsetof(struct tcp_told, rto) == 8, "struct tcp_info");
_Static_assert(offsetof(struct tcp_told, unacked) == 24, "struct tcp_info");
_Static_assert(offsetof(struct tcp_told, last_data_sent_ms) == 44, "struct tcp_info");
_Static_assert(offsetof(struct tcp_told, last_data_recv_ms) == 52, "struct tcp_info");
_Static_assert(offsetof(struct tcp_told, total_retrans) == 100, "struct tcp_info");
_Static_assert(offsetof(struct tcp_told, pacing_rate) == 104, "struct tcp_info");
_Static_assert(offsetof(struct tcp_told, bytes_acked) == 120, "struct tcp_info");
_Static_assert(offsetof(struct tcp_told, segs_out) == 136, "struct tcp_info");
_Static_assert(offsetof(struct tcp_told, notsent_bytes) == 144, "struct tcp_info");
_Static_assert(offsetof(struct tcp_told, data_segs_in) == 152, "struct tcp_info");
_Static_assert(sizeof(struct tcp_told) == 160, "struct tcp_info up to tcpi_data_segs_out");

#endif
