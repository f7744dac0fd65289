/** metallb.io/v1beta1 L2Advertisement, with the fields and defaults of MetalLB. */
import { z } from "zod";
import { metadataSchema, type Immutable } from "../service/objects.ts";
import { labelSelectorSchema } from "../service/selector.ts";

/** Of which pools: fields that advertisements of both protocols have. */
export const poolSelection = {
  ipAddressPools: z
    .array(z.string())
    .default([])
    .describe("Names of pools whose addresses are announced; with neither names nor selectors all pools."),
  ipAddressPoolSelectors: z
    .array(labelSelectorSchema)
    .default([])
    .describe("Pools by their labels, together with those named."),
};

export const l2AdvertisementSchema = z.object({
  metadata: metadataSchema,
  spec: z
    .object({
      ...poolSelection,
      nodeSelectors: z
        .array(labelSelectorSchema)
        .default([])
        .describe("Only nodes that match one of them may announce; empty: all nodes."),
      interfaces: z
        .array(z.string())
        .default([])
        .describe("Names of the network interfaces to announce on; empty: all."),
      serviceSelectors: z
        .array(labelSelectorSchema)
        .default([])
        .describe("Only Services that match one of them; empty: all."),
      preferredNodeSelectors: z
        .array(
          z.object({
            weight: z.number().int().min(1).max(100).describe("Added to the score of a node that matches."),
            preference: labelSelectorSchema.describe("Which nodes; empty: all."),
          }),
        )
        .default([])
        .describe("Of the nodes that may announce, those with the highest sum of weights are preferred."),
    })
    .prefault({}),
});

export type L2Advertisement = Immutable<z.infer<typeof l2AdvertisementSchema>>;
