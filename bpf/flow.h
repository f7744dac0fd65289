/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Flow rows. A connection has two: `forward` (client → frontend, as it arrives) and `reply` (backend → where we said we are).
 * A row holds the whole translation, so an established packet costs one lookup. The rows find each other: the key of one
 * is what the other turns its packets into, reversed. Where they lie: flow_table.h.
 */
#ifndef FAIRLEAD_FLOW_H
#define FAIRLEAD_FLOW_H

static __always_inline bool is_syn(const struct packet *p)
{
	return p->tuple.protocol == IPPROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* DESIGN §6: the row pins the backend, until that is gone; a SYN that is not a retransmission chooses again. */
static __always_inline bool flow_holds(const struct flow *f, const struct packet *p, const struct visit *v)
{
	struct backend *b = find_backend(f->backend_id);

	if (!b || b->state == BACKEND_GONE || (__u16)b->generation != f->backend_generation)
		return false;
	if (flow_expired(f, p->tuple.protocol, v->now_seconds))
		return false;
	if (f->seen_seconds != v->now_seconds && !find_partner(f, p->tuple.protocol))
		return false; /* its port was given away, or its row evicted: nothing would come back */
	if (is_syn(p))
		return b->state == BACKEND_ACTIVE && !(f->flags & (FLOW_ESTABLISHED | FLOW_CLOSING | FLOW_RESET));
	return true;
}

/* A reset ends both directions. A direction that answers the other makes both stay: nobody else gets their place or their port. */
static __noinline void change_flags(struct flow *f, __u32 flags, __u8 protocol, __u64 now_ns)
{
	__u32 fresh = flags & ~f->flags, shared = 0;
	struct flow *partner = find_partner(f, protocol);

	if (fresh & FLOW_RESET)
		shared = FLOW_RESET;
	else if (partner && fresh & FLOW_ESTABLISHED && partner->packets)
		shared = FLOW_ANSWERED;
	f->flags = flags | shared;
	renew_tag(f, now_ns);
	if (!partner || !shared)
		return;
	partner->flags |= shared;
	renew_tag(partner, now_ns);
}

static __always_inline __u32 flags_after(const struct flow *f, const struct packet *p)
{
	if (p->tuple.protocol != IPPROTO_TCP)
		return f->flags & FLOW_REPLY ? f->flags | FLOW_ESTABLISHED : f->flags;
	return f->flags | (p->tcp_flags & TCP_SYN ? 0 : FLOW_ESTABLISHED) | (p->tcp_flags & TCP_FIN ? FLOW_CLOSING : 0) |
	       (p->tcp_flags & TCP_RST ? FLOW_RESET : 0);
}

static __always_inline void note_packet(struct flow *f, const struct packet *p, __u64 now_ns)
{
	__u32 flags = flags_after(f, p);

	f->packets += 1;
	f->bytes += p->length;
	if (flags != f->flags)
		change_flags(f, flags, p->tuple.protocol, now_ns);
}

/* Of a row that is not stored yet. */
static __always_inline void note_first_packet(struct flow *f, const struct packet *p)
{
	f->packets = 1;
	f->bytes = p->length;
	f->flags = flags_after(f, p);
}

/* What the translation adds to the checksums; constant for the life of the row. */
static __always_inline void set_deltas(struct flow *f, const struct flow_key *from)
{
	__u16 addresses = checksum_difference(&from->source, &f->source, 2 * sizeof(struct address));
	__u32 ports = (__u32)f->source_port + f->destination_port + (__u16)~from->source_port + (__u16)~from->destination_port;

	f->l3_delta = addresses;
	f->l4_delta = checksum_fold(addresses + ports);
}

/* The reply takes the way the request came: same device, same neighbor. */
static __always_inline void remember_way_back(struct flow *reply, const struct visit *v, const struct ethhdr *eth)
{
	reply->ifindex = v->ifindex;
	__builtin_memcpy(reply->destination_mac, eth->h_source, MAC_LENGTH);
	__builtin_memcpy(reply->source_mac, eth->h_dest, MAC_LENGTH);
}

#endif
