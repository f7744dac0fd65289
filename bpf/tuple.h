/* SPDX-License-Identifier: GPL-2.0 */
/* Keys of flows: written, compared and hashed in words of eight bytes, see WIDE in abi.h. Pure. */
#ifndef FAIRLEAD_TUPLE_H
#define FAIRLEAD_TUPLE_H

static __always_inline void copy_wide(void *to, const void *from, __u32 words)
{
#pragma unroll
	for (__u32 i = 0; i < words; i++)
		((__u64 *)to)[i] = ((const __u64 *)from)[i];
}

/* ::ffff:a.b.c.d: the first eight bytes are zero already. In one store, see WIDE. */
static __always_inline void set_mapped(struct address *to, __be32 from)
{
	*(__u64 *)&to->word[2] = (__u64)from << 32 | bpf_htonl(0xffff);
}

/* Ports and protocol of a key in one store. Network order in memory, the first port in the low bits of a little-endian word. */
static __always_inline void set_ports(struct flow_key *key, __be16 source, __be16 destination, __u8 protocol)
{
	*(__u64 *)&key->source_port = (__u64)protocol << 32 | (__u32)destination << 16 | source;
}

static __always_inline bool same_key(const struct flow_key *a, const struct flow_key *b)
{
	const __u64 *x = (const void *)a, *y = (const void *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]));
}

static __always_inline __u64 product(__u64 word, __u32 a, __u32 b)
{
	return (__u64)((__u32)word + a) * ((__u32)(word >> 32) + b);
}

/*
 * Sum of products of pairs (NH, as in UMAC, RFC 4418 §5.2): the multiplications do not wait for each other, and addresses that follow each
 * other spread evenly. The low bits of a chain of 32-bit multiplications would not see what network order puts into the high ones.
 */
static __always_inline __u32 key_hash(const struct flow_key *key)
{
	const __u64 *w = (const void *)key;
	__u64 h;

	h = product(w[0], 0x9e3779b1, 0x85ebca6b) + product(w[1], 0xc2b2ae35, 0x27d4eb2f) + product(w[2], 0x165667b1, 0xcc9e2d51) +
	    product(w[3], 0x1b873593, 0xe6546b64) + product(w[4], 0x7feb352d, 0x846ca68b);
	h = (h ^ h >> 32) * 0x9e3779b97f4a7c15ull;
	return h >> 32;
}

#endif
