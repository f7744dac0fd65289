/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every struct, enum and constant that TypeScript shares with the datapath.
 *
 * TypeScript never repeats these by hand: tools/generate-abi.ts reads the BTF of the compiled objects and writes
 * src/datapath/abi.generated.ts; the agent compares both again when it loads the objects.
 *
 * Byte order: fields of type __be16/__be32 and struct address are network order, everything else is host order.
 * IPv4 addresses are stored IPv4-mapped (::ffff:a.b.c.d), so one code path serves both families.
 */
#ifndef FAIRLEAD_ABI_H
#define FAIRLEAD_ABI_H

#define MAC_LENGTH 6
#define CHUNK_SLOTS 1024 /* elements of `slots` in one array value of 4 KiB */
#define CHUNK_MAGLEV 2048 /* elements of `maglev` in one array value of 4 KiB */
#define ADDRESS_FILTER_WORDS 1024 /* 64 Ki bits: a foreign address costs one test, no map lookup */
#define ADDRESS_FILTER_MULTIPLIER 0x9E3779B1u
#define EVENT_PACKET_BYTES 96
#define DELIVERY_MAGIC 0x464c4431u /* "FLD1" */
#define PROBE_MAGIC 0x464c5042u /* "FLPB" */
#define PROBE_VERSION 1

struct address {
	__be32 word[4];
};

/*
 * Written and read in words of eight bytes. A load wider than the stores before it waits until they have left the CPU's store buffer, and
 * behind a row that was just written to a cold page that takes long.
 */
#define WIDE __attribute__((aligned(8)))

/* ---- Services ---------------------------------------------------------------------------------------------- */

/* Exact: {address, port, protocol}. The row {address, 0, 0} says that the address is ours: other ports are rejected. */
struct frontend_key {
	struct address address;
	__be16 port;
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP, or 0 */
	__u8 reserved;
};

enum frontend_flag {
	FRONTEND_ADDRESS = 1, /* the row of the address itself */
	FRONTEND_LOCAL_ONLY = 2, /* externalTrafficPolicy: Local (slots hold only this node's backends) */
};

struct frontend {
	__u32 service_id; /* > 0; stable while the Service exists, also over an agent restart */
	__u32 slot_base; /* first element in `slots` */
	__u32 slot_count; /* 0: nobody can answer, reject */
	__u32 maglev_base; /* first element in `maglev` */
	__u32 maglev_size; /* a prime; 0: choose at random */
	__u32 flags; /* enum frontend_flag */
};

enum backend_state {
	BACKEND_GONE = 0, /* row unused: flows that point here choose again at once */
	BACKEND_ACTIVE = 1,
	BACKEND_NOT_READY = 2, /* keeps its flows; a SYN chooses again */
	BACKEND_TERMINATING = 3, /* as NOT_READY; in slots only when nothing active is left */
};

/* `backends` is an array: index = backend id, 0 is never used. */
struct backend {
	struct address address;
	__be16 port;
	__u8 state; /* enum backend_state */
	__u8 local; /* 1: runs on this node */
	__u32 generation; /* changes when the row is given to another backend */
	__u32 snat_cursor; /* written by the datapath only: next source port, least recently used first; 0: begin anywhere */
	__u32 reserved;
} WIDE;

struct slot_chunk {
	__u32 backend_id[CHUNK_SLOTS];
};

struct maglev_chunk {
	__u16 slot[CHUNK_MAGLEV]; /* 0 .. slot_count-1 */
};

/* ---- Flows ------------------------------------------------------------------------------------------------- */

/* The packet as it arrives. One row per direction; the two rows are each other's reverse after translation. */
struct flow_key {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 reserved[3];
} WIDE;

enum flow_flag {
	FLOW_REPLY = 1, /* backend → client */
	FLOW_PEER = 2, /* deliver straight into the pod's namespace: ifindex is the host end of its veth */
	FLOW_STACK = 4, /* deliver through the node's own stack */
	FLOW_SNAT = 8, /* the source address is this node's */
	FLOW_ESTABLISHED = 16, /* something but a SYN was seen in this direction */
	FLOW_CLOSING = 32, /* FIN seen in this direction */
	FLOW_RESET = 64, /* RST seen in either direction */
	FLOW_ANSWERED = 128, /* the handshake is complete, or UDP was answered: keeps its place and its port */
};

struct flow {
	struct address source; /* what the packet carries after translation */
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 destination_mac[MAC_LENGTH]; /* all zero: not known yet, leave it to the neighbour table */
	__u8 source_mac[MAC_LENGTH];
	__u32 ifindex; /* device to leave by; see FLOW_PEER */
	__u32 service_id;
	__u32 backend_id;
	__u16 backend_generation; /* its low bits: a row idle for as long as they take to come round has expired */
	__u16 flags; /* enum flow_flag */
	__u32 seen_seconds; /* CLOCK_MONOTONIC (coarse) of the last packet */
	__u16 l3_delta; /* what the translation adds to the IPv4 header checksum */
	__u16 l4_delta; /* … to the TCP/UDP checksum */
	__u32 place; /* where the row lies: index in `flow_cells` plus one; 0: in `flows` */
	__u32 packets; /* wraps */
	__u64 bytes;
};

/*
 * One row of the array `flow_cells`: two cache lines. Cells come in pairs: the request's row at an even index, its reply's behind it.
 * key.protocol 0: never used, or just being written.
 */
struct flow_cell {
	struct flow_key key;
	struct flow flow;
};

#define CHUNK_PAIRS 16 /* pairs in one page: as many as a CPU takes at once */

/*
 * One row of the array `flow_buckets`: one cache line of tags, each standing for a row of `flow_cells`. A tag is 0 where none is; else from the
 * high bits: 0, class (3 bits), hash (12), time of the last change (16), place (32).
 */
#define FLOW_WAYS 8
#define TAG_PLACE_BITS 32
#define TAG_CLASS_SHIFT 28 /* of the upper half, as what follows */
#define TAG_HASH 0x0fff0000u
#define TAG_TIME 0xffffu /* in 2^24 ns up to TAG_OVER, in 2^30 ns from TAG_ESTABLISHED; wraps */

enum tag_class {
	TAG_FREE = 0,
	TAG_OPENING = 1, /* nobody has answered: the oldest gives way when the bucket is full */
	TAG_OVER = 2, /* reset: gives way before those */
	TAG_ESTABLISHED = 3, /* from here on: gives way when it has expired */
	TAG_CLOSING = 4,
	TAG_ANSWERED = 5, /* UDP */
};

struct flow_bucket {
	__u64 tag[FLOW_WAYS];
};

/* ---- Announcing, devices, this node ------------------------------------------------------------------------ */

struct announced_key {
	struct address address;
	__u32 ifindex;
};

struct announced { /* both written by the datapath */
	__u64 answers; /* ARP replies and neighbour advertisements sent */
	__u64 requests; /* questions heard; more than answers where the stamp had run out */
};

struct device { /* key: ifindex */
	__u8 mac[MAC_LENGTH];
	__u16 reserved;
};

struct endpoint { /* key: struct address of a pod whose veth is ours */
	__u32 ifindex; /* host end of its veth */
	__u8 mac[MAC_LENGTH]; /* the pod's */
	__u8 node_mac[MAC_LENGTH]; /* of the host end */
};

/* Whose the packets without a flow row are (handover.h). */
enum traffic {
	TRAFFIC_OURS = 0,
	TRAFFIC_TAKING_OVER = 1, /* what kube-proxy has translated before stays with it */
	TRAFFIC_STANDING_BY = 2, /* everything goes to the stack */
};

/* One element, written by the agent through mmap unless it says otherwise. Times: CLOCK_MONOTONIC nanoseconds, as bpf_ktime_get_ns(). */
struct runtime {
	__u64 valid_until_ns; /* the agent's liveness stamp: ARP/NDP are answered until `answer_margin_ns` before it */
	__u64 answer_margin_ns;
	__u64 probe_key[2]; /* SipHash-2-4 key of liveness probes */
	__be16 probe_port;
	__u16 traffic; /* enum traffic: what becomes of packets without a flow row */
	__u32 sample_flows; /* 0: no flow events; N: one packet in N goes to the ring buffer */
	__u32 sample_drops; /* the same for drops and rejects */
	__u32 flows_overflowed; /* written by the datapath: `flows` has been used */
	__u32 chunks_taken; /* written by the datapath: of `flow_cells`, round and round */
	__u32 reserved2;
};

/*
 * One element, written through mmap. Bit h is set when an address with the 16-bit hash h is in the set; a foreign
 * packet costs one test and no map lookup, however many Services there are.
 */
struct address_filter {
	__u64 bits[ADDRESS_FILTER_WORDS]; /* addresses of frontends */
	__u64 node_bits[ADDRESS_FILTER_WORDS]; /* addresses of this node: liveness probes, replies to a SNAT port */
};

/* ---- Verdicts, counters, events ---------------------------------------------------------------------------- */

/* One name per outcome: the counter, the event and the metric carry the same number. Never reuse a number. */
enum verdict {
	VERDICT_FOREIGN = 0, /* not ours: to the stack, untouched */
	VERDICT_FORWARDED = 1, /* to a backend on another node */
	VERDICT_DELIVERED = 2, /* to a backend here, straight into its namespace */
	VERDICT_DELIVERED_BY_STACK = 3, /* to a backend here, through the node's own stack */
	VERDICT_REPLIED = 4, /* a backend's reply, translated back */
	VERDICT_ANSWERED_ARP = 5,
	VERDICT_ANSWERED_NDP = 6,
	VERDICT_ANSWERED_PROBE = 7,
	VERDICT_ANSWERED_ECHO = 8,
	VERDICT_LEFT_TO_TC = 9, /* XDP could not finish it (neighbour unresolved): tc does */
	VERDICT_REJECTED_NO_BACKEND = 10,
	VERDICT_REJECTED_UNKNOWN_PORT = 11,
	VERDICT_TRANSLATED_ICMP = 12, /* an ICMP error sent on to the end it concerns */
	VERDICT_SILENT_NOT_ALIVE = 13, /* ARP/NDP for our address not answered: the agent's stamp has run out */
	VERDICT_SILENT_NOT_ANNOUNCED = 14, /* … because another node announces it, or another device */
	VERDICT_LEFT_TO_STACK = 15, /* during a handover: without a flow row, and another load balancer's */
	VERDICT_SILENCED = 16, /* during a handover: an announcement of another load balancer here, of an address announced elsewhere */
	DROP_TRUNCATED = 32, /* shorter than its headers say */
	DROP_BAD_HEADER = 33, /* header lengths that cannot be */
	DROP_FRAGMENT = 34, /* a fragment whose first part was not seen */
	DROP_UNSUPPORTED_PROTOCOL = 35, /* to our address, neither TCP, UDP nor ICMP echo */
	DROP_NO_ROUTE = 36, /* no route to the backend */
	DROP_TTL_EXPIRED = 37,
	DROP_NO_SOURCE_PORT = 38, /* no free source port towards the backend */
	DROP_REJECT_LIMITED = 39, /* would have been rejected, but the rate limit is reached */
	DROP_INTERNAL = 40, /* a helper refused: counted, never expected */
	DROP_BAD_PROBE = 41, /* liveness probe with a wrong key or shape */
	VERDICT_COUNT = 64,
};

enum hook {
	HOOK_XDP = 0,
	HOOK_NETDEV_INGRESS = 1,
	HOOK_NETDEV_EGRESS = 2,
	HOOK_POD = 3,
};

struct drop_key {
	__u32 service_id; /* 0: none */
	__u32 verdict;
};

struct event {
	__u64 time_ns;
	struct flow_key tuple; /* as the packet arrived */
	__u32 ifindex;
	__u32 service_id;
	__u32 backend_id;
	__u16 verdict;
	__u16 length; /* of the packet */
	__u8 hook; /* enum hook */
	__u8 packet_length; /* bytes of `packet` that are filled */
	__u8 reserved[6];
	__u8 packet[EVENT_PACKET_BYTES];
};

/* ---- Liveness probe: UDP payload. The peer's datapath turns `request` into `answer` without its agent. ------- */

enum probe_type {
	PROBE_REQUEST = 1,
	PROBE_ANSWER = 2,
};

struct probe {
	__be32 magic;
	__u8 version;
	__u8 type; /* enum probe_type */
	__be16 reserved;
	__be32 sequence;
	__be32 remaining_ms; /* answer: how long the answering agent's stamp is still valid; 0 = run out */
	__u64 nonce; /* opaque, echoed */
	__u64 tag; /* SipHash-2-4, little endian, over the 24 bytes before it */
};

/* ---- XDP → tc, in the packet's metadata ---------------------------------------------------------------------- */

struct delivery {
	__u32 magic;
	__u32 ifindex; /* host end of the pod's veth */
	__u8 mac[MAC_LENGTH];
	__u8 node_mac[MAC_LENGTH];
};

#endif
