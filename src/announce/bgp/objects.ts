/**
 * The metallb.io kinds of BGP, with the fields, ranges and defaults of MetalLB: BGPPeer, BGPAdvertisement, BFDProfile, Community.
 * Descriptions are the CRDs' (tools/generate-crds.ts). What one field cannot tell alone is judged in configuration.ts.
 */
import { z } from "zod";
import { metadataSchema, type Immutable } from "../../service/objects.ts";
import { labelSelectorSchema } from "../../service/selector.ts";
import { poolSelection } from "../objects.ts";
import { parseDuration } from "../../time/duration.ts";

/** Text to milliseconds. */
const duration = z.string().transform((text, context) => {
  const milliseconds = parseDuration(text);
  if (milliseconds !== undefined) return milliseconds;
  context.addIssue({ code: "custom", message: "is not a duration such as 90s or 1m30s" });
  return z.NEVER;
});

const asn = z.number().int().min(0).max(4_294_967_295);

const peerSpecSchema = z.object({
  myASN: asn.describe("AS number of the local end of the session."),
  peerASN: asn.default(0).describe("AS number of the remote end. Either this or dynamicASN."),
  dynamicASN: z
    .enum(["internal", "external"])
    .optional()
    .describe(
      "Instead of peerASN: accept any AS number of this kind, internal being myASN itself and external every other one.",
    ),
  localASN: asn
    .min(1)
    .optional()
    .describe("Present this AS number to the peer instead of myASN, which does not appear in the path."),
  peerAddress: z.string().default("").describe("Address to connect to. Either this or interface."),
  interface: z
    .string()
    .default("")
    .describe("Instead of peerAddress: peer with the neighbor found on this interface (unnumbered BGP)."),
  sourceAddress: z.string().default("").describe("Local address of the session; it must exist on the node."),
  peerPort: z.number().int().min(1).max(16_384).default(179).describe("TCP port to connect to."),
  holdTime: duration.optional().describe("Requested hold time: 0, or at least 3s (RFC 4271)."),
  keepaliveTime: duration.optional().describe("Requested keepalive time; a third of the hold time when absent."),
  connectTime: duration
    .optional()
    .meta({
      "x-kubernetes-validations": [
        {
          rule: "duration(self).getSeconds() >= 1 && duration(self).getSeconds() <= 65535",
          message: "connect time should be between 1 seconds to 65535",
        },
        {
          rule: "duration(self).getMilliseconds() % 1000 == 0",
          message: "connect time should contain a whole number of seconds",
        },
      ],
    })
    .describe("Pause between attempts to connect: a whole number of seconds from 1s to 65535s."),
  routerID: z.string().default("").describe("BGP identifier to use instead of one derived from the node."),
  nodeSelectors: z
    .array(labelSelectorSchema)
    .default([])
    .describe("Only nodes that match one of them connect to the peer; empty: all nodes."),
  password: z.string().default("").describe("Authenticates the session (TCP MD5, RFC 2385)."),
  passwordSecret: z
    .object({ name: z.string().default(""), namespace: z.string().default("") })
    .default({ name: "", namespace: "" })
    .describe("Instead of password: a Secret of type kubernetes.io/basic-auth beside the peer, with the key password."),
  bfdProfile: z.string().default("").describe("Name of the BFDProfile to run BFD with; empty: no BFD."),
  // Without a default: the rule holds only where both versions of the object have the field, as in MetalLB.
  enableGracefulRestart: z
    .boolean()
    .optional()
    .meta({
      "x-kubernetes-validations": [
        { rule: "self == oldSelf", message: "EnableGracefulRestart cannot be changed after creation" },
      ],
    })
    .describe("Ask the peer to keep our routes while we restart (RFC 4724)."),
  ebgpMultiHop: z.boolean().default(false).describe("The peer is not on a network of the node. For eBGP only."),
  vrf: z.string().default("").describe("VRF to open the session in; it must exist on the node."),
  disableMP: z.boolean().default(false).describe("Deprecated, without effect."),
  dualStackAddressFamily: z
    .boolean()
    .default(false)
    .describe("Announce IPv4 and IPv6 over this session, whichever it runs over."),
});

/** What peers.ts judges too: here the API server refuses it at once. */
const PEER_RULES = [
  { rule: "self.myASN != 0", message: "missing local ASN" },
  {
    rule: "(has(self.peerASN) && self.peerASN != 0) || has(self.dynamicASN)",
    message: "missing peer ASN and dynamicASN",
  },
  {
    rule: "!(has(self.peerASN) && self.peerASN != 0 && has(self.dynamicASN))",
    message: "both peer ASN and dynamicASN specified",
  },
  {
    rule: "!(has(self.peerAddress) && self.peerAddress != '' && has(self.interface) && self.interface != '')",
    message: "peer has both Address and Interface specified",
  },
  {
    rule: "!(has(self.ebgpMultiHop) && self.ebgpMultiHop) || !((has(self.peerASN) && self.peerASN == self.myASN) || (has(self.dynamicASN) && self.dynamicASN == 'internal'))",
    message: "invalid ebgp-multihop parameter set for an ibgp peer",
  },
];

/** v1beta2, the version kept. */
export const bgpPeerSchema = z.object({
  metadata: metadataSchema,
  spec: peerSpecSchema.meta({ "x-kubernetes-validations": PEER_RULES }),
});

const peerSpecV1Beta1Schema = z.object({
  myASN: peerSpecSchema.shape.myASN,
  peerASN: asn.describe("AS number of the remote end."),
  peerAddress: z.string().describe("Address to connect to."),
  sourceAddress: peerSpecSchema.shape.sourceAddress,
  peerPort: z.number().int().min(0).max(16_384).default(0).describe("TCP port to connect to; 0: 179."),
  holdTime: peerSpecSchema.shape.holdTime,
  keepaliveTime: peerSpecSchema.shape.keepaliveTime,
  routerID: peerSpecSchema.shape.routerID,
  nodeSelectors: z
    .array(
      z.object({
        matchLabels: z.record(z.string(), z.string()).default({}),
        // Values are required, which leaves the two operators that take some.
        matchExpressions: z
          .array(
            z.object({ key: z.string().min(1), operator: z.enum(["In", "NotIn"]), values: z.array(z.string()).min(1) }),
          )
          .default([]),
      }),
    )
    .default([])
    .describe("Only nodes that match one of them connect to the peer; empty: all nodes."),
  password: peerSpecSchema.shape.password,
  bfdProfile: peerSpecSchema.shape.bfdProfile,
  ebgpMultiHop: peerSpecSchema.shape.ebgpMultiHop,
});

/** v1beta1 as it is written. */
export const bgpPeerV1Beta1ObjectSchema = z.object({ metadata: metadataSchema, spec: peerSpecV1Beta1Schema });

/**
 * The old version, read as the new one. Unlike MetalLB's conversion a timer that was left out stays left out: there it
 * becomes zero, and the session runs without keepalives.
 */
export const bgpPeerV1Beta1Schema = bgpPeerV1Beta1ObjectSchema.transform(
  ({ metadata, spec }): z.infer<typeof bgpPeerSchema> => ({
    metadata,
    spec: {
      ...spec,
      peerPort: spec.peerPort === 0 ? 179 : spec.peerPort,
      interface: "",
      passwordSecret: { name: "", namespace: "" },
      vrf: "",
      disableMP: false,
      dualStackAddressFamily: false,
    },
  }),
);

const advertisementSpecSchema = z.object({
  aggregationLength: z
    .number()
    .int()
    .min(1)
    .default(32)
    .meta({ format: "int32" })
    .describe("Announce IPv4 addresses as the prefix of this length around them, at most 32."),
  aggregationLengthV6: z
    .number()
    .int()
    .default(128)
    .meta({ format: "int32" })
    .describe("Announce IPv6 addresses as the prefix of this length around them, at most 128."),
  localPref: z
    .number()
    .int()
    .min(0)
    .max(4_294_967_295)
    .default(0)
    .describe("LOCAL_PREF of the routes, for iBGP peers only; 0: not set."),
  asPathPrepend: z
    .number()
    .int()
    .min(1)
    .max(10)
    .optional()
    .describe("Our own AS number so many times more in the path, for eBGP peers only."),
  communities: z
    .array(z.string())
    .default([])
    .describe("Communities of the routes: names from Community objects, 65535:65282, or large:4200000000:1:2."),
  ...poolSelection,
  nodeSelectors: z
    .array(labelSelectorSchema)
    .default([])
    .describe("Only nodes that match one of them announce; empty: all nodes."),
  peers: z.array(z.string()).default([]).describe("Names of BGPPeers to announce to; empty: all."),
  serviceSelectors: z
    .array(labelSelectorSchema)
    .default([])
    .describe("Only Services that match one of them; empty: all. Such an advertisement cannot aggregate."),
});

export const bgpAdvertisementSchema = z.object({
  metadata: metadataSchema,
  spec: advertisementSpecSchema
    .meta({
      "x-kubernetes-validations": [
        {
          rule: "!has(self.serviceSelectors) || size(self.serviceSelectors) == 0 || ((!has(self.aggregationLength) || self.aggregationLength == 32) && (!has(self.aggregationLengthV6) || self.aggregationLengthV6 == 128))",
          message: "aggregationLength and aggregationLengthV6 must be 32 and 128 when serviceSelectors is set",
        },
      ],
    })
    .prefault({}),
});

const bfdMilliseconds = z.number().int().min(10).max(60_000).optional();

const bfdProfileSpecSchema = z.object({
  receiveInterval: bfdMilliseconds.describe("Shortest interval between packets we can receive, in milliseconds."),
  transmitInterval: bfdMilliseconds.describe("Interval between packets we send, in milliseconds."),
  detectMultiplier: z
    .number()
    .int()
    .min(2)
    .max(255)
    .optional()
    .describe("Intervals without a packet after which the peer counts as down."),
  echoInterval: bfdMilliseconds.describe("Interval between echo packets, in milliseconds."),
  echoMode: z.boolean().default(false).describe("Send echo packets, which the peer's forwarding plane returns."),
  passiveMode: z.boolean().default(false).describe("Wait for the peer to begin."),
  minimumTtl: z
    .number()
    .int()
    .min(1)
    .max(254)
    .optional()
    .describe("On multi-hop sessions: drop packets that arrive with a lower TTL."),
});

export const bfdProfileSchema = z.object({ metadata: metadataSchema, spec: bfdProfileSpecSchema.prefault({}) });

const communityAliasSchema = z.object({
  name: z.string().default("").describe("The alias, for use in BGPAdvertisements."),
  value: z.string().default("").describe("What it stands for: 65535:65282, or large:4200000000:1:2."),
});

export const communitySchema = z.object({
  metadata: metadataSchema,
  spec: z
    .object({ communities: z.array(communityAliasSchema).default([]).describe("Aliases and what they stand for.") })
    .prefault({}),
});

export type BGPPeer = Immutable<z.infer<typeof bgpPeerSchema>>;
export type BGPAdvertisement = Immutable<z.infer<typeof bgpAdvertisementSchema>>;
export type BFDProfile = Immutable<z.infer<typeof bfdProfileSchema>>;
export type Community = Immutable<z.infer<typeof communitySchema>>;
