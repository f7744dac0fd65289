/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where flow rows lie. A key hashes to a bucket: one cache line of tags that say which cells may hold it. Looking reads that line and the cell
 * that is meant; a row that is not there costs one line. The cells themselves are used up in order, a pair a flow, round and round:
 * what was opened together lies together, and cells being written are in pages that were just used. (Cells placed by the hash cost a walk
 * through the page tables each, new and established.)
 *
 * The ring passes over flows that stay (flow_age.h) and takes the cells of all others, the oldest first by its nature: a flood of new flows evicts
 * its own. The tags of a pair that was taken are not looked for: they lead to a cell with another key, which is as good as none, and give way to
 * the next that need room in their bucket. Where nothing but flows that stay is found, a flow goes to the LRU hash `flows`.
 */
#ifndef FAIRLEAD_FLOW_TABLE_H
#define FAIRLEAD_FLOW_TABLE_H

#define COMPILER_BARRIER() asm volatile("" ::: "memory")
#define PAIR_TRIES 8
#define NO_PLACE 0

static __always_inline struct flow_cell *cell_at(__u32 place)
{
	__u32 index = place - 1;

	return bpf_map_lookup_elem(&flow_cells, &index);
}

/* The other one of the pair. */
static __always_inline __u32 partner_place(__u32 place)
{
	return ((place - 1) ^ 1) + 1;
}

/* ---- Looking ----------------------------------------------------------------------------------------------- */

/* Whether any row ever had to go to the LRU hash: as long as none did, nobody looks there. */
static __always_inline bool overflowed(void)
{
	const __u32 zero = 0;
	struct runtime *r = bpf_map_lookup_elem(&runtime, &zero);

	return r && r->flows_overflowed;
}

/*
 * Functions that are not static are verified once, and not at every place that calls them: in the loops of a new flow that would be more than
 * the verifier is willing to do.
 */
__noinline __u32 find_place(const struct flow_key *key, __u32 hash)
{
	struct flow_bucket *bucket = bucket_at(hash);
	__u32 ways;

	if (!bucket || !key)
		return NO_PLACE;
	ways = ways_with_hash(bucket, hash);
	for (int i = 0; i < FLOW_WAYS && ways; i++) {
		__u32 place = bucket->tag[first_way(ways)];
		struct flow_cell *cell = cell_at(place);

		if (cell && same_key(&cell->key, key))
			return place;
		ways &= ways - 1;
	}
	return NO_PLACE;
}

static __always_inline struct flow *find_row(const struct flow_key *key, __u32 hash)
{
	struct flow_cell *cell = cell_at(find_place(key, hash));

	if (cell)
		return &cell->flow;
	return overflowed() ? bpf_map_lookup_elem(&flows, key) : NULL;
}

static __always_inline struct flow *find_flow(const struct flow_key *key)
{
	return find_row(key, key_hash(key));
}

/* The key under which the other direction's row lies. */
static __always_inline void partner_key(const struct flow *f, __u8 protocol, struct flow_key *key)
{
	key->source = f->destination;
	key->destination = f->source;
	set_ports(key, f->destination_port, f->source_port, protocol);
}

static __noinline struct flow *find_partner(const struct flow *f, __u8 protocol)
{
	struct flow_cell *cell;
	struct flow_key key;

	if (f->place != NO_PLACE) {
		cell = cell_at(partner_place(f->place));
		return cell && cell->key.protocol ? &cell->flow : NULL;
	}
	partner_key(f, protocol, &key);
	return find_flow(&key);
}

/* Says in the tag what the row says: it has changed its class, or was seen again. */
__noinline int renew_tag(const struct flow *f, __u64 now_ns)
{
	struct flow_cell *cell = f ? cell_at(f->place) : NULL;
	__u64 *tag, was;

	if (!cell)
		return 0;
	tag = find_tag(key_hash(&cell->key), f->place);
	was = tag ? *tag : 0;
	if (tag && (__u32)was == f->place)
		__sync_val_compare_and_swap(tag, was, make_tag(class_of(f, cell->key.protocol), was >> TAG_PLACE_BITS & TAG_HASH, f->place, now_ns));
	return 0;
}

/* ---- Cells ------------------------------------------------------------------------------------------------- */

/* The last word of a key: its protocol and reserved bytes. */
static __always_inline __u32 *protocol_word(struct flow_cell *cell)
{
	return (__u32 *)&cell->key.protocol;
}

static __always_inline bool is_taken(const struct flow_cell *cell, __u32 now_seconds)
{
	return cell->key.protocol && stays(&cell->flow, cell->key.protocol, now_seconds);
}

/*
 * The place of two cells that nobody else writes and no reader takes; NO_PLACE when only flows that stay were met. A CPU leaves a chunk before the ring
 * comes round to it again.
 */
__noinline __u32 claim_pair(struct scratch *s, __u32 now_seconds)
{
	const __u32 zero = 0, chunks = (flow_cell_mask + 1) / (2 * CHUNK_PAIRS);
	struct runtime *r = bpf_map_lookup_elem(&runtime, &zero);

	if (!r || !s)
		return NO_PLACE;
	for (int i = 0; i < PAIR_TRIES; i++) {
		struct flow_cell *forward, *reply;
		__u32 place;

		if (!s->pairs_left || r->chunks_taken - s->chunk > chunks / 2 + 1) {
			s->chunk = __sync_fetch_and_add(&r->chunks_taken, 1);
			s->pairs_left = CHUNK_PAIRS;
		}
		place = (((s->chunk + 1) * CHUNK_PAIRS - s->pairs_left) * 2 & flow_cell_mask) + 1;
		s->pairs_left--;
		forward = cell_at(place);
		reply = cell_at(place + 1);
		if (!forward || !reply || is_taken(forward, now_seconds) || is_taken(reply, now_seconds))
			continue;
		*protocol_word(forward) = 0;
		*protocol_word(reply) = 0;
		return place;
	}
	return NO_PLACE;
}

/* A reader sees no row, or all of it. */
static __always_inline bool write_cell(__u32 place, const struct flow_key *key, const struct flow *row)
{
	struct flow_cell *cell = cell_at(place);

	if (!cell)
		return false;
	cell->flow = *row;
	cell->flow.place = place;
	cell->key.source = key->source;
	cell->key.destination = key->destination;
	cell->key.source_port = key->source_port;
	cell->key.destination_port = key->destination_port;
	COMPILER_BARRIER();
	*protocol_word(cell) = key->protocol;
	return true;
}

static __noinline bool write_to_hash(const struct flow_key *key, const struct flow *row)
{
	const __u32 zero = 0;
	struct runtime *r = bpf_map_lookup_elem(&runtime, &zero);

	if (!r)
		return false;
	r->flows_overflowed = 1;
	return bpf_map_update_elem(&flows, key, row, BPF_ANY) == 0;
}

/* Never refuses but for a helper's failure. */
static __always_inline bool write_row(__u32 place, const struct flow_key *key, const struct flow *row)
{
	return place == NO_PLACE ? write_to_hash(key, row) : write_cell(place, key, row);
}

static __always_inline void remove_cell(__u32 place)
{
	struct flow_cell *cell = cell_at(place);

	if (!cell)
		return;
	remove_tag(key_hash(&cell->key), place);
	*protocol_word(cell) = 0;
}

/* Both rows of a flow that lies under this key. */
__noinline int remove_flow(const struct flow *f, const struct flow_key *key)
{
	struct flow_key partner;
	__u32 place;

	if (!f || !key)
		return 0;
	place = f->place;
	if (place != NO_PLACE) {
		remove_cell(place);
		remove_cell(partner_place(place));
		return 0;
	}
	partner_key(f, key->protocol, &partner);
	bpf_map_delete_elem(&flows, key);
	bpf_map_delete_elem(&flows, &partner);
	return 0;
}

#endif
