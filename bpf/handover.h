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

/* A connection that is not known yet. */
struct nf_conn___init {
	unsigned long status;
} __attribute__((preserve_access_index));

extern void bpf_ct_set_timeout(struct nf_conn___init *, __u32 milliseconds) __ksym __weak;
extern struct nf_conn *bpf_ct_insert_entry(struct nf_conn___init *) __ksym __weak;
extern void bpf_ct_release(struct nf_conn *) __ksym __weak;

/* Each hook has its own (packet_xdp.h, packet_skb.h). */
static __always_inline struct nf_conn *find_connection(void *ctx, struct bpf_sock_tuple *tuple, __u32 length,
						       struct bpf_ct_opts *options);
static __always_inline struct nf_conn___init *begin_connection(void *ctx, struct bpf_sock_tuple *tuple, __u32 length,
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

static __always_inline __u32 conntrack_tuple(const struct flow_key *k, bool ipv6, struct bpf_sock_tuple *t)
{
	if (ipv6) {
		__builtin_memcpy(t->ipv6.saddr, &k->source, 16);
		__builtin_memcpy(t->ipv6.daddr, &k->destination, 16);
		t->ipv6.sport = k->source_port;
		t->ipv6.dport = k->destination_port;
		return sizeof(t->ipv6);
	}
	t->ipv4.saddr = k->source.word[3];
	t->ipv4.daddr = k->destination.word[3];
	t->ipv4.sport = k->source_port;
	t->ipv4.dport = k->destination_port;
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
	length = conntrack_tuple(&p->tuple, p->ipv6, &tuple);
	found = find_connection(v->ctx, &tuple, length, &options);
	if (!found)
		return false;
	status = found->status;
	bpf_ct_release(found);
	return status & IPS_DST_NAT && !(status & IPS_DYING) && !(opens && status & IPS_ASSURED);
}

/* As long as a backend's TIME_WAIT, and as much again for the connection itself. */
#define RESERVATION_MILLISECONDS 120000

/*
 * kube-proxy sends from this node's address too, from whatever port, and a backend that rests on a port (TIME_WAIT) refuses another client under it.
 * Where the kernel's connection tracking knows the port, kube-proxy takes another. False: it has this one. Where there is no room, it may.
 */
static __noinline bool reserve_port(struct visit *v, const struct flow_key *reply, bool ipv6)
{
	struct bpf_ct_opts options = { .netns_id = CONNTRACK_CURRENT_NETNS, .l4proto = reply->protocol };
	struct flow_key key = {
		.source = reply->destination,
		.destination = reply->source,
		.source_port = reply->destination_port,
		.destination_port = reply->source_port,
	};
	struct bpf_sock_tuple tuple = {};
	struct nf_conn___init *fresh;
	struct nf_conn *reserved;
	__u32 length;

	if (!has_conntrack || traffic() != TRAFFIC_TAKING_OVER)
		return true;
	length = conntrack_tuple(&key, ipv6, &tuple);
	fresh = begin_connection(v->ctx, &tuple, length, &options);
	if (!fresh)
		return true;
	bpf_ct_set_timeout(fresh, RESERVATION_MILLISECONDS);
	reserved = bpf_ct_insert_entry(fresh);
	if (!reserved)
		return false;
	bpf_ct_release(reserved);
	return true;
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
