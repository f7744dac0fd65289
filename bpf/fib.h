/* SPDX-License-Identifier: GPL-2.0 */
/* The node's own routing table says by which device, next hop and source address a backend is reached. */
#ifndef FAIRLEAD_FIB_H
#define FAIRLEAD_FIB_H

#ifndef BPF_FIB_LOOKUP_SRC
#define BPF_FIB_LOOKUP_SRC (1U << 4) /* since Linux 6.7; newer than the headers of Debian 12 */
#endif

struct route {
	struct address source; /* this node's address towards the destination */
	__u32 ifindex;
	__u8 source_mac[MAC_LENGTH];
	__u8 next_hop_mac[MAC_LENGTH];
	bool neighbor_known;
};

enum route_result { ROUTE_FOUND, ROUTE_NONE };

static __noinline enum route_result find_route(struct visit *v, const struct address *to, struct route *out, bool ipv6)
{
	struct bpf_fib_lookup fib = {};
	long result;

	fib.ifindex = v->ifindex;
	if (ipv6) {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_dst, to, 16);
	} else {
		fib.family = AF_INET;
		fib.ipv4_dst = to->word[3];
	}
	result = bpf_fib_lookup(v->ctx, &fib, sizeof(fib), BPF_FIB_LOOKUP_SRC);
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return ROUTE_NONE;
	out->ifindex = fib.ifindex;
	if (ipv6) {
		__builtin_memcpy(&out->source, fib.ipv6_src, 16);
	} else {
		out->source.word[0] = out->source.word[1] = 0;
		out->source.word[2] = bpf_htonl(0xffff);
		out->source.word[3] = fib.ipv4_src;
	}
	out->neighbor_known = result == BPF_FIB_LKUP_RET_SUCCESS;
	if (out->neighbor_known) {
		__builtin_memcpy(out->source_mac, fib.smac, MAC_LENGTH);
		__builtin_memcpy(out->next_hop_mac, fib.dmac, MAC_LENGTH);
	} else {
		__builtin_memset(out->source_mac, 0, MAC_LENGTH);
		__builtin_memset(out->next_hop_mac, 0, MAC_LENGTH);
	}
	return ROUTE_FOUND;
}

#endif
