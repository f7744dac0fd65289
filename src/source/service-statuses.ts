/** The two kinds of object in which an agent says which Services it announces: what they hold, wherever they lie. */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { BgpStatusWrite, L2StatusWrite } from "./source.ts";

export interface ServiceStatusKind<Write> {
  readonly kind: string;
  /** In paths of the API, and as a folder's name. */
  readonly resource: string;
  /** Of an object's name. */
  readonly prefix: string;
  /** The status beside node and Service. */
  readonly fields: (write: Write) => object;
  /** The reverse; `undefined`: it is not as we write it. */
  readonly parse: (status: unknown) => Write | undefined;
}

const l2Fields = z.object({ interfaces: z.array(z.object({ name: z.string() })).default([]) });
const bgpFields = z.object({ peers: z.array(z.string()).default([]) });

export const L2_STATUS: ServiceStatusKind<L2StatusWrite> = {
  kind: "ServiceL2Status",
  resource: "servicel2statuses",
  prefix: "l2",
  fields: ({ interfaces }) => ({ interfaces: interfaces.map((name) => ({ name })) }),
  parse: (status) => {
    const parsed = l2Fields.safeParse(status);
    return parsed.success ? { interfaces: parsed.data.interfaces.map(({ name }) => name) } : undefined;
  },
};

export const BGP_STATUS: ServiceStatusKind<BgpStatusWrite> = {
  kind: "ServiceBGPStatus",
  resource: "servicebgpstatuses",
  prefix: "bgp",
  fields: ({ peers }) => ({ peers }),
  parse: (status) => {
    const parsed = bgpFields.safeParse(status);
    return parsed.success ? parsed.data : undefined;
  },
};

/** The same for a node and a Service whenever it is written: a repetition changes nothing. */
export function statusName(prefix: string, node: string, service: string): string {
  return `${prefix}-${createHash("sha256").update(`${node}/${service}`).digest("hex").slice(0, 10)}`;
}

export function statusLabels(node: string, service: string): Readonly<Record<string, string>> {
  const [namespace = "", name = ""] = service.split("/");
  return {
    "metallb.io/node": node,
    // The value of a label is shorter than a name may be.
    "metallb.io/service-name": name.slice(0, 63),
    "metallb.io/service-namespace": namespace,
  };
}

export function statusFields<Write>(
  kind: ServiceStatusKind<Write>,
  node: string,
  service: string,
  write: Write,
): Readonly<Record<string, unknown>> {
  const [serviceNamespace, serviceName] = service.split("/");
  return { node, serviceName, serviceNamespace, ...kind.fields(write) };
}
