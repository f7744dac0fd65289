/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From bytes to a tuple. Nothing here writes to the packet. A packet that is not for us is recognised as early as possible;
 * one that is, but whose headers cannot be, is dropped by name.
 */
#ifndef FAIRLEAD_PARSE_H
#define FAIRLEAD_PARSE_H

#define IP_FRAGMENT_MORE 0x2000
#define IP_FRAGMENT_OFFSET 0x1fff
#define EXTENSION_HEADERS_MAX 6
#define L4_OFFSET_MAX 511
#define TCP_FLAG_BYTE 13
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* RFC 792 and RFC 4443 §2.1. (linux/icmp.h would pull in the C library's socket headers.) */
struct icmp_header {
	__u8 type, code;
	__sum16 checksum;
	__be32 rest;
};

enum fragment_part {
	FRAGMENT_NONE = 0,
	FRAGMENT_FIRST = 1,
	FRAGMENT_LATER = 2, /* carries no ports and no L4 checksum */
};

enum parsed {
	PARSED_FLOW, /* TCP or UDP: the tuple is complete */
	PARSED_ARP,
	PARSED_ICMP, /* the tuple has no ports; l4_offset is set */
	PARSED_FOREIGN,
	PARSED_TRUNCATED,
	PARSED_BAD_HEADER,
	PARSED_FRAGMENT,
	PARSED_UNSUPPORTED,
};

/* Which addresses parse() goes on for: everything else is foreign at once. */
enum parse_scope {
	SCOPE_OURS, /* to a frontend's address or to this node */
	SCOPE_ALL,
};

struct packet {
	struct flow_key tuple; /* as the packet arrived */
	__u16 l4_offset;
	__u16 length; /* of the IP packet */
	__u8 ipv6;
	__u8 ttl;
	__u8 tcp_flags;
	__u8 fragment; /* enum fragment_part */
	__u8 to_frontend_address; /* by the filter: may be */
	__u8 to_node_address;
	__u8 has_options; /* IPv4 options or IPv6 extension headers */
};

static __always_inline __u32 address_hash(const struct address *a)
{
	return ((a->word[0] ^ a->word[1] ^ a->word[2] ^ a->word[3]) * ADDRESS_FILTER_MULTIPLIER) >> 16;
}

static __always_inline bool in_scope(struct packet *p, enum parse_scope scope)
{
	const __u32 zero = 0;
	struct address_filter *filter;
	__u32 hash;

	if (scope == SCOPE_ALL)
		return true;
	filter = bpf_map_lookup_elem(&address_filter, &zero);
	if (!filter)
		return false;
	hash = address_hash(&p->tuple.destination);
	p->to_frontend_address = filter->bits[(hash >> 6) & (ADDRESS_FILTER_WORDS - 1)] >> (hash & 63) & 1;
	p->to_node_address = filter->node_bits[(hash >> 6) & (ADDRESS_FILTER_WORDS - 1)] >> (hash & 63) & 1;
	return p->to_frontend_address | p->to_node_address;
}

/* A later fragment takes its ports from the first one; a first one leaves them behind. */
static __always_inline enum parsed follow_fragment(struct packet *p, __u32 identification)
{
	struct fragment_key key = {
		.source = p->tuple.source,
		.destination = p->tuple.destination,
		.identification = identification,
		.protocol = p->tuple.protocol,
	};
	struct fragment_ports *known, ports;

	if (p->fragment == FRAGMENT_LATER) {
		known = bpf_map_lookup_elem(&fragments, &key);
		if (!known)
			return PARSED_FRAGMENT;
		set_ports(&p->tuple, known->source_port, known->destination_port, p->tuple.protocol);
		return PARSED_FLOW;
	}
	ports.source_port = p->tuple.source_port;
	ports.destination_port = p->tuple.destination_port;
	bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
	return PARSED_FLOW;
}

static __always_inline enum parsed parse_l4(struct packet *p, void *data, void *data_end, __u32 identification)
{
	struct udphdr *ports;
	__u32 needed;

	if (p->tuple.protocol == IPPROTO_ICMP || p->tuple.protocol == IPPROTO_ICMPV6)
		return p->fragment ? PARSED_FRAGMENT : PARSED_ICMP;
	if (p->tuple.protocol != IPPROTO_TCP && p->tuple.protocol != IPPROTO_UDP)
		return PARSED_UNSUPPORTED;
	if (p->fragment == FRAGMENT_LATER)
		return follow_fragment(p, identification);

	needed = p->tuple.protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);
	if (p->length < p->l4_offset - ETH_HLEN + needed)
		return PARSED_TRUNCATED;
	ports = data + (p->l4_offset & L4_OFFSET_MAX);
	if ((void *)(ports + 1) > data_end)
		return PARSED_TRUNCATED;
	set_ports(&p->tuple, ports->source, ports->dest, p->tuple.protocol);
	if (p->tuple.protocol == IPPROTO_TCP) {
		if ((void *)ports + sizeof(struct tcphdr) > data_end)
			return PARSED_TRUNCATED;
		p->tcp_flags = ((__u8 *)ports)[TCP_FLAG_BYTE];
	}
	if (p->fragment == FRAGMENT_FIRST)
		return follow_fragment(p, identification);
	return PARSED_FLOW;
}

static __always_inline enum parsed parse_ipv4(struct packet *p, void *data, void *data_end, enum parse_scope scope)
{
	struct iphdr *ip = data + ETH_HLEN;
	__u32 header_bytes, fragment;

	if ((void *)(ip + 1) > data_end)
		return PARSED_FOREIGN; /* whose it is cannot even be read: the stack counts it */
	set_mapped(&p->tuple.source, ip->saddr);
	set_mapped(&p->tuple.destination, ip->daddr);
	if (!in_scope(p, scope))
		return PARSED_FOREIGN;

	header_bytes = ip->ihl * 4;
	if (ip->version != 4 || header_bytes < sizeof(*ip))
		return PARSED_BAD_HEADER;
	p->length = bpf_ntohs(ip->tot_len);
	if (p->length < header_bytes)
		return PARSED_BAD_HEADER;
	if (data + ETH_HLEN + header_bytes > data_end)
		return PARSED_TRUNCATED;
	p->tuple.protocol = ip->protocol;
	p->l4_offset = ETH_HLEN + header_bytes;
	p->has_options = header_bytes != sizeof(*ip);
	p->ttl = ip->ttl;
	fragment = bpf_ntohs(ip->frag_off);
	if (fragment & (IP_FRAGMENT_MORE | IP_FRAGMENT_OFFSET))
		p->fragment = fragment & IP_FRAGMENT_OFFSET ? FRAGMENT_LATER : FRAGMENT_FIRST;
	return parse_l4(p, data, data_end, ip->id);
}

/* Walks at most EXTENSION_HEADERS_MAX extension headers (RFC 8200 §4.1) to the transport header. */
static __always_inline enum parsed parse_ipv6(struct packet *p, void *data, void *data_end, enum parse_scope scope)
{
	struct ipv6hdr *ip = data + ETH_HLEN;
	__u32 offset = ETH_HLEN + sizeof(*ip), identification = 0;
	__u8 next;

	if ((void *)(ip + 1) > data_end)
		return PARSED_FOREIGN;
	copy_wide(&p->tuple.source, &ip->saddr, 4);
	/* Neighbor discovery goes to a multicast address; it must not be filtered out before it is seen. */
	if (!in_scope(p, scope) && !(ip->nexthdr == IPPROTO_ICMPV6 && ip->daddr.s6_addr[0] == 0xff))
		return PARSED_FOREIGN;
	if (ip->version != 6)
		return PARSED_BAD_HEADER;
	p->ipv6 = 1;
	p->ttl = ip->hop_limit;
	p->length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	next = ip->nexthdr;
	for (int i = 0; i < EXTENSION_HEADERS_MAX; i++) {
		struct {
			__u8 next, length;
			__be16 fragment;
			__be32 identification;
		} *header;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_ROUTING && next != IPPROTO_FRAGMENT)
			break;
		header = data + (offset & L4_OFFSET_MAX);
		if ((void *)(header + 1) > data_end)
			return PARSED_TRUNCATED;
		if (next == IPPROTO_FRAGMENT) {
			__u32 fragment = bpf_ntohs(header->fragment);

			if (fragment & 0xfff9)
				p->fragment = fragment & 0xfff8 ? FRAGMENT_LATER : FRAGMENT_FIRST;
			identification = header->identification;
			offset += 8;
		} else {
			offset += (header->length + 1) * 8;
		}
		next = header->next;
		p->has_options = 1;
		if (offset > L4_OFFSET_MAX - 64)
			return PARSED_BAD_HEADER;
		if (p->fragment == FRAGMENT_LATER)
			break;
	}
	p->tuple.protocol = next;
	p->l4_offset = offset;
	return parse_l4(p, data, data_end, identification);
}

/* `p` must be zeroed. */
static __always_inline enum parsed parse(struct packet *p, void *data, void *data_end, enum parse_scope scope)
{
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > data_end)
		return PARSED_FOREIGN;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(p, data, data_end, scope);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(p, data, data_end, scope);
	if (eth->h_proto == bpf_htons(ETH_P_ARP))
		return PARSED_ARP;
	return PARSED_FOREIGN;
}

#endif
