// SPDX-License-Identifier: GPL-2.0
/*
 * Never loaded. A variable of every struct and enum of abi.h, so that this object's BTF holds them all, whatever the programs use;
 * tools/generate-abi.ts reads it and names what is missing here.
 */
#include <linux/types.h>
#include "abi.h"

struct address abi_address;
struct frontend_key abi_frontend_key;
enum frontend_flag abi_frontend_flag;
struct frontend abi_frontend;
enum backend_state abi_backend_state;
struct backend abi_backend;
struct slot_chunk abi_slot_chunk;
struct maglev_chunk abi_maglev_chunk;
struct flow_key abi_flow_key;
enum flow_flag abi_flow_flag;
struct flow abi_flow;
struct flow_cell abi_flow_cell;
enum tag_class abi_tag_class;
struct flow_bucket abi_flow_bucket;
struct announced_key abi_announced_key;
struct announced abi_announced;
struct device abi_device;
struct endpoint abi_endpoint;
struct runtime abi_runtime;
struct address_filter abi_address_filter;
enum verdict abi_verdict;
enum hook abi_hook;
struct drop_key abi_drop_key;
struct event abi_event;
enum probe_type abi_probe_type;
enum traffic abi_traffic;
struct probe abi_probe;
struct delivery abi_delivery;
