/**
 * The Kubernetes objects that say what is to be balanced, with the fields Fairlead reads.
 * Unknown fields are tolerated and left out; absent lists and maps are empty.
 */
import { z } from "zod";

/** As `T`, all the way down: objects are values, changed by nobody. */
export type Immutable<T> = T extends (infer E)[]
  ? readonly Immutable<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Immutable<T[K]> }
    : T;

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

const objectName = z
  .string()
  .max(253)
  .regex(
    SUBDOMAIN,
    "must consist of lower case letters, digits, '-' and '.', and start and end with a letter or digit",
  );
const namespaceName = z
  .string()
  .max(63)
  .regex(LABEL, "must consist of lower case letters, digits and '-', and start and end with a letter or digit");
const stringMap = z.record(z.string(), z.string()).default({});

/** metadata of a cluster-scoped object. Names are checked because they become file names and map keys. */
const clusterMetadataSchema = z.object({
  name: objectName,
  labels: stringMap,
  annotations: stringMap,
  uid: z.string().optional(),
  generation: z.number().int().optional(),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
});

/** metadata of a namespaced object; without a namespace it lies in "default". */
export const metadataSchema = clusterMetadataSchema.extend({ namespace: namespaceName.default("default") });

const portNumber = z.number().int().min(1).max(65535);
const protocol = z.enum(["TCP", "UDP", "SCTP"]).default("TCP");

const servicePortSchema = z.object({
  name: z.string().optional(),
  port: portNumber,
  protocol,
  targetPort: z.union([portNumber, z.string().min(1)]).optional(),
  nodePort: z.number().int().min(0).max(65535).optional(),
  appProtocol: z.string().optional(),
});

/** metav1.Condition. */
export const conditionSchema = z.object({
  type: z.string(),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string().default(""),
  message: z.string().default(""),
  lastTransitionTime: z.string().optional(),
  observedGeneration: z.number().int().optional(),
});

export type Condition = Immutable<z.infer<typeof conditionSchema>>;

const ingressSchema = z.object({
  ip: z.string().optional(),
  hostname: z.string().optional(),
  ipMode: z.string().optional(),
});

export type LoadBalancerIngress = Immutable<z.infer<typeof ingressSchema>>;

/** status of a Service, also what a state folder holds of it. */
export const serviceStatusSchema = z.object({
  loadBalancer: z.object({ ingress: z.array(ingressSchema).default([]) }).default({ ingress: [] }),
  conditions: z.array(conditionSchema).default([]),
});

export type ServiceStatus = Immutable<z.infer<typeof serviceStatusSchema>>;

const serviceSpecSchema = z.object({
  type: z.enum(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]).default("ClusterIP"),
  loadBalancerClass: z.string().optional(),
  loadBalancerIP: z.string().optional(),
  loadBalancerSourceRanges: z.array(z.string()).default([]),
  allocateLoadBalancerNodePorts: z.boolean().default(true),
  clusterIP: z.string().optional(),
  clusterIPs: z.array(z.string()).default([]),
  externalIPs: z.array(z.string()).default([]),
  ipFamilies: z.array(z.enum(["IPv4", "IPv6"])).default([]),
  ipFamilyPolicy: z.enum(["SingleStack", "PreferDualStack", "RequireDualStack"]).optional(),
  externalTrafficPolicy: z.enum(["Cluster", "Local"]).default("Cluster"),
  internalTrafficPolicy: z.enum(["Cluster", "Local"]).default("Cluster"),
  sessionAffinity: z.enum(["None", "ClientIP"]).default("None"),
  sessionAffinityConfig: z
    .object({ clientIP: z.object({ timeoutSeconds: z.number().int().optional() }).optional() })
    .optional(),
  healthCheckNodePort: z.number().int().min(0).max(65535).optional(),
  publishNotReadyAddresses: z.boolean().default(false),
  selector: stringMap,
  ports: z.array(servicePortSchema).default([]),
});

/** v1 Service. */
export const serviceSchema = z.object({
  metadata: metadataSchema,
  spec: serviceSpecSchema,
  status: serviceStatusSchema.default({ loadBalancer: { ingress: [] }, conditions: [] }),
});

export type Service = Immutable<z.infer<typeof serviceSchema>>;
export type ServicePort = Service["spec"]["ports"][number];

/** discovery.k8s.io/v1 EndpointSlice; the label `kubernetes.io/service-name` says whose. */
export const endpointSliceSchema = z.object({
  metadata: metadataSchema,
  addressType: z.enum(["IPv4", "IPv6", "FQDN"]),
  endpoints: z
    .array(
      z.object({
        addresses: z.array(z.string()).default([]),
        /** An absent `ready` or `serving` means true, an absent `terminating` false (the API's own words). */
        conditions: z
          .object({
            ready: z.boolean().optional(),
            serving: z.boolean().optional(),
            terminating: z.boolean().optional(),
          })
          .default({}),
        hostname: z.string().optional(),
        nodeName: z.string().optional(),
        zone: z.string().optional(),
        targetRef: z
          .object({ kind: z.string().optional(), namespace: z.string().optional(), name: z.string().optional() })
          .optional(),
      }),
    )
    .default([]),
  ports: z.array(z.object({ name: z.string().optional(), protocol, port: portNumber.optional() })).default([]),
});

export type EndpointSlice = Immutable<z.infer<typeof endpointSliceSchema>>;
export type Endpoint = EndpointSlice["endpoints"][number];

/** Label of an EndpointSlice that names its Service. */
export const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

/** v1 Node. */
export const nodeSchema = z.object({
  metadata: clusterMetadataSchema,
  spec: z
    .object({
      podCIDR: z.string().optional(),
      podCIDRs: z.array(z.string()).default([]),
      unschedulable: z.boolean().default(false),
    })
    .default({ podCIDRs: [], unschedulable: false }),
  status: z
    .object({
      addresses: z.array(z.object({ type: z.string(), address: z.string() })).default([]),
      conditions: z.array(conditionSchema).default([]),
    })
    .default({ addresses: [], conditions: [] }),
});

export type Node = Immutable<z.infer<typeof nodeSchema>>;

/** v1 Namespace. */
export const namespaceSchema = z.object({ metadata: clusterMetadataSchema });

export type Namespace = Immutable<z.infer<typeof namespaceSchema>>;

/** v1 Secret. `data` is base64 as in the API, `stringData` plain. */
export const secretSchema = z.object({
  metadata: metadataSchema,
  type: z.string().default("Opaque"),
  data: stringMap,
  stringData: stringMap,
});

export type Secret = Immutable<z.infer<typeof secretSchema>>;

/** `namespace/name`, or the name alone for a cluster-scoped object. */
export function objectKey(object: {
  readonly metadata: { readonly name: string; readonly namespace?: string };
}): string {
  const { name, namespace } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}
