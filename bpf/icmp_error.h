/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ICMP errors about a flow (unreachable, too big, time exceeded): sent on to the end that must hear of it, with the quoted
 * packet as that end knows it. Path MTU discovery behind a frontend depends on this.
 *
 * The quoted packet travelled against the error. So the row under the quoted tuple, reversed, is the row of the direction in which
 * the error travels; what that row does to a packet, this does to the error, and the reverse to the quotation.
 */
#ifndef FAIRLEAD_ICMP_ERROR_H
#define FAIRLEAD_ICMP_ERROR_H

#define QUOTED_V4 (sizeof(struct iphdr) + 8)
#define QUOTED_V6 (sizeof(struct ipv6hdr) + 8)
#define UDP_CHECKSUM_WORD 3

/* RFC 792: unreachable 3, time exceeded 11, parameter problem 12. RFC 4443: 1 to 4. */
static __always_inline bool is_icmp_error(const struct packet *p, __u8 type)
{
	return p->ipv6 ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12;
}

static __always_inline bool read_quoted_v4(void *quoted, void *data_end, struct flow_key *key)
{
	struct iphdr *ip = quoted;
	__be16 *ports = (void *)(ip + 1);

	if (quoted + QUOTED_V4 > data_end || ip->version != 4 || ip->ihl != 5)
		return false;
	key->source.word[2] = key->destination.word[2] = bpf_htonl(0xffff);
	key->source.word[3] = ip->daddr;
	key->destination.word[3] = ip->saddr;
	key->source_port = ports[1];
	key->destination_port = ports[0];
	key->protocol = ip->protocol;
	return true;
}

static __always_inline bool read_quoted_v6(void *quoted, void *data_end, struct flow_key *key)
{
	struct ipv6hdr *ip = quoted;
	__be16 *ports = (void *)(ip + 1);

	if (quoted + QUOTED_V6 > data_end || ip->version != 6)
		return false;
	__builtin_memcpy(&key->source, &ip->daddr, 16);
	__builtin_memcpy(&key->destination, &ip->saddr, 16);
	key->source_port = ports[1];
	key->destination_port = ports[0];
	key->protocol = ip->nexthdr;
	return true;
}

/* The row of the direction in which this ICMP error travels, or nothing when it is not about a flow of ours. */
static __noinline struct flow *find_quoted_flow(struct packet *p, void *data, void *data_end)
{
	__u8 *type = data + (p->l4_offset & L4_OFFSET_MAX);
	void *quoted = type + sizeof(struct icmp_header);
	struct flow_key key = {};

	if ((void *)(type + 1) > data_end || !is_icmp_error(p, *type))
		return NULL;
	if (!(p->ipv6 ? read_quoted_v6(quoted, data_end, &key) : read_quoted_v4(quoted, data_end, &key)))
		return NULL;
	if (key.protocol != IPPROTO_TCP && key.protocol != IPPROTO_UDP)
		return NULL;
	return find_flow(&key);
}

/* Of UDP the checksum is among the eight quoted bytes; of TCP it is not. */
static __always_inline void requote_l4(__be16 *l4, const struct flow *f, bool udp)
{
	__u16 delta = checksum_fold((__u32)(__u16)~f->l4_delta);

	/* the quoted packet is translated the other way round: subtract what the row adds */
	l4[0] = f->destination_port;
	l4[1] = f->source_port;
	if (udp && l4[UDP_CHECKSUM_WORD])
		l4[UDP_CHECKSUM_WORD] = checksum_add(l4[UDP_CHECKSUM_WORD], delta);
}

static __noinline bool rewrite_icmp_error_v4(struct packet *p, const struct flow *f, void *data, void *data_end)
{
	struct iphdr *outer = data + ETH_HLEN;
	struct icmp_header *icmp = data + (p->l4_offset & L4_OFFSET_MAX);
	struct {
		struct iphdr ip;
		__be16 l4[4];
	} old, new;
	__be32 before[2] = { p->tuple.source.word[3], p->tuple.destination.word[3] }, after[2];

	if ((void *)(outer + 1) > data_end || (void *)(icmp + 1) + sizeof(old) > data_end)
		return false;
	__builtin_memcpy(&old, icmp + 1, sizeof(old));
	new = old;
	new.ip.saddr = f->destination.word[3];
	new.ip.daddr = f->source.word[3];
	new.ip.check = checksum_add(old.ip.check, checksum_difference(&old.ip.saddr, &new.ip.saddr, 8));
	requote_l4(new.l4, f, old.ip.protocol == IPPROTO_UDP);
	__builtin_memcpy(icmp + 1, &new, sizeof(new));
	icmp->checksum = checksum_add(icmp->checksum, checksum_difference(&old, &new, sizeof(new)));

	after[0] = f->flags & (FLOW_REPLY | FLOW_SNAT) ? f->source.word[3] : before[0];
	after[1] = f->destination.word[3];
	outer->saddr = after[0];
	outer->daddr = after[1];
	outer->check = checksum_add(outer->check, checksum_difference(before, after, sizeof(after)));
	return true;
}

static __noinline bool rewrite_icmp_error_v6(struct packet *p, const struct flow *f, void *data, void *data_end)
{
	struct ipv6hdr *outer = data + ETH_HLEN;
	struct icmp_header *icmp = data + (p->l4_offset & L4_OFFSET_MAX);
	struct {
		struct ipv6hdr ip;
		__be16 l4[4];
	} old, new;
	struct address after[2];
	__u32 delta;

	if ((void *)(outer + 1) > data_end || (void *)(icmp + 1) + sizeof(old) > data_end)
		return false;
	__builtin_memcpy(&old, icmp + 1, sizeof(old));
	new = old;
	__builtin_memcpy(&new.ip.saddr, &f->destination, 16);
	__builtin_memcpy(&new.ip.daddr, &f->source, 16);
	requote_l4(new.l4, f, old.ip.nexthdr == IPPROTO_UDP);
	__builtin_memcpy(icmp + 1, &new, sizeof(new));
	delta = checksum_difference(&old, &new, sizeof(new));

	after[0] = f->flags & (FLOW_REPLY | FLOW_SNAT) ? f->source : p->tuple.source;
	after[1] = f->destination;
	delta += checksum_difference(&p->tuple.source, after, sizeof(after)); /* the pseudo header */
	icmp->checksum = checksum_add(icmp->checksum, checksum_fold(delta));
	__builtin_memcpy(&outer->saddr, after, sizeof(after));
	return true;
}

static __always_inline bool rewrite_icmp_error(struct packet *p, const struct flow *f, void *data, void *data_end)
{
	return p->ipv6 ? rewrite_icmp_error_v6(p, f, data, data_end) : rewrite_icmp_error_v4(p, f, data, data_end);
}

#endif
