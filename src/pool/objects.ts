/** metallb.io/v1beta1 IPAddressPool, with the fields and defaults of MetalLB. */
import { z } from "zod";
import { conditionSchema, metadataSchema, type Immutable } from "../service/objects.ts";
import { labelSelectorSchema } from "../service/selector.ts";

const serviceAllocationSchema = z
  .object({
    priority: z.number().int().default(0).describe("Pools with a lower one are tried first; 0 comes last."),
    namespaces: z.array(z.string()).default([]).describe("Namespaces whose Services may use the pool."),
    namespaceSelectors: z
      .array(labelSelectorSchema)
      .default([])
      .describe("Namespaces by their labels, together with those named."),
    serviceSelectors: z
      .array(labelSelectorSchema)
      .default([])
      .describe("Only Services that match one of them may use the pool; empty: all."),
  })
  .describe("Who may use the pool. A pool that says so is tried before those that do not.");

/** int64 in the API: read here as numbers, written exactly. */
const addresses = z.number().default(0).meta({ type: "integer", format: "int64", "x-required": true });

/** Counters of addresses and, beyond MetalLB, conditions. */
export const poolStatusSchema = z.object({
  assignedIPv4: addresses.describe("IPv4 addresses in use; one that several Services share counts once."),
  assignedIPv6: addresses.describe("IPv6 addresses in use."),
  availableIPv4: addresses.describe("IPv4 addresses left."),
  availableIPv6: addresses.describe("IPv6 addresses left."),
  conditions: z.array(conditionSchema).default([]),
  // What a later decision must know where released addresses cool down: cool-down.ts.
  coolDown: z
    .object({
      inUse: z.array(z.string()).default([]).describe("Stretches of addresses in use."),
      released: z
        .array(z.object({ addresses: z.string(), at: z.string() }))
        .default([])
        .describe("Stretches of addresses that were released and rest, and since when."),
    })
    .optional()
    .describe("Beyond MetalLB, of pools whose released addresses cool down."),
});

export const ipAddressPoolSchema = z.object({
  metadata: metadataSchema,
  spec: z.object({
    // Text here, read by pools.ts so that all problems of a pool are reported together.
    addresses: z
      .array(z.string())
      .default([])
      .meta({ "x-required": true, minItems: 1 })
      .describe("CIDRs (192.0.2.0/24) and ranges (192.0.2.10-192.0.2.20), given out in this order."),
    autoAssign: z
      .boolean()
      .default(true)
      .describe("Give addresses also to Services that ask for neither the pool nor an address of it."),
    avoidBuggyIPs: z
      .boolean()
      .default(false)
      .describe("Do not give out IPv4 addresses that end in .0 or .255, which some old devices refuse."),
    serviceAllocation: serviceAllocationSchema.optional(),
  }),
  status: poolStatusSchema.optional(),
});

export type IPAddressPool = Immutable<z.infer<typeof ipAddressPoolSchema>>;
export type PoolStatus = Immutable<z.infer<typeof poolStatusSchema>>;
export type ServiceAllocation = Immutable<z.infer<typeof serviceAllocationSchema>>;
