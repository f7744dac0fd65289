/* SPDX-License-Identifier: GPL-2.0 */
/* From the hash of a key to the cells that may hold it: `flow_buckets`. What a tag holds is in abi.h, who gives way in flow_age.h. */
#ifndef FAIRLEAD_FLOW_TAGS_H
#define FAIRLEAD_FLOW_TAGS_H

#define TAG_TRIES 4
#define ANY_TAG (~0ull >> 1)
#define TAG_PLACE 0xffffffffull

static __always_inline struct flow_bucket *bucket_at(__u32 hash)
{
	__u32 index = hash & flow_bucket_mask;

	return bpf_map_lookup_elem(&flow_buckets, &index);
}

/* One bit a way whose tag equals `pattern` in the bits of `mask`. Without branches: none could be foretold. */
static __always_inline __u32 ways_with(const struct flow_bucket *bucket, __u64 pattern, __u64 mask)
{
	__u64 ways = 0;

#pragma unroll
	for (int i = 0; i < FLOW_WAYS; i++) {
		__u64 differs = ((bucket->tag[i] ^ pattern) & mask) + ANY_TAG; /* carries into the top bit unless 0 */

		ways |= (~differs >> 63) << i;
	}
	return ways;
}

#define DE_BRUIJN 0x17 /* each of its eight windows of three bits is another number */
#define WAY_OF_WINDOW 0x56374210u /* the way for each, in four bits */

/* The first way of a set that is not empty. */
static __always_inline __u32 first_way(__u32 ways)
{
	__u32 window = ((ways & -ways) * DE_BRUIJN & 0xff) >> 5;

	return WAY_OF_WINDOW >> window * 4 & 7;
}

/* The ways that may lead to a row with this hash. */
static __always_inline __u32 ways_with_hash(const struct flow_bucket *bucket, __u32 hash)
{
	return ways_with(bucket, (__u64)hash_in_tag(hash) << TAG_PLACE_BITS, (__u64)TAG_HASH << TAG_PLACE_BITS);
}

static __always_inline __u64 *find_tag(__u32 hash, __u32 place)
{
	struct flow_bucket *bucket = bucket_at(hash);
	const __u64 mask = (__u64)TAG_HASH << TAG_PLACE_BITS | TAG_PLACE;
	__u32 ways = bucket ? ways_with(bucket, (__u64)hash_in_tag(hash) << TAG_PLACE_BITS | place, mask) : 0;

	return ways ? &bucket->tag[first_way(ways)] : NULL;
}

/*
 * The way to give away of a full bucket plus one; 0: none. Without branches, because the verifier would follow every combination of eight.
 */
__noinline __u32 choose_victim(const struct flow_bucket *bucket, __u64 now_ns)
{
	__u64 best = 0;

	if (!bucket)
		return 0;
#pragma unroll
	for (__u64 way = 0; way < FLOW_WAYS; way++) {
		__u64 choice = readiness(bucket->tag[way], now_ns) << 8 | way;

		best ^= (best ^ choice) & if_more(choice, best);
	}
	return best >> 8 ? (best & 7) + 1 : 0;
}

/* Makes a row known. Not possible where all the bucket's rows stay. */
__noinline int insert_tag(__u32 hash, __u32 place, __u64 now_ns)
{
	struct flow_bucket *bucket = bucket_at(hash);

	if (!bucket)
		return false;
	for (int i = 0; i < TAG_TRIES; i++) {
		__u32 free = ways_with(bucket, 0, ANY_TAG);
		__u32 victim = free ? first_way(free) + 1 : choose_victim(bucket, now_ns);
		__u64 *tag = &bucket->tag[(victim - 1) & 7], was = *tag;

		if (!victim)
			return false;
		if (was && !readiness(was, now_ns))
			continue; /* it has changed meanwhile */
		if (__sync_val_compare_and_swap(tag, was, make_tag(TAG_OPENING, hash_in_tag(hash), place, now_ns)) == was)
			return true;
	}
	return false;
}

/*
 * Whether another row, also one that another CPU is just writing, has the same bits of the hash. Inserting is an atomic operation: of two CPUs
 * that insert the same key at least one sees the other here.
 */
static __always_inline bool has_twin(__u32 hash)
{
	struct flow_bucket *bucket = bucket_at(hash);
	__u32 ways = bucket ? ways_with_hash(bucket, hash) : 0;

	return ways & (ways - 1);
}

static __always_inline void remove_tag(__u32 hash, __u32 place)
{
	__u64 *tag = find_tag(hash, place), was = tag ? *tag : 0;

	if (tag && (__u32)was == place)
		__sync_val_compare_and_swap(tag, was, 0);
}

#endif
