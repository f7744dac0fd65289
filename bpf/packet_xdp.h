/* SPDX-License-Identifier: GPL-2.0 */
/* How an XDP program reaches and resizes its packet. Same names as packet_skb.h. */
#ifndef FAIRLEAD_PACKET_XDP_H
#define FAIRLEAD_PACKET_XDP_H

static __always_inline void *packet_data(void *ctx)
{
	return (void *)(long)((struct xdp_md *)ctx)->data;
}

static __always_inline void *packet_data_end(void *ctx)
{
	return (void *)(long)((struct xdp_md *)ctx)->data_end;
}

/* Cuts or extends the packet at its end to `bytes`, Ethernet header included. All packet pointers are void afterwards. */
static __always_inline bool resize_packet(void *ctx, __u32 bytes)
{
	struct xdp_md *xdp = ctx;

	return bpf_xdp_adjust_tail(xdp, (int)bytes - (int)(xdp->data_end - xdp->data)) == 0;
}

/*
 * A packet cannot grow where its buffer ends: a veth leaves no room behind a short one. tc, which can always make room, does the whole work.
 */
#define NOT_RESIZED VERDICT_LEFT_TO_TC

#endif
