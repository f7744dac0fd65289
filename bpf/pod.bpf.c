// SPDX-License-Identifier: GPL-2.0
/*
 * tc ingress on the host end of a pod's veth, where that is ours: what the pod sends. Replies of flows are translated and
 * leave the way the request came; everything else is the pod's own traffic and not touched.
 */
#include "fairlead.h"
#include "packet_skb.h"
#include "icmp_error.h"
#include "rewrite_skb.h"
#include "reply.h"

SEC("tc")
int fairlead_pod(struct __sk_buff *skb)
{
	struct packet p = {};
	struct flow *f = NULL;
	struct visit v;
	__u32 verdict;

	start_visit(&v, skb, skb->ifindex, HOOK_POD);
	verdict = judge_reply(&v, &p, &f);
	if (!f)
		return TCX_NEXT;
	if (p.ttl <= 1)
		verdict = DROP_TTL_EXPIRED;
	record(&v, &p, verdict, packet_data(skb), packet_data_end(skb));
	if (verdict == DROP_TTL_EXPIRED || !translate_reply(skb, &p, f, verdict, true) ||
	    !store_macs(skb, f->destination_mac, f->source_mac))
		return TC_ACT_SHOT;
	return bpf_redirect(f->ifindex, 0);
}

char _license[] SEC("license") = "GPL";
