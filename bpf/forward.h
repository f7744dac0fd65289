/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The decision: packet in, verdict and flow row out. Nothing here writes to the packet; xdp.bpf.c and netdev.bpf.c each
 * carry the row out in their own way (rewrite_xdp.h, rewrite_skb.h).
 */
#ifndef FAIRLEAD_FORWARD_H
#define FAIRLEAD_FORWARD_H

static __always_inline bool is_zero_mac(const __u8 *mac)
{
	return !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

static __always_inline enum verdict forward_verdict(const struct flow *f)
{
	if (f->flags & FLOW_PEER)
		return VERDICT_DELIVERED;
	return f->flags & FLOW_STACK ? VERDICT_DELIVERED_BY_STACK : VERDICT_FORWARDED;
}

/* A backend here: into its namespace where the veth is ours, else through the stack. */
static __always_inline void aim_at_local(struct flow *f)
{
	struct endpoint *e = bpf_map_lookup_elem(&endpoints, &f->destination);

	f->flags &= ~(FLOW_PEER | FLOW_STACK);
	f->flags |= e ? FLOW_PEER : FLOW_STACK;
	f->ifindex = e ? e->ifindex : 0;
	if (e) {
		__builtin_memcpy(f->destination_mac, e->mac, MAC_LENGTH);
		__builtin_memcpy(f->source_mac, e->node_mac, MAC_LENGTH);
	} else {
		__builtin_memset(f->destination_mac, 0, 2 * MAC_LENGTH);
	}
}

/* A backend elsewhere, reached over the node's routes. (The place of direct return: nothing but the source would stay.) */
static __always_inline enum route_result aim_at_remote(struct flow *f, struct visit *v, bool ipv6, bool choose_source)
{
	struct route way;

	if (find_route(v, &f->destination, &way, ipv6) == ROUTE_NONE)
		return ROUTE_NONE;
	f->ifindex = way.ifindex;
	__builtin_memcpy(f->destination_mac, way.next_hop_mac, MAC_LENGTH);
	__builtin_memcpy(f->source_mac, way.source_mac, MAC_LENGTH);
	if (choose_source)
		f->source = way.source;
	return ROUTE_FOUND;
}

/* Everything but addresses and ports, the way out, and the deltas. */
static __always_inline void begin_row(struct flow *f, const struct visit *v, const struct backend *b, __u32 backend_id, __u16 flags)
{
	f->service_id = v->service_id;
	f->backend_id = backend_id;
	f->backend_generation = b->generation;
	f->flags = flags;
	f->seen_seconds = v->now_seconds;
	f->place = NO_PLACE;
	f->packets = 0;
	f->bytes = 0;
}

static __always_inline void fill_rows(struct scratch *s, const struct packet *p, const struct visit *v,
				      const struct backend *b, __u32 backend_id)
{
	begin_row(&s->forward, v, b, backend_id, 0);
	s->forward.source = p->tuple.source;
	s->forward.source_port = p->tuple.source_port;
	s->forward.destination = b->address;
	s->forward.destination_port = b->port;
	note_first_packet(&s->forward, p);

	begin_row(&s->reply, v, b, backend_id, FLOW_REPLY);
	s->reply.source = p->tuple.destination;
	s->reply.source_port = p->tuple.destination_port;
	s->reply.destination = p->tuple.source;
	s->reply.destination_port = p->tuple.source_port;
}

/* Fills both rows and finds a place for the reply's. */
static __always_inline enum verdict claim_way_back(struct visit *v, struct packet *p, struct backend *b, struct ethhdr *eth,
					   struct scratch *s, __be16 port_before)
{
	struct flow *f = &s->forward;
	enum verdict verdict;

	fill_rows(s, p, v, b, v->backend_id);
	if (b->local) {
		aim_at_local(f);
	} else {
		f->flags |= FLOW_SNAT;
		if (aim_at_remote(f, v, p->ipv6, true) == ROUTE_NONE)
			return DROP_NO_ROUTE;
	}
	remember_way_back(&s->reply, v, eth);
	s->reply.flags |= f->flags & (FLOW_SNAT | FLOW_PEER | FLOW_STACK);
	partner_key(f, p->tuple.protocol, &s->reply_key);
	verdict = claim_source_port(v, s, b, p->ipv6, port_before);
	if (verdict != VERDICT_FORWARDED)
		return verdict;
	set_deltas(f, &p->tuple);
	return VERDICT_FORWARDED;
}

/* Once a second and flow: the route may have changed, the client may have moved. */
static __noinline enum verdict refresh_forward(struct visit *v, struct packet *p, struct flow *f, struct ethhdr *eth)
{
	struct flow *reply = find_partner(f, p->tuple.protocol);

	f->seen_seconds = v->now_seconds;
	renew_tag(f, v->now_ns);
	if (reply) {
		reply->seen_seconds = v->now_seconds;
		remember_way_back(reply, v, eth);
		renew_tag(reply, v->now_ns);
	}
	if (!(f->flags & FLOW_SNAT))
		aim_at_local(f);
	else if (aim_at_remote(f, v, p->ipv6, false) == ROUTE_NONE)
		return DROP_NO_ROUTE;
	return VERDICT_FORWARDED;
}

static __always_inline enum verdict use_forward(struct visit *v, struct packet *p, struct flow *f, struct ethhdr *eth)
{
	bool unresolved = (f->flags & FLOW_SNAT) && is_zero_mac(f->destination_mac);

	v->service_id = f->service_id;
	v->backend_id = f->backend_id;
	if (f->seen_seconds != v->now_seconds || unresolved) {
		enum verdict verdict = refresh_forward(v, p, f, eth);

		if (verdict != VERDICT_FORWARDED)
			return verdict;
	}
	note_packet(f, p, v->now_ns);
	return forward_verdict(f);
}

static __noinline void refresh_reply(struct visit *v, struct packet *p, struct flow *f)
{
	struct flow *forward = find_partner(f, p->tuple.protocol);

	f->seen_seconds = v->now_seconds;
	renew_tag(f, v->now_ns);
	if (!forward)
		return;
	forward->seen_seconds = v->now_seconds;
	renew_tag(forward, v->now_ns);
}

static __always_inline enum verdict use_reply(struct visit *v, struct packet *p, struct flow *f)
{
	v->service_id = f->service_id;
	v->backend_id = f->backend_id;
	if (f->seen_seconds != v->now_seconds)
		refresh_reply(v, p, f);
	note_packet(f, p, v->now_ns);
	return VERDICT_REPLIED;
}

/* Both are made known before they are written: an atomic operation waits for what was written before it. The reply goes first. */
static __always_inline bool store_rows(struct scratch *s, struct packet *p, __u32 hash, __u64 now_ns)
{
	if (s->place != NO_PLACE && !insert_tag(hash, s->place, now_ns)) {
		remove_tag(key_hash(&s->reply_key), s->place + 1);
		s->place = NO_PLACE;
	}
	return write_row(s->place == NO_PLACE ? NO_PLACE : s->place + 1, &s->reply_key, &s->reply) &&
	       write_row(s->place, &p->tuple, &s->forward);
}

/* A packet without a row, or whose row no longer holds. */
static __always_inline enum verdict start_flow(struct visit *v, struct packet *p, __u32 hash, struct ethhdr *eth,
					       struct flow *stale, struct flow **out)
{
	const __u32 zero = 0;
	struct frontend *frontend = find_frontend(p);
	struct scratch *s = bpf_map_lookup_elem(&scratch_space, &zero);
	enum verdict verdict;
	struct backend *b;
	__be16 port;

	if (left_to_stack(v, p)) {
		/* Or it would catch the packets that follow. */
		if (stale)
			remove_flow(stale, &p->tuple);
		return VERDICT_LEFT_TO_STACK;
	}
	if (!frontend) {
		frontend = find_frontend_address(p);
		if (!frontend)
			return VERDICT_FOREIGN;
		v->service_id = frontend->service_id;
		return VERDICT_REJECTED_UNKNOWN_PORT;
	}
	v->service_id = frontend->service_id;
	v->backend_id = choose_backend(p, frontend);
	b = v->backend_id ? find_backend(v->backend_id) : NULL;
	if (!b || b->state == BACKEND_GONE)
		return VERDICT_REJECTED_NO_BACKEND;
	if (!s)
		return DROP_INTERNAL;
	*out = &s->forward;
	port = port_before(v, p, b, stale);
	if (stale)
		remove_flow(stale, &p->tuple);
	s->place = claim_pair(s, v->now_seconds);
	verdict = claim_way_back(v, p, b, eth, s, port);
	if (verdict != VERDICT_FORWARDED)
		return verdict;
	if (!store_rows(s, p, hash, v->now_ns))
		return DROP_INTERNAL;
	return forward_verdict(&s->forward);
}

/*
 * A client that has closed its connection through a frontend may reach the same pod directly next, from the same port. The
 * backend's SYN-ACK tells: on a connection of ours it comes first, and a new one of ours has a new row. From then on the row
 * counts as over.
 */
static __always_inline bool answers_somebody_else(struct flow *f, const struct packet *p, const struct visit *v)
{
	struct flow *forward;

	if (p->tuple.protocol != IPPROTO_TCP)
		return false;
	if (f->flags & (FLOW_CLOSING | FLOW_RESET) && flow_expired(f, IPPROTO_TCP, v->now_seconds))
		return true;
	if ((p->tcp_flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK) || !(f->flags & (FLOW_ESTABLISHED | FLOW_CLOSING | FLOW_RESET)))
		return false;
	f->flags |= FLOW_RESET;
	f->seen_seconds = v->now_seconds - tcp_reset_seconds - 1;
	renew_tag(f, v->now_ns);
	forward = find_partner(f, IPPROTO_TCP);
	if (forward) {
		forward->flags |= FLOW_RESET;
		renew_tag(forward, v->now_ns);
	}
	return true;
}

/* Replies of backends: from a pod, leaving by a device, or coming back to one of our source ports. */
static __always_inline enum verdict decide_reply(struct visit *v, struct packet *p, struct flow **out)
{
	struct flow *f = find_flow(&p->tuple);

	if (!f || !(f->flags & FLOW_REPLY) || answers_somebody_else(f, p, v))
		return VERDICT_FOREIGN;
	*out = f;
	return use_reply(v, p, f);
}

/* From the wire: towards a frontend, or a remote backend's reply to one of our source ports. */
static __always_inline enum verdict decide(struct visit *v, struct packet *p, struct ethhdr *eth, struct flow **out)
{
	struct flow *f;
	__u32 hash;

	if (!p->to_frontend_address) {
		__u16 port = bpf_ntohs(p->tuple.destination_port);

		if ((__u16)(port - snat_port_min) > snat_port_mask)
			return VERDICT_FOREIGN;
		return decide_reply(v, p, out);
	}
	hash = key_hash(&p->tuple);
	f = find_row(&p->tuple, hash);
	if (f && !(f->flags & FLOW_REPLY) && flow_holds(f, p, v)) {
		*out = f;
		return use_forward(v, p, f, eth);
	}
	return start_flow(v, p, hash, eth, f, out);
}

#endif
