// SPDX-License-Identifier: GPL-2.0
/*
 * Not part of the product: veth passes XDP_TX and XDP redirects on only when its other end runs an XDP program too, which
 * real devices do not ask for. The lab puts this one there.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int lab_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
