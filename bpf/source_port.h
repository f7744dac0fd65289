/* SPDX-License-Identifier: GPL-2.0 */
/* Claiming the way back of a new flow: a source port towards the backend under which the reply can be told apart. */
#ifndef FAIRLEAD_SOURCE_PORT_H
#define FAIRLEAD_SOURCE_PORT_H

#define SOURCE_PORT_TRIES 16
#define RESERVED_PORT_TRIES 4 /* then a port that is not reserved is better than none */

/* Nobody has answered, or the connection is over: its port may be given to the next. */
static __always_inline bool gives_way(const struct flow *reply, __u8 protocol, __u32 now_seconds)
{
	if (flow_expired(reply, protocol, now_seconds))
		return true;
	return !(reply->flags & (FLOW_ESTABLISHED | FLOW_ANSWERED)) || reply->flags & (FLOW_CLOSING | FLOW_RESET);
}

static __always_inline bool same_translation(const struct flow *a, const struct flow *b)
{
	return a->source_port == b->source_port && a->destination_port == b->destination_port &&
	       same_address(&a->source, &b->source) && same_address(&a->destination, &b->destination);
}

/*
 * Makes the reply's place known under reply_key, which nobody uses. False: another CPU does so at this moment. Where the bucket has no room, the flow
 * goes to the LRU hash.
 */
static __always_inline bool announce_reply(struct scratch *s, __u32 hash, __u64 now_ns)
{
	if (s->place == NO_PLACE)
		return true;
	if (!insert_tag(hash, s->place + 1, now_ns)) {
		s->place = NO_PLACE;
		return true;
	}
	if (!has_twin(hash))
		return true;
	remove_tag(hash, s->place + 1);
	return false;
}

/* An older flow under the same key ends here, if it may. The client's own port is refused where another frontend uses it towards this backend. */
static __always_inline bool may_end(const struct scratch *s, const struct flow *known, bool client_port)
{
	__u8 protocol = s->reply_key.protocol;

	if (client_port)
		return flow_expired(known, protocol, s->forward.seen_seconds) || same_translation(known, &s->reply);
	return gives_way(known, protocol, s->forward.seen_seconds);
}

/* Not static: see find_place(). */
__noinline int take_port(struct scratch *s, __u64 now_ns, bool client_port)
{
	struct flow *known;
	__u32 hash;

	if (!s)
		return false;
	hash = key_hash(&s->reply_key);
	known = find_row(&s->reply_key, hash);
	if (known) {
		if (!may_end(s, known, client_port))
			return false;
		remove_flow(known, &s->reply_key);
	}
	return announce_reply(s, hash, now_ns);
}

/*
 * The next port towards a backend. What is gone through anew begins somewhere else: this node may have used the first ports a moment ago, before its
 * maps were lost or the backend got another row, and the backend still rests on them (TIME_WAIT).
 */
static __always_inline __be16 next_port(struct backend *b)
{
	if (!b->snat_cursor)
		b->snat_cursor = bpf_get_prandom_u32();
	/* Two CPUs may read the same port here: has_twin() tells. An atomic addition would wait for the cells being written. */
	return bpf_htons(snat_port_min + (b->snat_cursor++ & snat_port_mask));
}

/*
 * The port of a connection that was reset, for the client that opens it again. A backend that rests on a port (TIME_WAIT) answers a SYN with an ACK of
 * the connection before; the client resets that one, which ends the rest, and sends its SYN again at once. Another port may be one to rest on.
 */
static __always_inline __be16 port_before(const struct visit *v, const struct packet *p, const struct backend *b, const struct flow *stale)
{
	if (!stale || !is_syn(p) || (stale->flags & (FLOW_RESET | FLOW_SNAT)) != (FLOW_RESET | FLOW_SNAT))
		return 0;
	if (stale->backend_id != v->backend_id || stale->backend_generation != (__u16)b->generation)
		return 0;
	return stale->source_port;
}

/*
 * The client's own port where its address is kept, else `before` or the least recently used of this node's range (random ports meet the
 * backend's TIME_WAIT far more often). A flood can take all ports towards a backend, but not keep them.
 */
static __always_inline enum verdict claim_source_port(struct visit *v, struct scratch *s, struct backend *b, bool ipv6, __be16 before)
{
	const __u64 now_ns = v->now_ns;
	struct flow_key *key = &s->reply_key;

	if (!(s->forward.flags & FLOW_SNAT)) {
		set_deltas(&s->reply, key);
		if (take_port(s, now_ns, true))
			return VERDICT_FORWARDED;
	}
	for (int i = 0; i < SOURCE_PORT_TRIES; i++) {
		__be16 port = i == 0 && before ? before : next_port(b);

		set_ports(key, b->port, port, key->protocol);
		set_deltas(&s->reply, key);
		if (i < RESERVED_PORT_TRIES && !reserve_port(v, key, ipv6))
			continue;
		if (take_port(s, now_ns, false)) {
			s->forward.source_port = port;
			return VERDICT_FORWARDED;
		}
	}
	return DROP_NO_SOURCE_PORT;
}

#endif
