// Written by tools/generate-abi.ts from bpf/abi.h: do not edit. Sizes and offsets in bytes.

export const MAC_LENGTH = 6;
export const CHUNK_SLOTS = 1024;
export const CHUNK_MAGLEV = 2048;
export const ADDRESS_FILTER_WORDS = 1024;
export const ADDRESS_FILTER_MULTIPLIER = 0x9e3779b1;
export const EVENT_PACKET_BYTES = 96;
export const DELIVERY_MAGIC = 0x464c4431;
export const PROBE_MAGIC = 0x464c5042;
export const PROBE_VERSION = 1;
export const CHUNK_PAIRS = 16;
export const FLOW_WAYS = 8;
export const TAG_PLACE_BITS = 32;
export const TAG_CLASS_SHIFT = 28;
export const TAG_HASH = 0x0fff0000;
export const TAG_TIME = 0xffff;

export const address = {
  size: 16,
  offset: {
    word: 0,
  },
} as const;

export const frontend_key = {
  size: 20,
  offset: {
    address: 0,
    port: 16,
    protocol: 18,
    reserved: 19,
  },
} as const;

export const frontend_flag = {
  FRONTEND_ADDRESS: 1,
  FRONTEND_LOCAL_ONLY: 2,
} as const;

export const frontend = {
  size: 24,
  offset: {
    service_id: 0,
    slot_base: 4,
    slot_count: 8,
    maglev_base: 12,
    maglev_size: 16,
    flags: 20,
  },
} as const;

export const backend_state = {
  BACKEND_GONE: 0,
  BACKEND_ACTIVE: 1,
  BACKEND_NOT_READY: 2,
  BACKEND_TERMINATING: 3,
} as const;

export const backend = {
  size: 32,
  offset: {
    address: 0,
    port: 16,
    state: 18,
    local: 19,
    generation: 20,
    snat_cursor: 24,
    reserved: 28,
  },
} as const;

export const slot_chunk = {
  size: 4096,
  offset: {
    backend_id: 0,
  },
} as const;

export const maglev_chunk = {
  size: 4096,
  offset: {
    slot: 0,
  },
} as const;

export const flow_key = {
  size: 40,
  offset: {
    source: 0,
    destination: 16,
    source_port: 32,
    destination_port: 34,
    protocol: 36,
    reserved: 37,
  },
} as const;

export const flow_flag = {
  FLOW_REPLY: 1,
  FLOW_PEER: 2,
  FLOW_STACK: 4,
  FLOW_SNAT: 8,
  FLOW_ESTABLISHED: 16,
  FLOW_CLOSING: 32,
  FLOW_RESET: 64,
  FLOW_ANSWERED: 128,
} as const;

export const flow = {
  size: 88,
  offset: {
    source: 0,
    destination: 16,
    source_port: 32,
    destination_port: 34,
    destination_mac: 36,
    source_mac: 42,
    ifindex: 48,
    service_id: 52,
    backend_id: 56,
    backend_generation: 60,
    flags: 62,
    seen_seconds: 64,
    l3_delta: 68,
    l4_delta: 70,
    place: 72,
    packets: 76,
    bytes: 80,
  },
} as const;

export const flow_cell = {
  size: 128,
  offset: {
    key: 0,
    flow: 40,
  },
} as const;

export const tag_class = {
  TAG_FREE: 0,
  TAG_OPENING: 1,
  TAG_OVER: 2,
  TAG_ESTABLISHED: 3,
  TAG_CLOSING: 4,
  TAG_ANSWERED: 5,
} as const;

export const flow_bucket = {
  size: 64,
  offset: {
    tag: 0,
  },
} as const;

export const announced_key = {
  size: 20,
  offset: {
    address: 0,
    ifindex: 16,
  },
} as const;

export const announced = {
  size: 16,
  offset: {
    answers: 0,
    requests: 8,
  },
} as const;

export const device = {
  size: 8,
  offset: {
    mac: 0,
    reserved: 6,
  },
} as const;

export const endpoint = {
  size: 16,
  offset: {
    ifindex: 0,
    mac: 4,
    node_mac: 10,
  },
} as const;

export const traffic = {
  TRAFFIC_OURS: 0,
  TRAFFIC_TAKING_OVER: 1,
  TRAFFIC_STANDING_BY: 2,
} as const;

export const runtime = {
  size: 56,
  offset: {
    valid_until_ns: 0,
    answer_margin_ns: 8,
    probe_key: 16,
    probe_port: 32,
    traffic: 34,
    sample_flows: 36,
    sample_drops: 40,
    flows_overflowed: 44,
    chunks_taken: 48,
    reserved2: 52,
  },
} as const;

export const address_filter = {
  size: 16384,
  offset: {
    bits: 0,
    node_bits: 8192,
  },
} as const;

export const verdict = {
  VERDICT_FOREIGN: 0,
  VERDICT_FORWARDED: 1,
  VERDICT_DELIVERED: 2,
  VERDICT_DELIVERED_BY_STACK: 3,
  VERDICT_REPLIED: 4,
  VERDICT_ANSWERED_ARP: 5,
  VERDICT_ANSWERED_NDP: 6,
  VERDICT_ANSWERED_PROBE: 7,
  VERDICT_ANSWERED_ECHO: 8,
  VERDICT_LEFT_TO_TC: 9,
  VERDICT_REJECTED_NO_BACKEND: 10,
  VERDICT_REJECTED_UNKNOWN_PORT: 11,
  VERDICT_TRANSLATED_ICMP: 12,
  VERDICT_SILENT_NOT_ALIVE: 13,
  VERDICT_SILENT_NOT_ANNOUNCED: 14,
  VERDICT_LEFT_TO_STACK: 15,
  VERDICT_SILENCED: 16,
  DROP_TRUNCATED: 32,
  DROP_BAD_HEADER: 33,
  DROP_FRAGMENT: 34,
  DROP_UNSUPPORTED_PROTOCOL: 35,
  DROP_NO_ROUTE: 36,
  DROP_TTL_EXPIRED: 37,
  DROP_NO_SOURCE_PORT: 38,
  DROP_REJECT_LIMITED: 39,
  DROP_INTERNAL: 40,
  DROP_BAD_PROBE: 41,
  VERDICT_COUNT: 64,
} as const;

export const hook = {
  HOOK_XDP: 0,
  HOOK_NETDEV_INGRESS: 1,
  HOOK_NETDEV_EGRESS: 2,
  HOOK_POD: 3,
} as const;

export const drop_key = {
  size: 8,
  offset: {
    service_id: 0,
    verdict: 4,
  },
} as const;

export const event = {
  size: 168,
  offset: {
    time_ns: 0,
    tuple: 8,
    ifindex: 48,
    service_id: 52,
    backend_id: 56,
    verdict: 60,
    length: 62,
    hook: 64,
    packet_length: 65,
    reserved: 66,
    packet: 72,
  },
} as const;

export const probe_type = {
  PROBE_REQUEST: 1,
  PROBE_ANSWER: 2,
} as const;

export const probe = {
  size: 32,
  offset: {
    magic: 0,
    version: 4,
    type: 5,
    reserved: 6,
    sequence: 8,
    remaining_ms: 12,
    nonce: 16,
    tag: 24,
  },
} as const;

export const delivery = {
  size: 20,
  offset: {
    magic: 0,
    ifindex: 4,
    mac: 8,
    node_mac: 14,
  },
} as const;
