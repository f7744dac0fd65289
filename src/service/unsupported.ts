/**
 * What a Service asks for and this datapath does not do. Nobody is let in who should not be: rather than balance without looking
 * at source ranges, such a Service is left to the node's stack, where kube-proxy knows them.
 */
import { parseAddress, type Family } from "../net/address.ts";
import { parsePrefix } from "../net/prefix.ts";
import type { Problem } from "../net/problem.ts";
import type { Service } from "./objects.ts";

/** The path of what is balanced all the same, otherwise than asked for. */
export const AFFINITY = "spec.sessionAffinity";

/** With addresses of these families. */
export function unsupported(service: Service, families: ReadonlySet<Family>, subject: string): readonly Problem[] {
  const { ports, sessionAffinity } = service.spec;
  const sctp = ports.flatMap(({ port, protocol }, index) => {
    if (protocol !== "SCTP") return [];
    const message = `port ${port} is not balanced: SCTP is not supported, only TCP and UDP`;
    return [{ subject, path: `spec.ports[${index}].protocol`, message }];
  });
  const left = [...families].filter((family) => isLeftToNode(service, family));
  const ranges = {
    subject,
    path: "spec.loadBalancerSourceRanges",
    message: `${left.join(" and ")} is not balanced: source ranges are not supported; its packets are left to the node, where kube-proxy, if there is one, lets in who may`,
  };
  const affinity = {
    subject,
    path: AFFINITY,
    message: "ClientIP is not followed: connections of one client may go to different pods",
  };
  return [
    ...sctp,
    ...(left.length > 0 ? [ranges] : []),
    ...(sessionAffinity === "ClientIP" && left.length < families.size ? [affinity] : []),
  ];
}

/** It says who may connect, and that is not everybody of this family. What cannot be read lets nobody in. */
export function isLeftToNode({ spec: { loadBalancerSourceRanges: ranges } }: Service, family: Family): boolean {
  if (ranges.length === 0) return false;
  return !ranges.some((range) => {
    const prefix = parsePrefix(range.trim());
    return prefix?.family === family && prefix.length === 0;
  });
}

/** It has addresses, and no port of any is balanced. */
export function isAllLeftToNode(service: Service): boolean {
  const families = service.status.loadBalancer.ingress.flatMap(({ ip }) => parseAddress(ip ?? "")?.family ?? []);
  if (families.length === 0) return false;
  if (service.spec.ports.every(({ protocol }) => protocol === "SCTP")) return true;
  return families.every((family) => isLeftToNode(service, family));
}
