/* SPDX-License-Identifier: GPL-2.0 */
/* The node's own routing table says by which device, next hop and source address a backend is reached. */
#ifndef FAIRLEAD_FIB_H
#define FAIRLEAD_FIB_H

#ifndef BPF_FIB_LOOKUP_SRC
#define BPF_FIB_LOOKUP_SRC (1U << 4) /* since Linux 6.7; newer than the headers of Debian 12 */
#endif

enum route_result { ROUTE_FOUND, ROUTE_NONE };

static __noinline enum route_result ask_routing_table(struct visit *v, const struct address *to, struct route *out, bool ipv6)
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

static __always_inline bool same_address(const struct address *a, const struct address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] && a->word[3] == b->word[3];
}

/* An unresolved neighbor is not remembered: it may be known with the next packet. */
static __always_inline enum route_result find_route(struct visit *v, const struct address *to, struct route *out, bool ipv6)
{
	__u32 index = v->backend_id & 1023;
	struct cached_route *cached = bpf_map_lookup_elem(&route_cache, &index);

	if (cached && cached->second == v->now_seconds && cached->ingress_ifindex == v->ifindex &&
	    same_address(&cached->destination, to)) {
		*out = cached->route;
		return ROUTE_FOUND;
	}
	if (ask_routing_table(v, to, out, ipv6) == ROUTE_NONE)
		return ROUTE_NONE;
	if (cached && out->neighbor_known) {
		cached->destination = *to;
		cached->second = v->now_seconds;
		cached->ingress_ifindex = v->ifindex;
		cached->route = *out;
	}
	return ROUTE_FOUND;
}

#endif
