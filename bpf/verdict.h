/* SPDX-License-Identifier: GPL-2.0 */
/* Outcomes: counted, sampled into the ring buffer, and only then turned into a return code by the program that asked. */
#ifndef FAIRLEAD_VERDICT_H
#define FAIRLEAD_VERDICT_H

/* Where and when the packet is looked at. Time is read once and handed down: by whoever finds that the packet is ours. */
struct visit {
	void *ctx; /* struct xdp_md or struct __sk_buff: helpers take either */
	__u64 now_ns;
	__u32 now_seconds;
	__u32 ifindex; /* the device the packet came in by */
	__u32 hook; /* enum hook */
	__u32 service_id; /* filled while deciding, for counters and events */
	__u32 backend_id;
};

static __always_inline void start_visit(struct visit *v, void *ctx, __u32 ifindex, enum hook hook)
{
	v->ctx = ctx;
	v->ifindex = ifindex;
	v->hook = hook;
	v->service_id = 0;
	v->backend_id = 0;
}

static __always_inline void read_clock(struct visit *v)
{
	v->now_ns = bpf_ktime_get_coarse_ns();
	v->now_seconds = v->now_ns / 1000000000ull;
}

static __always_inline bool is_refusal(__u32 verdict)
{
	return verdict >= DROP_TRUNCATED || verdict == VERDICT_REJECTED_NO_BACKEND ||
	       verdict == VERDICT_REJECTED_UNKNOWN_PORT || verdict == VERDICT_SILENT_NOT_ALIVE;
}

static __noinline void emit_event(struct visit *v, struct packet *p, __u32 verdict, void *data, void *data_end)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return; /* full: the reader is slow; the packet is not held up */
	__builtin_memset(e, 0, sizeof(*e));
	e->time_ns = v->now_ns;
	e->tuple = p->tuple;
	e->ifindex = v->ifindex;
	e->service_id = v->service_id;
	e->backend_id = v->backend_id;
	e->verdict = verdict;
	e->length = p->length;
	e->hook = v->hook;
	if (data + EVENT_PACKET_BYTES <= data_end) {
		__builtin_memcpy(e->packet, data, EVENT_PACKET_BYTES);
		e->packet_length = EVENT_PACKET_BYTES;
	} else if (data + ETH_HLEN + 28 <= data_end) {
		__builtin_memcpy(e->packet, data, ETH_HLEN + 28);
		e->packet_length = ETH_HLEN + 28;
	}
	bpf_ringbuf_submit(e, 0);
}

static __noinline void count_refusal(struct visit *v, __u32 verdict)
{
	struct drop_key key = { .service_id = v->service_id, .verdict = verdict };
	__u64 *count = bpf_map_lookup_elem(&drops, &key), one = 1;

	if (count)
		*count += 1;
	else
		bpf_map_update_elem(&drops, &key, &one, BPF_NOEXIST);
}

/* Every packet that was ours passes here exactly once a hook. */
static __always_inline void record(struct visit *v, struct packet *p, __u32 verdict, void *data, void *data_end)
{
	const __u32 zero = 0;
	struct runtime *r = bpf_map_lookup_elem(&runtime, &zero);
	__u64 *count = bpf_map_lookup_elem(&verdicts, &verdict);
	__u32 one_in;

	if (count)
		*count += 1;
	if (is_refusal(verdict))
		count_refusal(v, verdict);
	if (!r)
		return;
	one_in = is_refusal(verdict) ? r->sample_drops : r->sample_flows;
	if (one_in && bpf_get_prandom_u32() % one_in == 0)
		emit_event(v, p, verdict, data, data_end);
}

#endif
