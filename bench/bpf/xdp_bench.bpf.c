// SPDX-License-Identifier: GPL-2.0
/*
 * The product's XDP program, wrapped for BPF_PROG_TEST_RUN: that call neither restores the packet between its repeats nor
 * varies it, so each program here first writes the packet anew, with the client's address taken from a counter. `bench_restore` does only
 * that and is subtracted. The maps are filled by user space as the agent fills them.
 */
#include "../../bpf/xdp.bpf.c"

const volatile __u32 client_mask = 0; /* flows - 1; a power of two minus one */
const volatile __u32 client_base = 0x0a640001; /* 10.100.0.1 */
const volatile __u32 address_v4 = 0xc0a80a00; /* the frontend */
const volatile __u16 frontend_port = 80;

static __u32 counter;

static __always_inline int restore(struct xdp_md *ctx, __u32 client, __u32 destination, __u8 tcp_flags)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + ETH_HLEN;
	struct tcphdr *tcp = (void *)(ip + 1);

	if ((void *)(tcp + 1) > data_end)
		return -1;
	eth->h_proto = bpf_htons(ETH_P_IP);
	eth->h_dest[0] = 2; /* 02:00:00:00:02:01, the uplink's */
	eth->h_dest[1] = eth->h_dest[2] = eth->h_dest[3] = 0;
	eth->h_dest[4] = 2;
	eth->h_dest[5] = 1;
	eth->h_source[0] = 6;
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->frag_off = 0;
	ip->tot_len = bpf_htons(46);
	ip->protocol = IPPROTO_TCP;
	ip->saddr = bpf_htonl(client_base + client);
	ip->daddr = bpf_htonl(destination);
	tcp->source = bpf_htons(20000 + (client & 0x3fff));
	tcp->dest = bpf_htons(frontend_port);
	((__u8 *)tcp)[TCP_FLAG_BYTE] = tcp_flags;
	return 0;
}

/*
 * The yardstick: the least a NAT can do. IPv4 only, one row a flow, one fixed backend, no service table, no states, no way
 * back; measured in the same run as ours.
 */
struct minimal_key {
	__be32 source, destination;
	__be16 source_port, destination_port;
	__u32 protocol;
};

struct minimal_row {
	__be32 destination;
	__be16 port;
	__u16 delta;
	__u8 macs[12];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 262144);
	__type(key, struct minimal_key);
	__type(value, struct minimal_row);
} minimal_rows SEC(".maps");

static __always_inline int minimal_nat(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	struct tcphdr *tcp = (void *)(ip + 1);
	struct minimal_row *row, fresh = { .destination = bpf_htonl(0x0af40201), .port = bpf_htons(8080), .delta = 1 };
	struct minimal_key key = {};

	if ((void *)(tcp + 1) > data_end)
		return XDP_DROP;
	key.source = ip->saddr;
	key.destination = ip->daddr;
	key.source_port = tcp->source;
	key.destination_port = tcp->dest;
	key.protocol = ip->protocol;
	row = bpf_map_lookup_elem(&minimal_rows, &key);
	if (!row) {
		bpf_map_update_elem(&minimal_rows, &key, &fresh, BPF_ANY);
		row = &fresh;
	}
	__builtin_memcpy(data, row->macs, sizeof(row->macs));
	ip->daddr = row->destination;
	ip->check = checksum_add(ip->check, row->delta);
	tcp->dest = row->port;
	tcp->check = checksum_add(tcp->check, row->delta);
	return XDP_TX;
}

SEC("xdp")
int bench_minimal_established(struct xdp_md *ctx)
{
	if (restore(ctx, counter++ & client_mask, address_v4, TCP_ACK))
		return XDP_ABORTED;
	return minimal_nat(ctx);
}

SEC("xdp")
int bench_minimal_new(struct xdp_md *ctx)
{
	if (restore(ctx, counter++, address_v4, TCP_SYN))
		return XDP_ABORTED;
	return minimal_nat(ctx);
}

SEC("xdp")
int bench_trivial(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int bench_restore(struct xdp_md *ctx)
{
	return restore(ctx, counter++ & client_mask, address_v4, TCP_ACK) ? XDP_ABORTED : XDP_PASS;
}

SEC("xdp")
int bench_established(struct xdp_md *ctx)
{
	if (restore(ctx, counter++ & client_mask, address_v4, TCP_ACK))
		return XDP_ABORTED;
	return process(ctx);
}

SEC("xdp")
int bench_new(struct xdp_md *ctx)
{
	if (restore(ctx, counter++, address_v4, TCP_SYN))
		return XDP_ABORTED;
	return process(ctx);
}

SEC("xdp")
int bench_foreign(struct xdp_md *ctx)
{
	if (restore(ctx, counter++ & client_mask, 0x08080808, TCP_ACK))
		return XDP_ABORTED;
	return process(ctx);
}
