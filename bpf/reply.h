/* SPDX-License-Identifier: GPL-2.0 */
/* What a backend on this node sends back: its replies, and the ICMP errors about them. For tc programs. */
#ifndef FAIRLEAD_REPLY_H
#define FAIRLEAD_REPLY_H

/* `f` stays empty when the packet is none of ours. */
static __always_inline __u32 judge_reply(struct visit *v, struct packet *p, struct flow **f)
{
	struct __sk_buff *skb = v->ctx;

	make_headers_linear(skb);
	switch (parse(p, packet_data(skb), packet_data_end(skb), SCOPE_ALL)) {
	case PARSED_FLOW:
		read_clock(v);
		return decide_reply(v, p, f);
	case PARSED_ICMP:
		read_clock(v);
		*f = find_quoted_flow(p, packet_data(skb), packet_data_end(skb));
		if (*f && !((*f)->flags & FLOW_REPLY))
			*f = NULL;
		return VERDICT_TRANSLATED_ICMP;
	default:
		return VERDICT_FOREIGN;
	}
}

static __always_inline bool translate_reply(struct __sk_buff *skb, struct packet *p, struct flow *f, __u32 verdict, bool hop)
{
	if (verdict == VERDICT_TRANSLATED_ICMP)
		return rewrite_icmp_error(p, f, packet_data(skb), packet_data_end(skb));
	return rewrite_skb(skb, p, f, hop);
}

#endif
