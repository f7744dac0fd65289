// SPDX-License-Identifier: GPL-2.0
/* What the tests of src/kernel load: small programs whose effect can be seen, and one map of each kind. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct fixture_key {
	__u32 number;
};

struct fixture_value {
	__u32 first;
	__u32 second;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10000);
	__type(key, struct fixture_key);
	__type(value, struct fixture_value);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} shared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} counted SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} reports SEC(".maps");

const volatile __u32 answer = 1;
const volatile __u16 short_answer = 2;

static __always_inline void count(void)
{
	__u32 zero = 0;
	__u64 *counter = bpf_map_lookup_elem(&counted, &zero);

	if (counter)
		*counter += 1;
}

/* Overwrites the first byte with `answer`; returns what the first element of `shared` holds. */
SEC("xdp")
int fixture_xdp(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 zero = 0;
	__u64 *action = bpf_map_lookup_elem(&shared, &zero);

	count();
	if (!action || data + 1 > end)
		return XDP_ABORTED;
	*data = answer + short_answer;
	return *action;
}

/* Puts four bytes before the packet, as notes to tc are left. */
SEC("xdp")
int fixture_meta(struct xdp_md *ctx)
{
	__u32 *meta;

	if (bpf_xdp_adjust_meta(ctx, -4))
		return XDP_ABORTED;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return XDP_ABORTED;
	*meta = 0x64636261;
	return XDP_PASS;
}

/* Reports its device and the packet's length through the ring buffer. */
SEC("tc")
int fixture_tc(struct __sk_buff *skb)
{
	__u32 report[2] = { skb->ifindex, skb->len };

	count();
	bpf_ringbuf_output(&reports, report, sizeof(report), 0);
	return -1; /* TCX_NEXT */
}

char _license[] SEC("license") = "GPL";
