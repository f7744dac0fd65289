/* SPDX-License-Identifier: GPL-2.0 */
/* What every object includes, in the order in which the parts build on each other. */
#ifndef FAIRLEAD_H
#define FAIRLEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#ifndef AF_INET
#define AF_INET 2
#define AF_INET6 10
#endif

#include "abi.h"
#include "maps.h"
#include "checksum.h"
#include "tuple.h"
#include "parse.h"
#include "verdict.h"
#include "fib.h"
#include "service.h"
#include "flow_age.h"
#include "flow_tags.h"
#include "flow_table.h"
#include "flow.h"
#include "handover.h"
#include "source_port.h"
#include "forward.h"

#endif
