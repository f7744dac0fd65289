/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Liveness probes of the peers (src/protocol/swim), answered here so that a busy or restarting agent does not look dead.
 * The answer says how long the agent's stamp is still valid. Keyed with SipHash-2-4 (Aumasson, Bernstein 2012): who does
 * not know the key can neither ask nor answer.
 */
#ifndef FAIRLEAD_PROBE_H
#define FAIRLEAD_PROBE_H

#define ROTATE(x, b) ((x) << (b) | (x) >> (64 - (b)))

struct sip_state {
	__u64 v0, v1, v2, v3;
};

static __always_inline void sip_round(struct sip_state *s)
{
	s->v0 += s->v1;
	s->v1 = ROTATE(s->v1, 13) ^ s->v0;
	s->v0 = ROTATE(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = ROTATE(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = ROTATE(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = ROTATE(s->v1, 17) ^ s->v2;
	s->v2 = ROTATE(s->v2, 32);
}

static __always_inline void sip_absorb(struct sip_state *s, __u64 word)
{
	s->v3 ^= word;
	sip_round(s);
	sip_round(s);
	s->v0 ^= word;
}

/* SipHash-2-4 over the 24 bytes of a probe before its tag. */
static __noinline __u64 probe_tag(const struct probe *probe, const struct runtime *r)
{
	struct sip_state s = {
		r->probe_key[0] ^ 0x736f6d6570736575ull,
		r->probe_key[1] ^ 0x646f72616e646f6dull,
		r->probe_key[0] ^ 0x6c7967656e657261ull,
		r->probe_key[1] ^ 0x7465646279746573ull,
	};
	__u64 words[3];

	__builtin_memcpy(words, probe, sizeof(words));
	sip_absorb(&s, words[0]);
	sip_absorb(&s, words[1]);
	sip_absorb(&s, words[2]);
	sip_absorb(&s, 24ull << 56);
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* By the exact clock: the coarse one lags, and whoever asks twice would see more left than before, as if somebody had put off the end. */
static __always_inline __u32 remaining_milliseconds(const struct runtime *r)
{
	__u64 now_ns = bpf_ktime_get_ns();
	__u64 left = r->valid_until_ns > now_ns ? (r->valid_until_ns - now_ns) / 1000000 : 0;

	return left > 0xffffffff ? 0xffffffff : left;
}

static __always_inline void return_to_sender(struct packet *p, void *data, struct udphdr *udp, __u16 payload_delta)
{
	if (p->ipv6) {
		struct ipv6hdr *ip = data + ETH_HLEN;

		__builtin_memcpy(&ip->saddr, &p->tuple.destination, 16);
		__builtin_memcpy(&ip->daddr, &p->tuple.source, 16);
		udp->check = checksum_add(udp->check, payload_delta);
		if (!udp->check)
			udp->check = 0xffff;
	} else {
		struct iphdr *ip = data + ETH_HLEN;

		ip->saddr = p->tuple.destination.word[3];
		ip->daddr = p->tuple.source.word[3];
		udp->check = 0;
	}
	udp->source = p->tuple.destination_port;
	udp->dest = p->tuple.source_port;
	turn_around(data);
}

/* A request becomes the answer. Answers, and whatever else arrives at the port, are for the agent's socket. */
static __noinline enum verdict answer_probe(struct visit *v, struct packet *p, struct runtime *r)
{
	void *data = packet_data(v->ctx), *data_end = packet_data_end(v->ctx);
	struct udphdr *udp = data + (p->l4_offset & L4_OFFSET_MAX);
	struct probe *wire = (void *)(udp + 1), old, new;

	if (data + ETH_HLEN + sizeof(struct ipv6hdr) > data_end || (void *)(wire + 1) > data_end)
		return VERDICT_FOREIGN;
	if (p->has_options || p->fragment || udp->len != bpf_htons(sizeof(*udp) + sizeof(*wire)))
		return VERDICT_FOREIGN;
	__builtin_memcpy(&old, wire, sizeof(old));
	if (old.magic != bpf_htonl(PROBE_MAGIC) || old.type != PROBE_REQUEST)
		return VERDICT_FOREIGN;
	if (old.version != PROBE_VERSION || old.tag != probe_tag(&old, r))
		return DROP_BAD_PROBE;
	new = old;
	new.type = PROBE_ANSWER;
	new.remaining_ms = bpf_htonl(remaining_milliseconds(r));
	new.tag = probe_tag(&new, r);
	__builtin_memcpy(wire, &new, sizeof(new));
	return_to_sender(p, data, udp, checksum_difference(&old, &new, sizeof(new)));
	return VERDICT_ANSWERED_PROBE;
}

static __always_inline struct runtime *probe_asked(const struct packet *p)
{
	const __u32 zero = 0;
	struct runtime *r;

	if (!p->to_node_address || p->tuple.protocol != IPPROTO_UDP)
		return NULL;
	r = bpf_map_lookup_elem(&runtime, &zero);
	return r && r->probe_port == p->tuple.destination_port ? r : NULL;
}

#endif
