/* SPDX-License-Identifier: GPL-2.0 */
/* How a tc program reaches and resizes its packet. Same names as packet_xdp.h. */
#ifndef FAIRLEAD_PACKET_SKB_H
#define FAIRLEAD_PACKET_SKB_H

#ifndef TCX_NEXT
#define TCX_NEXT (-1) /* let the next program on this hook see it; newer than the headers of Debian 12 */
#endif

#define HEADERS_MAX 160 /* Ethernet, IPv6 with a few extension headers, TCP */

static __always_inline void *packet_data(void *ctx)
{
	return (void *)(long)((struct __sk_buff *)ctx)->data;
}

static __always_inline void *packet_data_end(void *ctx)
{
	return (void *)(long)((struct __sk_buff *)ctx)->data_end;
}

static __always_inline bool resize_packet(void *ctx, __u32 bytes)
{
	return bpf_skb_change_tail(ctx, bytes, 0) == 0;
}

/* The headers may lie in fragments of the skb; direct access sees the linear part only. */
static __always_inline void make_headers_linear(struct __sk_buff *skb)
{
	__u32 linear = skb->data_end - skb->data;

	if (linear < HEADERS_MAX && linear < skb->len)
		bpf_skb_pull_data(skb, skb->len < HEADERS_MAX ? skb->len : HEADERS_MAX);
}

extern struct nf_conn___init *bpf_skb_ct_alloc(struct __sk_buff *, struct bpf_sock_tuple *, __u32, struct bpf_ct_opts *, __u32) __ksym __weak;
extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *, struct bpf_sock_tuple *, __u32, struct bpf_ct_opts *, __u32) __ksym __weak;

static __always_inline struct nf_conn *find_connection(void *ctx, struct bpf_sock_tuple *tuple, __u32 length,
						       struct bpf_ct_opts *options)
{
	return bpf_skb_ct_lookup(ctx, tuple, length, options, sizeof(*options));
}

static __always_inline struct nf_conn___init *begin_connection(void *ctx, struct bpf_sock_tuple *tuple, __u32 length,
							       struct bpf_ct_opts *options)
{
	return bpf_skb_ct_alloc(ctx, tuple, length, options, sizeof(*options));
}

#define NOT_RESIZED DROP_INTERNAL /* no memory: nobody else can */

#endif
