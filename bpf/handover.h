/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Beside another load balancer, while a cluster is handed over node by node (docs/migrate.md). Only packets without a flow row come here.
 *
 *     standing by    everything without a row goes to the stack: somebody else answers for the addresses and translates
 *     taking over    connections that kube-proxy has translated stay with it until they end; all others are ours
 */
#ifndef FAIRLEAD_HANDOVER_H
#define FAIRLEAD_HANDOVER_H

/* Of the kernel's connection tracking: only what is read, found by name when the program is loaded. */
struct nf_conn {
	unsigned long status;
} __attribute__((preserve_access_index));

struct bpf_ct_opts {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

#define CONNTRACK_CURRENT_NETNS (-1)
/* enum ip_conntrack_status, linux/netfilter/nf_conntrack_common.h */
#define IPS_ASSURED 0x4
#define IPS_DST_NAT 0x20
#define IPS_DYING 0x200

extern void bpf_ct_release(struct nf_conn *) __ksym __weak;

/* Each hook has its own (packet_xdp.h, packet_skb.h). */
static __always_inline struct nf_conn *find_connection(void *ctx, struct bpf_sock_tuple *tuple, __u32 length,
						       struct bpf_ct_opts *options);

static __always_inline __u32 traffic(void)
{
	const __u32 zero = 0;
	struct runtime *r = bpf_map_lookup_elem(&runtime, &zero);

	return r ? r->traffic : TRAFFIC_OURS;
}

static __always_inline bool stands_by(void)
{
	return traffic() == TRAFFIC_STANDING_BY;
}

static __always_inline __u32 conntrack_tuple(const struct packet *p, struct bpf_sock_tuple *t)
{
	if (p->ipv6) {
		__builtin_memcpy(t->ipv6.saddr, &p->tuple.source, 16);
		__builtin_memcpy(t->ipv6.daddr, &p->tuple.destination, 16);
		t->ipv6.sport = p->tuple.source_port;
		t->ipv6.dport = p->tuple.destination_port;
		return sizeof(t->ipv6);
	}
	t->ipv4.saddr = p->tuple.source.word[3];
	t->ipv4.daddr = p->tuple.destination.word[3];
	t->ipv4.sport = p->tuple.source_port;
	t->ipv4.dport = p->tuple.destination_port;
	return sizeof(t->ipv4);
}

/* A client that opens a connection anew from the port of one that it has closed gets a new one; one whose first SYN was lost does not. */
static __noinline bool kube_proxy_has(struct visit *v, const struct packet *p)
{
	struct bpf_ct_opts options = { .netns_id = CONNTRACK_CURRENT_NETNS, .l4proto = p->tuple.protocol };
	bool opens = p->tuple.protocol == IPPROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	struct bpf_sock_tuple tuple = {};
	unsigned long status;
	struct nf_conn *found;
	__u32 length;

	if (!has_conntrack)
		return false;
	length = conntrack_tuple(p, &tuple);
	found = find_connection(v->ctx, &tuple, length, &options);
	if (!found)
		return false;
	status = found->status;
	bpf_ct_release(found);
	return status & IPS_DST_NAT && !(status & IPS_DYING) && !(opens && status & IPS_ASSURED);
}

/* Whether a packet without a flow row is left to the stack. */
static __always_inline bool left_to_stack(struct visit *v, const struct packet *p)
{
	switch (traffic()) {
	case TRAFFIC_STANDING_BY:
		return true;
	case TRAFFIC_TAKING_OVER:
		return kube_proxy_has(v, p);
	default:
		return false;
	}
}

#endif
