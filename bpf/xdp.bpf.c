// SPDX-License-Identifier: GPL-2.0
/*
 * The first look at every frame of a node's device. Answers ARP, NDP, liveness probes and pings to our addresses; forwards
 * to backends elsewhere and returns their replies out of the same device (XDP_TX); aims packets at backends here and lets
 * tc (netdev.bpf.c) or the stack deliver them. What leaves by another device, or to a neighbor not resolved yet, is left
 * to tc untouched.
 */
#include "fairlead.h"
#include "packet_xdp.h"
#include "judge.h"
#include "rewrite_xdp.h"

/* Tells netdev.bpf.c where to; without room for it the stack routes the packet to the same place. */
static __always_inline void leave_delivery(struct xdp_md *ctx, const struct delivery *note)
{
	struct delivery *meta;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return;
	*meta = *note;
}

static __always_inline bool leaves_by_wire(const struct flow *f)
{
	return f->flags & FLOW_REPLY || !(f->flags & (FLOW_PEER | FLOW_STACK));
}

static __always_inline __u32 carry_out(struct visit *v, struct packet *p, struct flow *f, __u32 verdict)
{
	void *data = packet_data(v->ctx), *data_end = packet_data_end(v->ctx);
	bool hop = verdict != VERDICT_DELIVERED_BY_STACK;

	if (hop && p->ttl <= 1)
		return DROP_TTL_EXPIRED;
	if (leaves_by_wire(f)) {
		if (f->ifindex != v->ifindex || is_zero_mac(f->destination_mac) || data + ETH_HLEN > data_end)
			return VERDICT_LEFT_TO_TC;
		set_macs(data, f);
	}
	if (verdict == VERDICT_TRANSLATED_ICMP)
		return rewrite_icmp_error(p, f, data, data_end) ? verdict : DROP_INTERNAL;
	return rewrite_packet(data, data_end, p, f, hop) ? verdict : DROP_INTERNAL;
}

/* As judge(), and on the packet itself what XDP can finish. */
static __always_inline __u32 handle(struct visit *v, struct packet *p, struct flow **f)
{
	__u32 verdict = judge(v, p, f);

	if (*f && (verdict == VERDICT_FORWARDED || verdict == VERDICT_DELIVERED ||
		   verdict == VERDICT_DELIVERED_BY_STACK || verdict == VERDICT_REPLIED ||
		   verdict == VERDICT_TRANSLATED_ICMP))
		return carry_out(v, p, *f, verdict);
	return verdict;
}

static __always_inline int xdp_action(__u32 verdict, const struct flow *f)
{
	switch (verdict) {
	case VERDICT_TRANSLATED_ICMP:
		return f && leaves_by_wire(f) ? XDP_TX : XDP_PASS;
	case VERDICT_FORWARDED:
	case VERDICT_REPLIED:
	case VERDICT_ANSWERED_ARP:
	case VERDICT_ANSWERED_NDP:
	case VERDICT_ANSWERED_PROBE:
	case VERDICT_ANSWERED_ECHO:
	case VERDICT_REJECTED_NO_BACKEND:
	case VERDICT_REJECTED_UNKNOWN_PORT:
		return XDP_TX;
	case VERDICT_FOREIGN:
	case VERDICT_DELIVERED:
	case VERDICT_DELIVERED_BY_STACK:
	case VERDICT_LEFT_TO_TC:
	case VERDICT_LEFT_TO_STACK:
		return XDP_PASS;
	default:
		return XDP_DROP;
	}
}

static __always_inline int process(struct xdp_md *ctx)
{
	struct delivery note = { .magic = DELIVERY_MAGIC };
	struct packet p = {};
	struct flow *f = NULL;
	struct visit v;
	__u32 verdict;

	start_visit(&v, ctx, ctx->ingress_ifindex, HOOK_XDP);
	verdict = handle(&v, &p, &f);
	if (verdict == VERDICT_FOREIGN)
		return XDP_PASS;
	record(&v, &p, verdict, packet_data(ctx), packet_data_end(ctx));
	if (f && f->flags & FLOW_PEER && (verdict == VERDICT_DELIVERED || (verdict == VERDICT_TRANSLATED_ICMP && !leaves_by_wire(f)))) {
		note.ifindex = f->ifindex;
		__builtin_memcpy(note.mac, f->destination_mac, MAC_LENGTH);
		__builtin_memcpy(note.node_mac, f->source_mac, MAC_LENGTH);
		leave_delivery(ctx, &note);
	}
	return xdp_action(verdict, f);
}

SEC("xdp")
int fairlead_xdp(struct xdp_md *ctx)
{
	return process(ctx);
}

char _license[] SEC("license") = "GPL";
