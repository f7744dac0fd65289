/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A frame from the wire: what is it, and what becomes of it? The same for XDP and tc, which include packet_xdp.h or
 * packet_skb.h first. Questions are answered in place; a flow's packet is not written to here, its row is handed out.
 */
#ifndef FAIRLEAD_JUDGE_H
#define FAIRLEAD_JUDGE_H

#include "answer.h"
#include "icmp_error.h"
#include "probe.h"
#include "reject.h"

/* Questions are answered; an error about a flow goes where the flow goes. */
static __always_inline __u32 judge_icmp(struct visit *v, struct packet *p, struct flow **f)
{
	*f = find_quoted_flow(p, packet_data(v->ctx), packet_data_end(v->ctx));
	if (!*f)
		return answer_icmp(v, p);
	v->service_id = (*f)->service_id;
	v->backend_id = (*f)->backend_id;
	return VERDICT_TRANSLATED_ICMP;
}

/*
 * A switch that has forgotten where a MAC is floods its frames: what is meant for another node's MAC must not be forwarded
 * here as well, or the client hears every answer twice.
 */
static __always_inline bool meant_for_this_device(const struct visit *v, const struct ethhdr *eth)
{
	const struct device *device = bpf_map_lookup_elem(&devices, &v->ifindex);
	const __u16 *ours, *theirs = (const void *)eth->h_dest;

	if (!device)
		return false;
	ours = (const void *)device->mac;
	return !((ours[0] ^ theirs[0]) | (ours[1] ^ theirs[1]) | (ours[2] ^ theirs[2]));
}

static __always_inline __u32 judge(struct visit *v, struct packet *p, struct flow **f)
{
	void *data = packet_data(v->ctx), *data_end = packet_data_end(v->ctx);
	enum parsed parsed = parse(p, data, data_end, SCOPE_OURS);
	struct ethhdr *eth = data;
	struct runtime *r;
	__u32 verdict;

	if (parsed == PARSED_FOREIGN || (void *)(eth + 1) > data_end)
		return VERDICT_FOREIGN;
	read_clock(v);
	if (parsed == PARSED_ARP)
		return answer_arp(v, p);
	if (parsed == PARSED_ICMP && eth->h_dest[0] & 1)
		return answer_multicast(v, p);
	if (!meant_for_this_device(v, eth))
		return VERDICT_FOREIGN;
	switch (parsed) {
	case PARSED_FLOW:
		break;
	case PARSED_ICMP:
		return judge_icmp(v, p, f);
	case PARSED_ARP:
	case PARSED_FOREIGN:
		return VERDICT_FOREIGN;
	case PARSED_TRUNCATED:
		return p->to_frontend_address ? DROP_TRUNCATED : VERDICT_FOREIGN;
	case PARSED_BAD_HEADER:
		return p->to_frontend_address ? DROP_BAD_HEADER : VERDICT_FOREIGN;
	case PARSED_FRAGMENT:
		return p->to_frontend_address ? DROP_FRAGMENT : VERDICT_FOREIGN;
	case PARSED_UNSUPPORTED:
		return p->to_frontend_address ? DROP_UNSUPPORTED_PROTOCOL : VERDICT_FOREIGN;
	}
	r = probe_asked(p);
	if (r)
		return answer_probe(v, p, r);
	verdict = decide(v, p, data, f);
	if (verdict == VERDICT_REJECTED_NO_BACKEND || verdict == VERDICT_REJECTED_UNKNOWN_PORT)
		return reject(v, p, verdict);
	return verdict;
}

#endif
