// SPDX-License-Identifier: GPL-2.0
/* Refused by the verifier, after a log of some length. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int refused_xdp(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	__u32 sum = 0;

	for (int i = 0; i < 64; i++)
		sum += bpf_get_prandom_u32();
	return data[0] + sum; /* no comparison with data_end */
}

char _license[] SEC("license") = "GPL";
