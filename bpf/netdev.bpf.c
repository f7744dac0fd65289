// SPDX-License-Identifier: GPL-2.0
/*
 * tc on a node's device. Ingress finishes what XDP began: packets for a pod here go straight into its namespace; packets
 * that leave by another device or towards an unresolved neighbor are forwarded; where XDP could not be attached it does all
 * of XDP's work. Egress translates replies that came through the node's own stack (pod networks that are not ours, host
 * network pods).
 */
#include "fairlead.h"
#include "packet_skb.h"
#include "judge.h"
#include "rewrite_skb.h"
#include "reply.h"

static __always_inline int deliver(struct __sk_buff *skb, __u32 ifindex, const __u8 *mac, const __u8 *node_mac)
{
	if (!store_macs(skb, mac, node_mac))
		return TC_ACT_SHOT;
	return bpf_redirect_peer(ifindex, 0);
}

/* XDP chose a pod here and has rewritten the packet already. */
static __always_inline bool read_delivery(struct __sk_buff *skb, struct delivery *note)
{
	struct delivery *meta = (void *)(long)skb->data_meta;

	if ((void *)(meta + 1) > (void *)(long)skb->data || meta->magic != DELIVERY_MAGIC)
		return false;
	*note = *meta;
	return true;
}

static __always_inline int send_on(struct __sk_buff *skb, const struct flow *f)
{
	if (is_zero_mac(f->destination_mac))
		return bpf_redirect_neigh(f->ifindex, NULL, 0, 0);
	if (!store_macs(skb, f->destination_mac, f->source_mac))
		return TC_ACT_SHOT;
	return bpf_redirect(f->ifindex, 0);
}

static __always_inline int tc_action(struct __sk_buff *skb, struct packet *p, struct flow *f, __u32 verdict)
{
	bool hop = verdict != VERDICT_DELIVERED_BY_STACK;

	switch (verdict) {
	case VERDICT_FOREIGN:
	case VERDICT_LEFT_TO_TC:
	case VERDICT_LEFT_TO_STACK:
		return TCX_NEXT;
	case VERDICT_ANSWERED_ARP:
	case VERDICT_ANSWERED_NDP:
	case VERDICT_ANSWERED_PROBE:
	case VERDICT_ANSWERED_ECHO:
	case VERDICT_REJECTED_NO_BACKEND:
	case VERDICT_REJECTED_UNKNOWN_PORT:
		return bpf_redirect(skb->ifindex, 0);
	case VERDICT_FORWARDED:
	case VERDICT_DELIVERED:
	case VERDICT_DELIVERED_BY_STACK:
	case VERDICT_REPLIED:
		if (!f || !rewrite_skb(skb, p, f, hop))
			return TC_ACT_SHOT;
		if (verdict == VERDICT_DELIVERED)
			return deliver(skb, f->ifindex, f->destination_mac, f->source_mac);
		return verdict == VERDICT_DELIVERED_BY_STACK ? TCX_NEXT : send_on(skb, f);
	default:
		return TC_ACT_SHOT;
	}
}

static __always_inline int send_error(struct __sk_buff *skb, struct packet *p, struct flow *f)
{
	if (!f || !rewrite_icmp_error(p, f, packet_data(skb), packet_data_end(skb)))
		return TC_ACT_SHOT;
	if (f->flags & FLOW_REPLY)
		return send_on(skb, f);
	if (f->flags & FLOW_PEER)
		return deliver(skb, f->ifindex, f->destination_mac, f->source_mac);
	return f->flags & FLOW_STACK ? TCX_NEXT : send_on(skb, f);
}

static __always_inline bool takes_a_hop(__u32 verdict)
{
	return verdict == VERDICT_FORWARDED || verdict == VERDICT_DELIVERED || verdict == VERDICT_REPLIED;
}

SEC("tc")
int fairlead_ingress(struct __sk_buff *skb)
{
	struct delivery note;
	struct packet p = {};
	struct flow *f = NULL;
	struct visit v;
	__u32 verdict;

	if (read_delivery(skb, &note))
		return deliver(skb, note.ifindex, note.mac, note.node_mac);
	make_headers_linear(skb);
	start_visit(&v, skb, skb->ifindex, HOOK_NETDEV_INGRESS);
	verdict = judge(&v, &p, &f);
	if (verdict == VERDICT_FOREIGN)
		return TCX_NEXT;
	if (takes_a_hop(verdict) && p.ttl <= 1)
		verdict = DROP_TTL_EXPIRED;
	record(&v, &p, verdict, packet_data(skb), packet_data_end(skb));
	if (verdict == VERDICT_TRANSLATED_ICMP)
		return send_error(skb, &p, f);
	return tc_action(skb, &p, f, verdict);
}

/*
 * While the cluster is handed over, another load balancer's speaker may still run here. Its answers are none: questions do not reach it
 * (may_answer). Its announcements leave only for addresses that this node announces anyway, so that it may elect and leave as it likes.
 */
static __always_inline bool to_be_silenced(const struct __sk_buff *skb, const struct packet *p)
{
	struct announced_key key = { .address.word = { 0, 0, bpf_htonl(0xffff), 0 }, .ifindex = skb->ifindex };
	void *data = packet_data((void *)skb), *data_end = packet_data_end((void *)skb);

	if (skb->protocol == bpf_htons(ETH_P_ARP)) {
		struct arp_ipv4 *arp = data + ETH_HLEN;

		if ((void *)(arp + 1) > data_end)
			return false;
		key.address.word[3] = arp->sender_ip;
	} else if (p->ipv6 && p->tuple.protocol == IPPROTO_ICMPV6) {
		struct ndp_message *message = data + (p->l4_offset & L4_OFFSET_MAX);

		if ((void *)message + offsetof(struct ndp_message, option_type) > data_end || message->type != NDP_ADVERTISEMENT)
			return false;
		key.address = message->target;
	} else {
		return false;
	}
	return traffic() == TRAFFIC_TAKING_OVER && is_frontend_address(&key.address) && !bpf_map_lookup_elem(&announced, &key);
}

SEC("tc")
int fairlead_egress(struct __sk_buff *skb)
{
	struct packet p = {};
	struct flow *f = NULL;
	struct visit v;
	__u32 verdict;

	start_visit(&v, skb, skb->ifindex, HOOK_NETDEV_EGRESS);
	verdict = judge_reply(&v, &p, &f);
	if (!f) {
		if (!to_be_silenced(skb, &p))
			return TCX_NEXT;
		read_clock(&v);
		record(&v, &p, VERDICT_SILENCED, packet_data(skb), packet_data_end(skb));
		return TC_ACT_SHOT;
	}
	record(&v, &p, verdict, packet_data(skb), packet_data_end(skb));
	if (!translate_reply(skb, &p, f, verdict, false) || !store_macs(skb, f->destination_mac, f->source_mac))
		return TC_ACT_SHOT;
	/* The request came by another device: the reply leaves by that one. */
	return f->ifindex == skb->ifindex ? TCX_NEXT : bpf_redirect(f->ifindex, 0);
}

char _license[] SEC("license") = "GPL";
