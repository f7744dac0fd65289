/* SPDX-License-Identifier: GPL-2.0 */
/* Internet checksum arithmetic (RFC 1071, incremental update RFC 1624). Pure. */
#ifndef FAIRLEAD_CHECKSUM_H
#define FAIRLEAD_CHECKSUM_H

static __always_inline __u16 checksum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The checksum field after the words under it grew by `delta` (ones' complement): HC' = ~(~HC + delta). */
static __always_inline __sum16 checksum_add(__sum16 field, __u16 delta)
{
	return (__sum16)~checksum_fold((__u32)(__u16)~field + delta);
}

/* The sum of `length` bytes, a multiple of four. Inlined and unrolled: the helper's call costs more than the additions. */
static __always_inline __u64 checksum_words(const void *bytes, __u32 length)
{
	const __u32 *word = bytes;
	__u64 sum = 0;

#pragma unroll
	for (__u32 i = 0; i < length / 4; i++)
		sum += word[i];
	return sum;
}

static __always_inline __u16 checksum_fold_wide(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	return checksum_fold((__u32)sum);
}

/* `to` minus `from`, both of `length` bytes (a constant, multiple of four). */
static __always_inline __u16 checksum_difference(const void *from, const void *to, __u32 length)
{
	__u16 minus = checksum_fold_wide(checksum_words(from, length));

	return checksum_fold_wide(checksum_words(to, length) + (__u16)~minus);
}

#endif
