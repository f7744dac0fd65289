/* SPDX-License-Identifier: GPL-2.0 */
/*
 * No backend, or no such port: the sender is told at once (ICMP port unreachable, RFC 792 / RFC 4443 §3.1), within a rate.
 * The answer quotes the packet as the client sent it, so its socket recognises it.
 */
#ifndef FAIRLEAD_REJECT_H
#define FAIRLEAD_REJECT_H

#define ICMP_UNREACHABLE_V4 3
#define ICMP_PORT_V4 3
#define ICMP_UNREACHABLE_V6 1
#define ICMP_PORT_V6 4
#define REJECT_TTL 64
#define QUOTED_L4 8

struct unreachable_v4 {
	struct icmp_header icmp;
	__u8 quoted[sizeof(struct iphdr) + QUOTED_L4];
};

struct unreachable_v6 {
	struct icmp_header icmp;
	__u8 quoted[sizeof(struct ipv6hdr) + QUOTED_L4];
};

static __always_inline bool within_reject_rate(const struct visit *v)
{
	const __u32 zero = 0;
	struct reject_budget *b = bpf_map_lookup_elem(&reject_budgets, &zero);

	if (!b)
		return false;
	if (b->second != v->now_seconds) {
		b->second = v->now_seconds;
		b->used = 0;
	}
	return b->used++ < rejects_per_second;
}

static __noinline bool write_unreachable_v4(struct visit *v, struct packet *p)
{
	void *data = packet_data(v->ctx), *data_end = packet_data_end(v->ctx);
	struct unreachable_v4 message = {};
	struct iphdr header = {
		.version = 4, .ihl = 5, .ttl = REJECT_TTL, .protocol = IPPROTO_ICMP,
		.tot_len = bpf_htons(sizeof(header) + sizeof(message)),
		.saddr = p->tuple.destination.word[3], .daddr = p->tuple.source.word[3],
	};

	if (data + ETH_HLEN + sizeof(message.quoted) > data_end)
		return false;
	__builtin_memcpy(message.quoted, data + ETH_HLEN, sizeof(message.quoted));
	message.icmp.type = ICMP_UNREACHABLE_V4;
	message.icmp.code = ICMP_PORT_V4;
	message.icmp.checksum = ~checksum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&message, sizeof(message), 0));
	header.check = ~checksum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&header, sizeof(header), 0));
	if (!resize_packet(v->ctx, ETH_HLEN + sizeof(header) + sizeof(message)))
		return false;
	data = packet_data(v->ctx);
	data_end = packet_data_end(v->ctx);
	if (data + ETH_HLEN + sizeof(header) + sizeof(message) > data_end)
		return false;
	turn_around(data);
	__builtin_memcpy(data + ETH_HLEN, &header, sizeof(header));
	__builtin_memcpy(data + ETH_HLEN + sizeof(header), &message, sizeof(message));
	return true;
}

static __noinline bool write_unreachable_v6(struct visit *v, struct packet *p)
{
	void *data = packet_data(v->ctx), *data_end = packet_data_end(v->ctx);
	struct unreachable_v6 message = {};
	struct ipv6hdr *ip;

	if (data + ETH_HLEN + sizeof(message.quoted) > data_end)
		return false;
	__builtin_memcpy(message.quoted, data + ETH_HLEN, sizeof(message.quoted));
	message.icmp.type = ICMP_UNREACHABLE_V6;
	message.icmp.code = ICMP_PORT_V6;
	message.icmp.checksum = icmp6_checksum(&p->tuple.destination, &p->tuple.source, &message, sizeof(message));
	if (!resize_packet(v->ctx, ETH_HLEN + sizeof(*ip) + sizeof(message)))
		return false;
	data = packet_data(v->ctx);
	data_end = packet_data_end(v->ctx);
	ip = data + ETH_HLEN;
	if ((void *)(ip + 1) + sizeof(message) > data_end)
		return false;
	turn_around(data);
	ip->payload_len = bpf_htons(sizeof(message));
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = REJECT_TTL;
	__builtin_memcpy(&ip->saddr, &p->tuple.destination, 16);
	__builtin_memcpy(&ip->daddr, &p->tuple.source, 16);
	__builtin_memcpy(ip + 1, &message, sizeof(message));
	return true;
}

/* The verdict that stands: the reject itself, or why it was not sent. */
static __noinline __u32 reject(struct visit *v, struct packet *p, __u32 verdict)
{
	bool sent;

	if (p->has_options || p->fragment == FRAGMENT_LATER || (p->tuple.protocol == IPPROTO_TCP && p->tcp_flags & TCP_RST))
		return DROP_REJECT_LIMITED;
	if (!within_reject_rate(v))
		return DROP_REJECT_LIMITED;
	sent = p->ipv6 ? write_unreachable_v6(v, p) : write_unreachable_v4(v, p);
	return sent ? verdict : NOT_RESIZED;
}

#endif
