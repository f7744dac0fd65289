/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Questions the datapath answers itself, in place: ARP (RFC 826), neighbor solicitation (RFC 4861 §7.2.4), ICMP echo.
 * Deviation from MetalLB: solicitations without a source link-layer option (unreachability probes, duplicate address
 * detection) are answered too, and the answer carries the Override flag, so that a neighbor which missed the unsolicited
 * announcement after a failover does not stay with the old MAC.
 */
#ifndef FAIRLEAD_ANSWER_H
#define FAIRLEAD_ANSWER_H

#define NDP_SOLICITATION 135
#define NDP_ADVERTISEMENT 136
#define NDP_FLAG_SOLICITED 0x40
#define NDP_FLAG_OVERRIDE 0x20
#define NDP_OPTION_TARGET_MAC 2
#define NDP_HOP_LIMIT 255
#define ECHO_REQUEST_V4 8
#define ECHO_REPLY_V4 0
#define ECHO_REQUEST_V6 128
#define ECHO_REPLY_V6 129

/* linux/if_arp.h would pull in the C library's socket headers. */

#define ARPHRD_ETHER 1
#define ARPOP_REQUEST 1
#define ARPOP_REPLY 2

struct arphdr {
	__be16 ar_hrd, ar_pro;
	__u8 ar_hln, ar_pln;
	__be16 ar_op;
};

struct arp_ipv4 {
	struct arphdr header;
	__u8 sender_mac[MAC_LENGTH];
	__be32 sender_ip;
	__u8 target_mac[MAC_LENGTH];
	__be32 target_ip;
} __attribute__((packed));

struct ndp_message { /* a solicitation or an advertisement with one link-layer option */
	__u8 type, code;
	__sum16 checksum;
	__u8 flags, reserved[3];
	struct address target;
	__u8 option_type, option_length;
	__u8 option_mac[MAC_LENGTH];
};

static __always_inline void swap_macs(struct ethhdr *eth, const __u8 *ours)
{
	__builtin_memcpy(eth->h_dest, eth->h_source, MAC_LENGTH);
	__builtin_memcpy(eth->h_source, ours, MAC_LENGTH);
}

static __always_inline void turn_around(struct ethhdr *eth)
{
	__u8 mac[MAC_LENGTH];

	__builtin_memcpy(mac, eth->h_dest, MAC_LENGTH);
	swap_macs(eth, mac);
}

/*
 * VERDICT_FORWARDED: yes, answer; `requests` and `answers` count it. An agent that is gone for longer than its grace leaves a datapath that must fall silent
 * a margin before its peers take over (DESIGN §6). A Service's address that is announced elsewhere does not reach the stack either: that
 * would answer where somebody configured the address on any device (strict ARP, to others), and for the subnet-router anycast
 * address of a prefix (RFC 4291 §2.6.1), which every forwarding node has and which may well be the first address of a pool.
 */
static __always_inline enum verdict may_answer(struct visit *v, const struct address *target)
{
	const __u32 zero = 0;
	struct announced_key key = { .address = *target, .ifindex = v->ifindex };
	struct announced *a = bpf_map_lookup_elem(&announced, &key);
	struct runtime *r = bpf_map_lookup_elem(&runtime, &zero);

	if (!a || !r)
		return is_frontend_address(target) && !stands_by() ? VERDICT_SILENT_NOT_ANNOUNCED : VERDICT_FOREIGN;
	__sync_fetch_and_add(&a->requests, 1);
	if (v->now_ns + r->answer_margin_ns >= r->valid_until_ns)
		return VERDICT_SILENT_NOT_ALIVE;
	__sync_fetch_and_add(&a->answers, 1);
	return VERDICT_FORWARDED;
}

static __noinline enum verdict answer_arp(struct visit *v, struct packet *p)
{
	void *data = packet_data(v->ctx), *data_end = packet_data_end(v->ctx);
	struct ethhdr *eth = data;
	struct arp_ipv4 *arp = data + ETH_HLEN;
	struct address target = { .word = { 0, 0, bpf_htonl(0xffff), 0 } };
	struct device *device = bpf_map_lookup_elem(&devices, &v->ifindex);
	enum verdict verdict;

	if (!device || (void *)(arp + 1) > data_end)
		return VERDICT_FOREIGN;
	if (arp->header.ar_hrd != bpf_htons(ARPHRD_ETHER) || arp->header.ar_pro != bpf_htons(ETH_P_IP) ||
	    arp->header.ar_hln != MAC_LENGTH || arp->header.ar_pln != 4 || arp->header.ar_op != bpf_htons(ARPOP_REQUEST))
		return VERDICT_FOREIGN;
	if (!(eth->h_dest[0] & 1) && __builtin_memcmp(eth->h_dest, device->mac, MAC_LENGTH))
		return VERDICT_FOREIGN; /* for another machine; we only overhear it */
	if (arp->sender_ip == arp->target_ip)
		return VERDICT_FOREIGN; /* an announcement, not a question */
	target.word[3] = arp->target_ip;
	p->length = sizeof(*arp);
	p->tuple.source.word[2] = p->tuple.destination.word[2] = bpf_htonl(0xffff);
	p->tuple.source.word[3] = arp->sender_ip;
	p->tuple.destination.word[3] = arp->target_ip;
	verdict = may_answer(v, &target);
	if (verdict != VERDICT_FORWARDED)
		return verdict;

	arp->header.ar_op = bpf_htons(ARPOP_REPLY);
	__builtin_memcpy(arp->target_mac, arp->sender_mac, MAC_LENGTH);
	arp->target_ip = arp->sender_ip;
	__builtin_memcpy(arp->sender_mac, device->mac, MAC_LENGTH);
	arp->sender_ip = target.word[3];
	swap_macs(eth, device->mac);
	return VERDICT_ANSWERED_ARP;
}

static __always_inline __sum16 icmp6_checksum(const struct address *source, const struct address *destination, void *message,
					      __u32 length)
{
	__be32 pseudo[10] = {};
	__s64 sum;

	__builtin_memcpy(&pseudo[0], source, 16);
	__builtin_memcpy(&pseudo[4], destination, 16);
	pseudo[8] = bpf_htonl(length);
	pseudo[9] = bpf_htonl(IPPROTO_ICMPV6);
	sum = bpf_csum_diff(NULL, 0, pseudo, sizeof(pseudo), 0);
	sum = bpf_csum_diff(NULL, 0, message, length, sum);
	return ~checksum_fold(sum);
}

/* Writes the advertisement over the solicitation. The option may have to be made room for. */
static __noinline enum verdict write_advertisement(struct visit *v, struct packet *p, const struct address *target)
{
	struct device *device = bpf_map_lookup_elem(&devices, &v->ifindex);
	const struct address all_nodes = { .word = { bpf_htonl(0xff020000), 0, 0, bpf_htonl(1) } };
	const __u8 all_nodes_mac[MAC_LENGTH] = { 0x33, 0x33, 0, 0, 0, 1 };
	bool detection = !(p->tuple.source.word[0] | p->tuple.source.word[1] | p->tuple.source.word[2] | p->tuple.source.word[3]);
	struct address to = detection ? all_nodes : p->tuple.source;
	struct ndp_message message = {};
	struct ethhdr *eth;
	struct ipv6hdr *ip;
	void *data, *data_end;

	if (!device)
		return DROP_INTERNAL;
	if (!resize_packet(v->ctx, ETH_HLEN + sizeof(*ip) + sizeof(message)))
		return NOT_RESIZED;
	data = packet_data(v->ctx);
	data_end = packet_data_end(v->ctx);
	eth = data;
	ip = data + ETH_HLEN;
	if ((void *)(ip + 1) + sizeof(message) > data_end)
		return DROP_INTERNAL;

	message.type = NDP_ADVERTISEMENT;
	message.flags = NDP_FLAG_OVERRIDE | (detection ? 0 : NDP_FLAG_SOLICITED);
	message.target = *target;
	message.option_type = NDP_OPTION_TARGET_MAC;
	message.option_length = 1;
	__builtin_memcpy(message.option_mac, device->mac, MAC_LENGTH);
	message.checksum = icmp6_checksum(target, &to, &message, sizeof(message));

	swap_macs(eth, device->mac);
	if (detection)
		__builtin_memcpy(eth->h_dest, all_nodes_mac, MAC_LENGTH);
	ip->payload_len = bpf_htons(sizeof(message));
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = NDP_HOP_LIMIT;
	__builtin_memcpy(&ip->saddr, target, 16);
	__builtin_memcpy(&ip->daddr, &to, 16);
	__builtin_memcpy(ip + 1, &message, sizeof(message));
	return VERDICT_ANSWERED_NDP;
}

/* RFC 4861 §7.1.1: hop limit 255, code 0, at least 24 bytes, a target that is not multicast. */
static __noinline enum verdict answer_solicitation(struct visit *v, struct packet *p)
{
	void *data = packet_data(v->ctx), *data_end = packet_data_end(v->ctx);
	struct ndp_message *question = data + ETH_HLEN + sizeof(struct ipv6hdr);
	const __u32 fixed = offsetof(struct ndp_message, option_type);
	struct address target;
	enum verdict verdict;

	if (p->ttl != NDP_HOP_LIMIT || p->has_options || p->length < sizeof(struct ipv6hdr) + fixed)
		return VERDICT_FOREIGN;
	if ((void *)question + fixed > data_end || question->code || ((__u8 *)&question->target)[0] == 0xff)
		return VERDICT_FOREIGN;
	target = question->target;
	verdict = may_answer(v, &target);
	if (verdict != VERDICT_FORWARDED)
		return verdict;
	return write_advertisement(v, p, &target);
}

/* Ping to an address of a frontend. Addresses only swap places, so the sums change by the type alone. */
static __noinline enum verdict answer_echo(struct visit *v, struct packet *p)
{
	void *data = packet_data(v->ctx), *data_end = packet_data_end(v->ctx);
	struct ethhdr *eth = data;
	struct icmp_header *icmp = data + (p->l4_offset & L4_OFFSET_MAX);
	__u8 request = p->ipv6 ? ECHO_REQUEST_V6 : ECHO_REQUEST_V4, reply = p->ipv6 ? ECHO_REPLY_V6 : ECHO_REPLY_V4;

	if ((void *)(icmp + 1) > data_end)
		return DROP_TRUNCATED;
	if (icmp->type != request || icmp->code)
		return VERDICT_FOREIGN;
	icmp->type = reply;
	icmp->checksum = checksum_add(icmp->checksum, checksum_fold(bpf_htons(reply << 8) + (__u16)~bpf_htons(request << 8)));
	if (p->ipv6) {
		struct ipv6hdr *ip = data + ETH_HLEN;

		if ((void *)(ip + 1) > data_end)
			return DROP_TRUNCATED;
		__builtin_memcpy(&ip->saddr, &p->tuple.destination, 16);
		__builtin_memcpy(&ip->daddr, &p->tuple.source, 16);
	} else {
		struct iphdr *ip = data + ETH_HLEN;

		if ((void *)(ip + 1) > data_end)
			return DROP_TRUNCATED;
		ip->saddr = p->tuple.destination.word[3];
		ip->daddr = p->tuple.source.word[3];
	}
	turn_around(eth);
	return VERDICT_ANSWERED_ECHO;
}

/* Of what is sent to many, only neighbor solicitations are for us. */
static __always_inline enum verdict answer_multicast(struct visit *v, struct packet *p)
{
	void *data = packet_data(v->ctx), *data_end = packet_data_end(v->ctx);
	__u8 *type = data + (p->l4_offset & L4_OFFSET_MAX);

	if (!p->ipv6 || (void *)(type + 1) > data_end || *type != NDP_SOLICITATION)
		return VERDICT_FOREIGN;
	return answer_solicitation(v, p);
}

static __always_inline enum verdict answer_icmp(struct visit *v, struct packet *p)
{
	void *data = packet_data(v->ctx), *data_end = packet_data_end(v->ctx);
	__u8 *type = data + (p->l4_offset & L4_OFFSET_MAX);

	if ((void *)(type + 1) > data_end)
		return p->to_frontend_address ? DROP_TRUNCATED : VERDICT_FOREIGN;
	if (p->ipv6 && *type == NDP_SOLICITATION)
		return answer_solicitation(v, p);
	if (!p->to_frontend_address || !find_frontend_address(p) || stands_by())
		return VERDICT_FOREIGN;
	return answer_echo(v, p);
}

#endif
