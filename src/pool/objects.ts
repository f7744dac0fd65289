/** metallb.io/v1beta1 IPAddressPool, with the fields and defaults of MetalLB. */
import { z } from "zod";
import { conditionSchema, metadataSchema, type Immutable } from "../service/objects.ts";
import { labelSelectorSchema } from "../service/selector.ts";

const serviceAllocationSchema = z.object({
  /** Lower wins; 0 (the default) comes after every positive value. */
  priority: z.number().int().default(0),
  namespaces: z.array(z.string()).default([]),
  namespaceSelectors: z.array(labelSelectorSchema).default([]),
  serviceSelectors: z.array(labelSelectorSchema).default([]),
});

/** Counters of addresses (int64 in the API: read here as numbers, written exactly) and, beyond MetalLB, conditions. */
export const poolStatusSchema = z.object({
  assignedIPv4: z.number().default(0),
  assignedIPv6: z.number().default(0),
  availableIPv4: z.number().default(0),
  availableIPv6: z.number().default(0),
  conditions: z.array(conditionSchema).default([]),
  /** Beyond MetalLB, for pools whose released addresses cool down: what a later decision must know. See pool/cool-down.ts. */
  coolDown: z
    .object({
      /** Stretches of addresses in use. */
      inUse: z.array(z.string()).default([]),
      /** Stretches that were released, and when. */
      released: z.array(z.object({ addresses: z.string(), at: z.string() })).default([]),
    })
    .optional(),
});

export const ipAddressPoolSchema = z.object({
  metadata: metadataSchema,
  spec: z.object({
    /** CIDRs and `start-end` ranges; text here, read by pool/pools.ts so that all problems of a pool are reported together. */
    addresses: z.array(z.string()).default([]),
    autoAssign: z.boolean().default(true),
    avoidBuggyIPs: z.boolean().default(false),
    serviceAllocation: serviceAllocationSchema.optional(),
  }),
  status: poolStatusSchema.optional(),
});

export type IPAddressPool = Immutable<z.infer<typeof ipAddressPoolSchema>>;
export type PoolStatus = Immutable<z.infer<typeof poolStatusSchema>>;
export type ServiceAllocation = Immutable<z.infer<typeof serviceAllocationSchema>>;
