// SPDX-License-Identifier: GPL-2.0
/*
 * tc ingress on the host end of a pod's veth, where that is ours: what the pod sends. Replies of flows are translated and
 * leave the way the request came; everything else is the pod's own traffic and not touched.
 */
#include "fairlead.h"
#include "packet_skb.h"
#include "rewrite_skb.h"

#ifndef TCX_NEXT
#define TCX_NEXT (-1)
#endif

SEC("tc")
int fairlead_pod(struct __sk_buff *skb)
{
	struct packet p = {};
	struct flow *f = NULL;
	struct visit v;
	__u32 verdict;

	make_headers_linear(skb);
	if (parse(&p, packet_data(skb), packet_data_end(skb), SCOPE_ALL) != PARSED_FLOW)
		return TCX_NEXT;
	start_visit(&v, skb, skb->ifindex, HOOK_POD);
	verdict = decide_reply(&v, &p, &f);
	if (verdict != VERDICT_REPLIED || !f)
		return TCX_NEXT;
	if (p.ttl <= 1)
		verdict = DROP_TTL_EXPIRED;
	record(&v, &p, verdict, packet_data(skb), packet_data_end(skb));
	if (verdict != VERDICT_REPLIED || !rewrite_skb(skb, &p, f, true) ||
	    !store_macs(skb, f->destination_mac, f->source_mac))
		return TC_ACT_SHOT;
	return bpf_redirect(f->ifindex, 0);
}

char _license[] SEC("license") = "GPL";
