/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Flow rows. A connection has two: `forward` (client → frontend, as it arrives) and `reply` (backend → where we said we are).
 * A row holds the whole translation, so an established packet costs one lookup. The rows find each other: the key of one
 * is what the other turns its packets into, reversed.
 */
#ifndef FAIRLEAD_FLOW_H
#define FAIRLEAD_FLOW_H

#define SOURCE_PORT_TRIES 16

static __always_inline __u32 flow_lifetime_seconds(const struct flow *f, __u8 protocol)
{
	if (protocol != IPPROTO_TCP)
		return udp_seconds;
	if (f->flags & FLOW_RESET)
		return tcp_reset_seconds;
	if (f->flags & FLOW_CLOSING)
		return tcp_closing_seconds;
	return f->flags & FLOW_ESTABLISHED ? tcp_established_seconds : tcp_syn_seconds;
}

static __always_inline bool flow_expired(const struct flow *f, __u8 protocol, __u32 now_seconds)
{
	return now_seconds - f->seen_seconds > flow_lifetime_seconds(f, protocol);
}

static __always_inline bool is_syn(const struct packet *p)
{
	return p->tuple.protocol == IPPROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* The key under which the other direction's row lies. */
static __always_inline void partner_key(const struct flow *f, __u8 protocol, struct flow_key *key)
{
	key->source = f->destination;
	key->destination = f->source;
	key->source_port = f->destination_port;
	key->destination_port = f->source_port;
	key->protocol = protocol;
	__builtin_memset(key->reserved, 0, sizeof(key->reserved));
}

static __noinline struct flow *find_partner(const struct flow *f, __u8 protocol)
{
	struct flow_key key;

	partner_key(f, protocol, &key);
	return bpf_map_lookup_elem(&flows, &key);
}

/* DESIGN §6: the row pins the backend, until that is gone; a SYN that is not a retransmission chooses again. */
static __always_inline bool flow_holds(const struct flow *f, const struct packet *p, const struct visit *v)
{
	struct backend *b = find_backend(f->backend_id);

	if (!b || b->state == BACKEND_GONE || b->generation != f->backend_generation)
		return false;
	if (flow_expired(f, p->tuple.protocol, v->now_seconds))
		return false;
	if (is_syn(p))
		return b->state == BACKEND_ACTIVE && !(f->flags & (FLOW_ESTABLISHED | FLOW_CLOSING | FLOW_RESET));
	return true;
}

static __always_inline void note_packet(struct flow *f, const struct packet *p)
{
	__u32 flags = f->flags;

	f->packets += 1;
	f->bytes += p->length;
	if (p->tuple.protocol != IPPROTO_TCP)
		return;
	if (!(p->tcp_flags & TCP_SYN))
		flags |= FLOW_ESTABLISHED;
	if (p->tcp_flags & TCP_FIN)
		flags |= FLOW_CLOSING;
	if (p->tcp_flags & TCP_RST)
		flags |= FLOW_RESET;
	if (flags == f->flags)
		return;
	if (flags & ~f->flags & FLOW_RESET) {
		struct flow *partner = find_partner(f, p->tuple.protocol);

		if (partner)
			partner->flags |= FLOW_RESET;
	}
	f->flags = flags;
}

/* What the translation adds to the checksums; constant for the life of the row. */
static __always_inline void set_deltas(struct flow *f, const struct flow_key *from)
{
	__u16 addresses = checksum_difference(&from->source, &f->source, 2 * sizeof(struct address));
	__u16 ports = checksum_difference(&from->source_port, &f->source_port, 4);

	f->l3_delta = addresses;
	f->l4_delta = checksum_fold((__u32)addresses + ports);
}

/* The reply takes the way the request came: same device, same neighbor. */
static __always_inline void remember_way_back(struct flow *reply, const struct visit *v, const struct ethhdr *eth)
{
	reply->ifindex = v->ifindex;
	__builtin_memcpy(reply->destination_mac, eth->h_source, MAC_LENGTH);
	__builtin_memcpy(reply->source_mac, eth->h_dest, MAC_LENGTH);
}

/* True when `key` is free, expired, or already says exactly what `reply` says. */
static __always_inline bool claim_reply_row(const struct flow_key *key, const struct flow *reply, __u32 now_seconds)
{
	struct flow *known = bpf_map_lookup_elem(&flows, key);

	if (known && !flow_expired(known, key->protocol, now_seconds) &&
	    (known->destination_port != reply->destination_port || known->source_port != reply->source_port ||
	     __builtin_memcmp(&known->destination, &reply->destination, sizeof(struct address)) ||
	     __builtin_memcmp(&known->source, &reply->source, sizeof(struct address))))
		return false;
	return bpf_map_update_elem(&flows, key, reply, BPF_ANY) == 0;
}

/* May be given away when no port is free: nothing but a SYN was ever answered, or the connection is over. */
static __always_inline bool is_half_open(const struct flow *f, __u8 protocol)
{
	return protocol == IPPROTO_TCP && (!(f->flags & FLOW_ESTABLISHED) || f->flags & (FLOW_CLOSING | FLOW_RESET));
}

/*
 * Finds a source port towards the backend such that the reply can be told apart: the client's own where its address is
 * kept, else the least recently used of this node's range (random ports meet the backend's TIME_WAIT far more often).
 * A flood of SYNs can take all ports, but not keep them: half-open flows make room.
 */
static __noinline enum verdict claim_source_port(struct scratch *s, struct backend *b, __u32 now_seconds)
{
	struct flow_key *key = &s->reply_key;
	__be16 spare = 0;

	if (!(s->forward.flags & FLOW_SNAT)) {
		set_deltas(&s->reply, key);
		if (claim_reply_row(key, &s->reply, now_seconds))
			return VERDICT_FORWARDED;
	}
	for (int i = 0; i < SOURCE_PORT_TRIES; i++) {
		__u32 port = snat_port_min + (__sync_fetch_and_add(&b->snat_cursor, 1) & snat_port_mask);
		struct flow *known;

		key->destination_port = bpf_htons(port);
		set_deltas(&s->reply, key);
		if (bpf_map_update_elem(&flows, key, &s->reply, BPF_NOEXIST) == 0) {
			s->forward.source_port = key->destination_port;
			return VERDICT_FORWARDED;
		}
		known = bpf_map_lookup_elem(&flows, key);
		if (known && flow_expired(known, key->protocol, now_seconds)) {
			spare = key->destination_port;
			break;
		}
		if (!spare && known && is_half_open(known, key->protocol))
			spare = key->destination_port;
	}
	if (!spare)
		return DROP_NO_SOURCE_PORT;
	key->destination_port = spare;
	set_deltas(&s->reply, key);
	if (bpf_map_update_elem(&flows, key, &s->reply, BPF_ANY))
		return DROP_INTERNAL;
	s->forward.source_port = spare;
	return VERDICT_FORWARDED;
}

#endif
