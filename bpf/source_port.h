/* SPDX-License-Identifier: GPL-2.0 */
/* Claiming the way back of a new flow: a source port towards the backend under which the reply can be told apart. */
#ifndef FAIRLEAD_SOURCE_PORT_H
#define FAIRLEAD_SOURCE_PORT_H

#define SOURCE_PORT_TRIES 16

/* Nothing but a SYN was ever answered, or the connection is over, or its forward row was evicted: may be given away. */
static __always_inline bool cell_is_spare(const struct flow_cell *cell)
{
	__u32 flags = cell->flow.flags;

	if (!(flags & FLOW_REPLY) || !(flags & FLOW_SNAT))
		return false;
	if (cell->key.protocol == IPPROTO_TCP && (!(flags & FLOW_ESTABLISHED) || flags & (FLOW_CLOSING | FLOW_RESET)))
		return true;
	return !find_partner(&cell->flow, cell->key.protocol);
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

/*
 * The client's own port where its address is kept, else the least recently used of this node's range (random ports meet the
 * backend's TIME_WAIT far more often): the first whose reply finds a free cell. A flood of SYNs can take all of them, but not
 * keep them.
 */
static __noinline enum verdict claim_source_port(struct scratch *s, struct backend *b, __u32 now_seconds)
{
	struct flow_key *key = &s->reply_key;
	struct flow_cell *cell;

	if (!(s->forward.flags & FLOW_SNAT)) {
		set_deltas(&s->reply, key);
		if (keep_client_port(key, &s->reply, now_seconds))
			return VERDICT_FORWARDED;
	}
	for (int i = 0; i < SOURCE_PORT_TRIES; i++) {
		key->destination_port = bpf_htons(snat_port_min + (__sync_fetch_and_add(&b->snat_cursor, 1) & snat_port_mask));
		s->forward.source_port = key->destination_port;
		set_deltas(&s->reply, key);
		if (take_free_cell(key, &s->reply, now_seconds))
			return VERDICT_FORWARDED;
		cell = cell_at(key_hash(key));
		if (i && cell && cell_is_spare(cell) && take_cell(cell, key, &s->reply))
			return VERDICT_FORWARDED;
	}
	return DROP_NO_SOURCE_PORT;
}

#endif
