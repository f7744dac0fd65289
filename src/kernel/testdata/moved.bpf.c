// SPDX-License-Identifier: GPL-2.0
/* Declares `table` of fixture.bpf.c with the two fields of its value the other way round: every size is the same. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct fixture_key {
	__u32 number;
};

struct fixture_value {
	__u32 second;
	__u32 first;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10000);
	__type(key, struct fixture_key);
	__type(value, struct fixture_value);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} table SEC(".maps");

SEC("xdp")
int moved_xdp(struct xdp_md *ctx)
{
	struct fixture_key key = {};

	return bpf_map_lookup_elem(&table, &key) ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
