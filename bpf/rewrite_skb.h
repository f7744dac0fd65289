/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Carries a flow row out on an skb. The helpers, unlike plain stores, know what the skb says about its checksum: a packet
 * from a local socket has only the pseudo header summed so far (CHECKSUM_PARTIAL).
 */
#ifndef FAIRLEAD_REWRITE_SKB_H
#define FAIRLEAD_REWRITE_SKB_H

static __always_inline int l4_checksum_offset(const struct packet *p)
{
	return p->l4_offset + (p->tuple.protocol == IPPROTO_TCP ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check));
}

static __noinline bool rewrite_l4(struct __sk_buff *skb, const struct packet *p, const struct flow *f, __u32 addresses)
{
	__u64 udp = p->tuple.protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	int offset = l4_checksum_offset(p);
	__u32 ports = bpf_csum_diff((__be32 *)&p->tuple.source_port, 4, (__be32 *)&f->source_port, 4, 0);

	if (bpf_l4_csum_replace(skb, offset, 0, addresses, BPF_F_PSEUDO_HDR | udp) ||
	    bpf_l4_csum_replace(skb, offset, 0, ports, udp))
		return false;
	return bpf_skb_store_bytes(skb, p->l4_offset, &f->source_port, 4, 0) == 0;
}

static __noinline bool rewrite_skb(struct __sk_buff *skb, const struct packet *p, const struct flow *f, bool hop)
{
	const int l3 = ETH_HLEN;
	__u32 addresses = bpf_csum_diff((__be32 *)&p->tuple.source, 32, (__be32 *)&f->source, 32, 0);
	__u8 ttl = p->ttl - hop;

	if (p->fragment != FRAGMENT_LATER && !rewrite_l4(skb, p, f, addresses))
		return false;
	if (p->ipv6)
		return !bpf_skb_store_bytes(skb, l3 + offsetof(struct ipv6hdr, saddr), &f->source, 32, 0) &&
		       !bpf_skb_store_bytes(skb, l3 + offsetof(struct ipv6hdr, hop_limit), &ttl, 1, 0);
	if (bpf_l3_csum_replace(skb, l3 + offsetof(struct iphdr, check), 0, addresses, 0) ||
	    bpf_skb_store_bytes(skb, l3 + offsetof(struct iphdr, saddr), &f->source.word[3], 4, 0) ||
	    bpf_skb_store_bytes(skb, l3 + offsetof(struct iphdr, daddr), &f->destination.word[3], 4, 0))
		return false;
	if (!hop)
		return true;
	return !bpf_l3_csum_replace(skb, l3 + offsetof(struct iphdr, check), bpf_htons(p->ttl << 8), bpf_htons(ttl << 8), 2) &&
	       !bpf_skb_store_bytes(skb, l3 + offsetof(struct iphdr, ttl), &ttl, 1, 0);
}

static __always_inline bool store_macs(struct __sk_buff *skb, const __u8 *destination, const __u8 *source)
{
	return !bpf_skb_store_bytes(skb, 0, destination, MAC_LENGTH, 0) &&
	       !bpf_skb_store_bytes(skb, MAC_LENGTH, source, MAC_LENGTH, 0);
}

#endif
