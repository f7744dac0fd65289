/** metallb.io/v1beta1 L2Advertisement, with the fields and defaults of MetalLB. */
import { z } from "zod";
import { metadataSchema, type Immutable } from "../service/objects.ts";
import { labelSelectorSchema } from "../service/selector.ts";

export const l2AdvertisementSchema = z.object({
  metadata: metadataSchema,
  spec: z
    .object({
      /** Pool names; with neither names nor selectors every pool is meant. */
      ipAddressPools: z.array(z.string()).default([]),
      ipAddressPoolSelectors: z.array(labelSelectorSchema).default([]),
      /** Empty: all nodes. */
      nodeSelectors: z.array(labelSelectorSchema).default([]),
      /** Exact names; empty: all interfaces. */
      interfaces: z.array(z.string()).default([]),
      /** Empty: all services. */
      serviceSelectors: z.array(labelSelectorSchema).default([]),
      preferredNodeSelectors: z
        .array(z.object({ weight: z.number().int().min(1).max(100), preference: labelSelectorSchema }))
        .default([]),
    })
    .default({
      ipAddressPools: [],
      ipAddressPoolSelectors: [],
      nodeSelectors: [],
      interfaces: [],
      serviceSelectors: [],
      preferredNodeSelectors: [],
    }),
});

export type L2Advertisement = Immutable<z.infer<typeof l2AdvertisementSchema>>;
