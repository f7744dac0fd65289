/** What a decision costs when one Service has come to many that have their addresses: about it alone, and from nothing. */
import { formatAddress } from "../src/net/address.ts";
import type { Decision, Objects } from "../src/pool/decision.ts";
import { Assigner } from "../src/pool/assigner.ts";
import { ADDRESS_ASSIGNED, ALLOCATED_FROM_POOL } from "../src/service/written.ts";
import { withChanges } from "../src/reconcile/layered-map.ts";
import { serviceSchema, type Service } from "../src/service/objects.ts";
import { atOnce } from "../src/time/slices.ts";
import { POOL_INPUTS } from "./pool.ts";
import { median } from "./statistics.ts";

export interface OneMoreResult {
  readonly services: number;
  readonly aloneMilliseconds: number;
  readonly fromNothingMilliseconds: number;
}

const COMING = 50;

/** Of the first input of the pool benchmark with so many Services. */
export function measureOneMore(services: number): OneMoreResult {
  const input = POOL_INPUTS.find((one) => one.services === services);
  if (input === undefined) throw new Error(`Cannot measure ${services} Services: there is no such input`);
  const assigner = new Assigner();
  const bare = input.objects();
  let objects = written(bare, atOnce(assigner.deciding(bare, 0)));
  atOnce(assigner.takingIn(objects));
  const fromNothing = timed(() => atOnce(new Assigner().deciding(objects, 0)));
  const alone: number[] = [];
  for (let number = 0; number < COMING; number += 1) {
    const one = newService(number);
    objects = { ...objects, services: withChanges(objects.services, new Map([[`bench/${one.metadata.name}`, one]])) };
    let decision: Decision | undefined;
    alone.push(timed(() => (decision = atOnce(assigner.deciding(objects, 0)))));
    if (decision?.looked?.size !== 1) throw new Error(`${decision?.looked?.size ?? "All"} Services were looked at`);
    objects = written(objects, decision, decision.looked);
    atOnce(assigner.takingIn(objects));
  }
  return { services, aloneMilliseconds: median(alone), fromNothingMilliseconds: fromNothing };
}

function timed(act: () => unknown): number {
  const start = performance.now();
  act();
  return performance.now() - start;
}

/** The objects when what was decided about these Services has been written. */
function written(objects: Objects, decision: Decision, keys: Iterable<string> = decision.assignments.keys()): Objects {
  const changes = new Map<string, Service>();
  for (const key of keys) {
    const service = objects.services.get(key);
    const assignment = decision.assignments.get(key);
    if (service === undefined || assignment === undefined) continue;
    const annotations = { ...service.metadata.annotations, [ALLOCATED_FROM_POOL]: assignment.pool ?? "" };
    const ingress = assignment.addresses.map((address) => ({ ip: formatAddress(address), ipMode: "VIP" }));
    const conditions = [{ type: ADDRESS_ASSIGNED, status: "True", reason: "IPAllocated", message: "" }];
    const { status } = serviceSchema.parse({ ...service, status: { loadBalancer: { ingress }, conditions } });
    changes.set(key, { ...service, metadata: { ...service.metadata, annotations }, status });
  }
  return { ...objects, services: withChanges(objects.services, changes) };
}

function newService(number: number): Service {
  const metadata = { namespace: "bench", name: `one-more-${number}` };
  return serviceSchema.parse({ metadata, spec: { type: "LoadBalancer", ports: [{ port: 80 }] } });
}
