/* SPDX-License-Identifier: GPL-2.0 */
/* Carries a flow row out on an XDP packet: plain stores, checksums by the row's precomputed deltas. */
#ifndef FAIRLEAD_REWRITE_XDP_H
#define FAIRLEAD_REWRITE_XDP_H

static __always_inline void decrement_ttl_v4(struct iphdr *ip)
{
	__u32 check = ip->check;

	check += bpf_htons(0x0100);
	ip->check = check + (check >= 0xffff);
	ip->ttl -= 1;
}

/* `hop`: this node acts as a router for the packet and takes one off the TTL (the stack does so itself where it delivers). */
static __always_inline bool rewrite_packet(void *data, void *data_end, const struct packet *p, const struct flow *f, bool hop)
{
	struct udphdr *ports = data + (p->l4_offset & L4_OFFSET_MAX);

	if (p->ipv6) {
		struct ipv6hdr *ip = data + ETH_HLEN;

		if ((void *)(ip + 1) > data_end)
			return false;
		__builtin_memcpy(&ip->saddr, &f->source, 32);
		ip->hop_limit -= hop;
	} else {
		struct iphdr *ip = data + ETH_HLEN;

		if ((void *)(ip + 1) > data_end)
			return false;
		ip->saddr = f->source.word[3];
		ip->daddr = f->destination.word[3];
		ip->check = checksum_add(ip->check, f->l3_delta);
		if (hop)
			decrement_ttl_v4(ip);
	}
	if (p->fragment == FRAGMENT_LATER)
		return true;
	if ((void *)(ports + 1) > data_end)
		return false;
	ports->source = f->source_port;
	ports->dest = f->destination_port;
	if (p->tuple.protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = (void *)ports;

		if ((void *)(tcp + 1) > data_end)
			return false;
		tcp->check = checksum_add(tcp->check, f->l4_delta);
	} else if (ports->check) {
		ports->check = checksum_add(ports->check, f->l4_delta);
		if (!ports->check)
			ports->check = 0xffff; /* RFC 768: zero means "none" */
	}
	return true;
}

static __always_inline void set_macs(void *data, const struct flow *f)
{
	struct ethhdr *eth = data;

	__builtin_memcpy(eth->h_dest, f->destination_mac, MAC_LENGTH);
	__builtin_memcpy(eth->h_source, f->source_mac, MAC_LENGTH);
}

#endif
