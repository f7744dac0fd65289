/* SPDX-License-Identifier: GPL-2.0 */
/* From a tuple to the frontend it asks for, and from a frontend to a backend. */
#ifndef FAIRLEAD_SERVICE_H
#define FAIRLEAD_SERVICE_H

static __always_inline struct frontend *find_frontend(const struct packet *p)
{
	struct frontend_key key = {
		.address = p->tuple.destination,
		.port = p->tuple.destination_port,
		.protocol = p->tuple.protocol,
	};

	return bpf_map_lookup_elem(&frontends, &key);
}

/* The row {address, 0, 0}: the filter may be wrong, this is not. */
static __always_inline struct frontend *find_frontend_address(const struct packet *p)
{
	struct frontend_key key = { .address = p->tuple.destination };

	return bpf_map_lookup_elem(&frontends, &key);
}

static __always_inline bool is_frontend_address(const struct address *address)
{
	struct frontend_key key = { .address = *address };

	return bpf_map_lookup_elem(&frontends, &key);
}

static __always_inline struct backend *find_backend(__u32 id)
{
	return bpf_map_lookup_elem(&backends, &id);
}

/*
 * The destination address is left out on purpose: a client is mapped alike by all addresses of a Service, and by all
 * nodes. (Mixing steps of MurmurHash3, public domain.)
 */
static __always_inline __u32 flow_hash(const struct packet *p)
{
	__u32 words[6] = {
		p->tuple.source.word[0], p->tuple.source.word[1], p->tuple.source.word[2], p->tuple.source.word[3],
		(__u32)p->tuple.source_port << 16 | p->tuple.destination_port, p->tuple.protocol,
	};
	__u32 h = maglev_seed;

#pragma unroll
	for (int i = 0; i < 6; i++) {
		__u32 k = words[i] * 0xcc9e2d51;

		k = (k << 15 | k >> 17) * 0x1b873593;
		h ^= k;
		h = (h << 13 | h >> 19) * 5 + 0xe6546b64;
	}
	h ^= h >> 16;
	h *= 0x85ebca6b;
	h ^= h >> 13;
	h *= 0xc2b2ae35;
	return h ^ h >> 16;
}

static __always_inline __u32 maglev_slot(const struct packet *p, const struct frontend *f)
{
	__u32 index = f->maglev_base + flow_hash(p) % f->maglev_size;
	__u32 chunk_index = index / CHUNK_MAGLEV;
	struct maglev_chunk *chunk = bpf_map_lookup_elem(&maglev, &chunk_index);

	return chunk ? chunk->slot[index % CHUNK_MAGLEV] : 0;
}

/* The id of a backend, or 0 when nobody can answer. */
static __always_inline __u32 choose_backend(const struct packet *p, const struct frontend *f)
{
	__u32 slot, index, chunk_index;
	struct slot_chunk *chunk;

	if (!f->slot_count)
		return 0;
	slot = f->maglev_size ? maglev_slot(p, f) : bpf_get_prandom_u32() % f->slot_count;
	if (slot >= f->slot_count)
		slot = 0; /* a table one write older than its slots: any backend of this Service is right */
	index = f->slot_base + slot;
	chunk_index = index / CHUNK_SLOTS;
	chunk = bpf_map_lookup_elem(&slots, &chunk_index);
	return chunk ? chunk->backend_id[index % CHUNK_SLOTS] : 0;
}

#endif
