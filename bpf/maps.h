/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every map, once: all objects include this file and share the maps through their pins (bpffs, one directory a node).
 * bpf/README.md has the table of who writes and who reads what. Sizes are the defaults; the agent may change them at load.
 */
#ifndef FAIRLEAD_MAPS_H
#define FAIRLEAD_MAPS_H

#include "abi.h"

#define PINNED __uint(pinning, LIBBPF_PIN_BY_NAME)

/* Written by the agent, read per new flow. Full: the agent names the Service that found no room. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct frontend_key);
	__type(value, struct frontend);
	PINNED;
} frontends SEC(".maps");

/* The three arrays a frontend points into. Written by the agent through mmap: plain stores, no system calls. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 262144);
	__type(key, __u32);
	__type(value, struct backend);
	PINNED;
} backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, struct slot_chunk);
	PINNED;
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct maglev_chunk);
	PINNED;
} maglev SEC(".maps");

/*
 * Flow rows live in `flow_cells`, found by the tags in `flow_buckets` (flow_table.h), all written by the datapath. Only where there is no place among
 * live, answered flows does a flow go to the LRU hash `flows`, which never refuses: the least recently used goes. The agent lists both
 * and clears expired rows out of `flows`.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, struct flow_bucket);
	PINNED;
} flow_buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 262144);
	__type(key, __u32);
	__type(value, struct flow_cell);
	PINNED;
} flow_cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 131072);
	__type(key, struct flow_key);
	__type(value, struct flow);
	PINNED;
} flows SEC(".maps");

/* Ports of fragmented packets, from the first fragment to the rest. Full: the least recently used goes. */
struct fragment_key {
	struct address source;
	struct address destination;
	__u32 identification;
	__u32 protocol;
};

struct fragment_ports {
	__be16 source_port;
	__be16 destination_port;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct fragment_key);
	__type(value, struct fragment_ports);
	PINNED;
} fragments SEC(".maps");

/* What ARP and NDP are answered for, and where. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct announced_key);
	__type(value, struct announced);
	PINNED;
} announced SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct device);
	PINNED;
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct address);
	__type(value, struct endpoint);
	PINNED;
} endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct runtime);
	PINNED;
} runtime SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct address_filter);
	PINNED;
} address_filter SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VERDICT_COUNT);
	__type(key, __u32);
	__type(value, __u64);
	PINNED;
} verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct drop_key);
	__type(value, __u64);
	PINNED;
} drops SEC(".maps");

/* Samples and drops for `fairlead monitor`. Full: events are lost, packets are not. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
	PINNED;
} events SEC(".maps");

/* What a CPU needs for a new flow: its two rows (the BPF stack is too small for them), and the chunk of cells that it is using up. Not pinned. */
struct scratch {
	struct flow forward;
	struct flow reply;
	struct flow_key reply_key;
	__u32 place; /* of the pair of cells, see claim_pair() */
	__u32 chunk, pairs_left;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch_space SEC(".maps");

/* Routes found within the same second: a new flow seldom has to ask the routing table. Direct-mapped by backend. */
struct route {
	struct address source; /* this node's address towards the destination */
	__u32 ifindex;
	__u8 source_mac[MAC_LENGTH];
	__u8 next_hop_mac[MAC_LENGTH];
	__u32 neighbor_known;
} WIDE;

struct cached_route {
	struct address destination;
	__u32 second;
	__u32 ingress_ifindex;
	struct route route;
} WIDE;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct cached_route);
} route_cache SEC(".maps");

struct reject_budget {
	__u32 second;
	__u32 used;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reject_budget);
} reject_budgets SEC(".maps");

/* Constant for the life of a loaded object; the agent may set them before loading. */
const volatile __u16 snat_port_min = 12288;
const volatile __u16 snat_port_mask = 0x3fff;
const volatile __u32 tcp_established_seconds = 8000;
const volatile __u32 tcp_syn_seconds = 60;
const volatile __u32 tcp_closing_seconds = 120;
const volatile __u32 tcp_reset_seconds = 10;
const volatile __u32 udp_seconds = 180;
const volatile __u32 rejects_per_second = 1000; /* and CPU */
const volatile __u32 flow_bucket_mask = 0x7fff; /* at most the rows of `flow_buckets` minus one */
const volatile __u32 flow_cell_mask = 0x3ffff; /* at most the rows of `flow_cells` minus one */
const volatile __u32 maglev_seed = 0x5eedf1ad;
const volatile __u8 has_conntrack = 0; /* the kernel has the functions that handover.h calls */

#endif
