/** The kinds that only programs write: what MetalLB's own say, as schemas for the CRDs. */
import { z } from "zod";
import { conditionSchema, metadataSchema } from "../service/objects.ts";

const immutable = z
  .string()
  .meta({ "x-kubernetes-validations": [{ rule: "self == oldSelf", message: "Value is immutable" }] });

const serviceOnNode = {
  node: immutable.optional().describe("The node that announces the Service."),
  serviceName: immutable.optional().describe("Name of the Service."),
  serviceNamespace: immutable.optional().describe("Namespace of the Service."),
};

export const serviceL2StatusSchema = z.object({
  metadata: metadataSchema,
  spec: z.object({}).optional(),
  status: z
    .object({
      ...serviceOnNode,
      interfaces: z
        .array(z.object({ name: z.string().optional().describe("Of the network interface.") }))
        .optional()
        .describe("Where it is announced; empty: on all interfaces."),
    })
    .optional(),
});

export const serviceBGPStatusSchema = z.object({
  metadata: metadataSchema,
  spec: z.object({}).optional(),
  status: z
    .object({
      ...serviceOnNode,
      peers: z.array(z.string()).optional().describe("Names of the BGPPeers it is announced to."),
    })
    .optional(),
});

export const configurationStateSchema = z.object({
  metadata: metadataSchema,
  status: z
    .object({
      result: z
        .enum(["Valid", "Invalid", "Unknown"])
        .optional()
        .describe("What the program makes of the configuration it reads."),
      errorSummary: z.string().optional().describe("The messages of the conditions that are false, one a line."),
      conditions: z
        .array(conditionSchema)
        .optional()
        .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] }),
    })
    .optional(),
});
