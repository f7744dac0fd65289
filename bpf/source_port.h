/* SPDX-License-Identifier: GPL-2.0 */
/* Claiming the way back of a new flow: a source port towards the backend under which the reply can be told apart. */
#ifndef FAIRLEAD_SOURCE_PORT_H
#define FAIRLEAD_SOURCE_PORT_H

#define SOURCE_PORT_TRIES 16

/* Nothing but a SYN was ever answered, or the connection is over: its port may be given to the next. */
static __always_inline bool gives_way(const struct flow *reply, __u8 protocol, __u32 now_seconds)
{
	if (flow_expired(reply, protocol, now_seconds))
		return true;
	if (protocol != IPPROTO_TCP)
		return !reply->packets;
	return !(reply->flags & FLOW_ESTABLISHED) || reply->flags & (FLOW_CLOSING | FLOW_RESET);
}

static __always_inline bool same_translation(const struct flow *a, const struct flow *b)
{
	return a->source_port == b->source_port && a->destination_port == b->destination_port &&
	       same_address(&a->source, &b->source) && same_address(&a->destination, &b->destination);
}

/* The client's own port. Not possible when another frontend already uses it towards this backend. */
static __always_inline bool keep_client_port(const struct flow_key *key, const struct flow *reply, __u32 now_seconds)
{
	struct flow *known = find_flow(key);

	if (!known)
		return store_flow(key, reply, now_seconds);
	if (!flow_expired(known, key->protocol, now_seconds) && !same_translation(known, reply))
		return false;
	*known = *reply;
	return true;
}

static __always_inline bool take_port(const struct flow_key *key, const struct flow *reply, __u32 now_seconds)
{
	struct flow *known = find_flow(key);

	if (!known)
		return store_flow(key, reply, now_seconds);
	if (!gives_way(known, key->protocol, now_seconds))
		return false;
	*known = *reply;
	return true;
}

/*
 * The client's own port where its address is kept, else the least recently used of this node's range (random ports meet the
 * backend's TIME_WAIT far more often). A flood can take all ports towards a backend, but not keep them.
 */
static __noinline enum verdict claim_source_port(struct scratch *s, struct backend *b, __u32 now_seconds)
{
	struct flow_key *key = &s->reply_key;

	if (!(s->forward.flags & FLOW_SNAT)) {
		set_deltas(&s->reply, key);
		if (keep_client_port(key, &s->reply, now_seconds))
			return VERDICT_FORWARDED;
	}
	for (int i = 0; i < SOURCE_PORT_TRIES; i++) {
		key->destination_port = bpf_htons(snat_port_min + (__sync_fetch_and_add(&b->snat_cursor, 1) & snat_port_mask));
		set_deltas(&s->reply, key);
		if (take_port(key, &s->reply, now_seconds)) {
			s->forward.source_port = key->destination_port;
			return VERDICT_FORWARDED;
		}
	}
	return DROP_NO_SOURCE_PORT;
}

#endif
