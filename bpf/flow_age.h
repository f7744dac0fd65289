/* SPDX-License-Identifier: GPL-2.0 */
/* How long a flow row stays, and when it gives way to another. */
#ifndef FAIRLEAD_FLOW_AGE_H
#define FAIRLEAD_FLOW_AGE_H

static __always_inline __u32 flow_lifetime_seconds(const struct flow *f, __u8 protocol)
{
	if (protocol != IPPROTO_TCP)
		return udp_seconds;
	if (f->flags & FLOW_RESET)
		return tcp_reset_seconds;
	if (f->flags & FLOW_CLOSING)
		return tcp_closing_seconds;
	return f->flags & (FLOW_ESTABLISHED | FLOW_ANSWERED) ? tcp_established_seconds : tcp_syn_seconds;
}

static __always_inline bool flow_expired(const struct flow *f, __u8 protocol, __u32 now_seconds)
{
	return now_seconds - f->seen_seconds > flow_lifetime_seconds(f, protocol);
}

/* Both ends have spoken and neither has reset: no other flow takes the row's place before it expires. */
static __always_inline bool stays(const struct flow *f, __u8 protocol, __u32 now_seconds)
{
	return f->flags & FLOW_ANSWERED && !(f->flags & FLOW_RESET) && !flow_expired(f, protocol, now_seconds);
}

static __always_inline enum tag_class class_of(const struct flow *f, __u8 protocol)
{
	if (f->flags & FLOW_RESET)
		return TAG_OVER;
	if (!(f->flags & FLOW_ANSWERED))
		return TAG_OPENING;
	if (protocol != IPPROTO_TCP)
		return TAG_ANSWERED;
	return f->flags & FLOW_CLOSING ? TAG_CLOSING : TAG_ESTABLISHED;
}

/* ---- Tags: the same by the tag alone ------------------------------------------------------------------------ */

static __always_inline __u32 time_in_tag(enum tag_class class, __u64 now_ns)
{
	return (class >= TAG_ESTABLISHED ? now_ns >> 30 : now_ns >> 24) & TAG_TIME;
}

/* The low bits of the hash choose the bucket, the high ones tell its rows apart. Never 0. */
static __always_inline __u32 hash_in_tag(__u32 hash)
{
	__u32 bits = hash >> 4 & TAG_HASH;

	return bits ? bits : TAG_HASH;
}

static __always_inline __u64 make_tag(enum tag_class class, __u32 hash_bits, __u32 place, __u64 now_ns)
{
	return (__u64)((__u32)class << TAG_CLASS_SHIFT | hash_bits | time_in_tag(class, now_ns)) << TAG_PLACE_BITS | place;
}

/* All ones where both are the same, else 0; both below 2^31. Kept from the compiler, which would make a branch of it: see choose_victim(). */
static __always_inline __u64 if_same(__u64 a, __u64 b)
{
	__u64 mask = (__s64)((a ^ b) - 1) >> 63;

	asm volatile("" : "+r"(mask));
	return mask;
}

/* All ones where a > b, else 0. */
static __always_inline __u64 if_more(__u64 a, __u64 b)
{
	__u64 mask = (__s64)(b - a) >> 63;

	asm volatile("" : "+r"(mask));
	return mask;
}

#define EXPIRED_READINESS (TAG_TIME + 2)

/* How gladly a tag is given away: 0 not at all. */
static __always_inline __u64 readiness(__u64 tag, __u64 now_ns)
{
	__u64 half = tag >> TAG_PLACE_BITS, class = half >> TAG_CLASS_SHIFT;
	__u64 opening_age = ((now_ns >> 24) - half) & TAG_TIME, age = ((now_ns >> 30) - half) & TAG_TIME;
	__u64 expired = (if_same(class, TAG_ESTABLISHED) & if_more(age, tcp_established_seconds)) |
			(if_same(class, TAG_CLOSING) & if_more(age, tcp_closing_seconds)) |
			(if_same(class, TAG_ANSWERED) & if_more(age, udp_seconds)) | if_same(class, TAG_OVER);

	return (if_same(class, TAG_OPENING) & (opening_age + 1)) | (expired & EXPIRED_READINESS);
}

#endif
