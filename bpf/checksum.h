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

/* `to` minus `from`, both of `length` bytes (a multiple of four). */
static __always_inline __u16 checksum_difference(const void *from, const void *to, __u32 length)
{
	return checksum_fold((__u32)bpf_csum_diff((__be32 *)from, length, (__be32 *)to, length, 0));
}

#endif
