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

extern struct nf_conn___init *bpf_xdp_ct_alloc(struct xdp_md *, struct bpf_sock_tuple *, __u32, struct bpf_ct_opts *, __u32) __ksym __weak;
extern struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *, struct bpf_sock_tuple *, __u32, struct bpf_ct_opts *, __u32) __ksym __weak;

static __always_inline struct nf_conn *find_connection(void *ctx, struct bpf_sock_tuple *tuple, __u32 length,
						       struct bpf_ct_opts *options)
{
	return bpf_xdp_ct_lookup(ctx, tuple, length, options, sizeof(*options));
}

static __always_inline struct nf_conn___init *begin_connection(void *ctx, struct bpf_sock_tuple *tuple, __u32 length,
							       struct bpf_ct_opts *options)
{
	return bpf_xdp_ct_alloc(ctx, tuple, length, options, sizeof(*options));
}

/*
 * A packet cannot grow where its buffer ends: a veth leaves no room behind a short one. tc, which can always make room, does the whole work.
 */
#define NOT_RESIZED VERDICT_LEFT_TO_TC

#endif
