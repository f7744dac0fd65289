/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Flow rows. A connection has two: `forward` (client → frontend, as it arrives) and `reply` (backend → where we said we are).
 * A row holds the whole translation, so an established packet costs one lookup. The rows find each other: the key of one
 * is what the other turns its packets into, reversed.
 */
#ifndef FAIRLEAD_FLOW_H
#define FAIRLEAD_FLOW_H

/* Cells a key may lie in: neighbors in memory, so that the second costs no second page to walk to. */
#define FLOW_WAYS 4
#define COMPILER_BARRIER() asm volatile("" ::: "memory")

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

static __always_inline bool same_key(const struct flow_key *a, const struct flow_key *b)
{
	const __u64 *x = (const void *)a, *y = (const void *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]));
}

/*
 * Sum of products of pairs (NH, as in UMAC, RFC 4418 §5.2): the multiplications do not wait for each other, and addresses that follow each
 * other spread evenly. The low bits of a chain of 32-bit multiplications would not see what network order puts into the high ones.
 */
static __always_inline __u32 key_hash(const struct flow_key *key)
{
	const __u32 *w = (const void *)key;
	__u64 h;

	h = (__u64)(w[0] + 0x9e3779b1u) * (w[1] + 0x85ebca6bu);
	h += (__u64)(w[2] + 0xc2b2ae35u) * (w[3] + 0x27d4eb2fu);
	h += (__u64)(w[4] + 0x165667b1u) * (w[5] + 0xcc9e2d51u);
	h += (__u64)(w[6] + 0x1b873593u) * (w[7] + 0xe6546b64u);
	h += (__u64)(w[8] + 0x7feb352du) * (w[9] + 0x846ca68bu);
	h = (h ^ h >> 32) * 0x9e3779b97f4a7c15ull;
	return h >> 32;
}

/* Whether any row ever had to go to the LRU hash: as long as none did, nobody looks there. */
static __always_inline bool overflowed(void)
{
	const __u32 zero = 0;
	struct runtime *r = bpf_map_lookup_elem(&runtime, &zero);

	return r && r->flows_overflowed;
}

static __always_inline struct flow_cell *cell_at(__u32 hash)
{
	__u32 index = hash & flow_cell_mask;

	return bpf_map_lookup_elem(&flow_cells, &index);
}

static __always_inline struct flow *find_flow(const struct flow_key *key)
{
	__u32 hash = key_hash(key);
#pragma unroll
	for (int way = 0; way < FLOW_WAYS; way++) {
		struct flow_cell *cell = cell_at(hash ^ way);

		if (cell && same_key(&cell->key, key))
			return &cell->flow;
	}
	return overflowed() ? bpf_map_lookup_elem(&flows, key) : NULL;
}

static __noinline struct flow *find_partner(const struct flow *f, __u8 protocol)
{
	struct flow_key key;

	partner_key(f, protocol, &key);
	return find_flow(&key);
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

static __always_inline bool cell_is_free(const struct flow_cell *cell, __u32 now_seconds)
{
	return !cell->key.protocol || flow_expired(&cell->flow, cell->key.protocol, now_seconds);
}

/* The last word of a key: its protocol and reserved bytes. */
static __always_inline __u32 *protocol_word(struct flow_cell *cell)
{
	return (__u32 *)&cell->key.protocol;
}

/* Two CPUs never write one cell, and a reader sees the old row, none, or the new one. */
static __always_inline bool take_cell(struct flow_cell *cell, const struct flow_key *key, const struct flow *row)
{
	__u32 was = *protocol_word(cell);

	if (was == CELL_BUSY || __sync_val_compare_and_swap(protocol_word(cell), was, CELL_BUSY) != was)
		return false;
	cell->flow = *row;
	cell->key.source = key->source;
	cell->key.destination = key->destination;
	cell->key.source_port = key->source_port;
	cell->key.destination_port = key->destination_port;
	COMPILER_BARRIER();
	*protocol_word(cell) = key->protocol;
	return true;
}

static __always_inline bool take_free_cell(const struct flow_key *key, const struct flow *row, __u32 now_seconds)
{
	__u32 hash = key_hash(key);
#pragma unroll
	for (int way = 0; way < FLOW_WAYS; way++) {
		struct flow_cell *cell = cell_at(hash ^ way);

		if (cell && cell_is_free(cell, now_seconds) && take_cell(cell, key, row))
			return true;
	}
	return false;
}

/* Never refuses but for a helper's failure. */
static __noinline bool store_flow(const struct flow_key *key, const struct flow *row, __u32 now_seconds)
{
	const __u32 zero = 0;
	struct runtime *r;

	if (take_free_cell(key, row, now_seconds))
		return true;
	r = bpf_map_lookup_elem(&runtime, &zero);
	if (!r)
		return false;
	r->flows_overflowed = 1;
	return bpf_map_update_elem(&flows, key, row, BPF_ANY) == 0;
}

#endif
