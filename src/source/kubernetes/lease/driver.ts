/** Keeps asking for a Lease, and says when this replica leads and when it does not any more. */
import { z } from "zod";
import type { Clock } from "../../../time/clock.ts";
import type { Random } from "../../../time/jitter.ts";
import type { Connection, Response } from "../connection.ts";
import { deadline, initialState, isLeading, step, type Effect, type Event, type Held, type Timing } from "./machine.ts";

export interface LeaseOptions {
  readonly connection: Pick<Connection, "request">;
  readonly namespace: string;
  readonly name: string;
  /** Unique among the replicas: the name of the pod. */
  readonly identity: string;
  readonly timing: Timing;
  readonly clock: Clock;
  readonly random: Random;
  readonly onChange: (leading: boolean) => void;
  /** Told after every try why the Lease cannot be had; undefined: it can. */
  readonly onProblem: (message: string | undefined) => void;
}

export interface Lease {
  leading(): boolean;
  /** Gives the lease back, so that another replica need not wait for its end. */
  stop(): Promise<void>;
}

export function startLease(options: LeaseOptions): Lease {
  const { clock, random, connection } = options;
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(options.namespace)}/leases`;
  const path = `${collection}/${encodeURIComponent(options.name)}`;
  let state = initialState(options.identity, options.timing, clock.now());
  let cancel = (): void => {};
  let stopped = false;

  const handle = (event: Event): void => {
    if (stopped) return;
    const [next, effects] = step(state, event, clock.now(), random);
    state = next;
    cancel();
    cancel = clock.at(deadline(state), () => handle({ type: "clock" }));
    for (const effect of effects) void perform(effect);
  };

  const perform = async (effect: Effect): Promise<void> => {
    if (effect.type === "lead" || effect.type === "follow") options.onChange(effect.type === "lead");
    else if (effect.type === "read") handle(await ask({ method: "GET", path }, 404));
    else handle(await write(effect));
  };

  const ask = async (request: Parameters<Connection["request"]>[0], absent?: number): Promise<Event> => {
    try {
      const response = await connection.request(request);
      if (response.status === absent) return said({ type: "read", lease: undefined }, undefined);
      const lease = leaseOf(response);
      if (lease !== undefined) return said({ type: request.method === "GET" ? "read" : "written", lease }, undefined);
      // Two replicas that ask at once: one of them is told so, which is how it should be.
      const conflict = response.status === 409;
      return said({ type: "failed" }, conflict ? undefined : `Cannot have the Lease ${path}: ${describe(response)}`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return said({ type: "failed" }, `Cannot have the Lease ${path}: ${reason}`);
    }
  };

  const said = (event: Event, message: string | undefined): Event => {
    options.onProblem(message);
    return event;
  };

  const write = ({ over, leaseTransitions }: Extract<Effect, { type: "write" }>): Promise<Event> => {
    const body = leaseBody(options, over?.resourceVersion, options.identity, leaseTransitions);
    return over === undefined ? ask({ method: "POST", path: collection, body }) : ask({ method: "PUT", path, body });
  };

  handle({ type: "clock" });
  return {
    leading: () => isLeading(state),
    stop: async () => {
      stopped = true;
      cancel();
      if (!isLeading(state) || state.seen === undefined) return;
      const { lease } = state.seen;
      const body = leaseBody(options, lease.resourceVersion, "", lease.leaseTransitions);
      // Where it cannot be given back it ends by itself.
      await connection.request({ method: "PUT", path, body }).catch(() => {});
    },
  };
}

function leaseBody(
  { namespace, name, timing }: LeaseOptions,
  resourceVersion: string | undefined,
  holderIdentity: string,
  leaseTransitions: number,
): unknown {
  const now = new Date().toISOString().replace("Z", "000Z");
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { namespace, name, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    spec: {
      holderIdentity,
      // Whole seconds in the API.
      leaseDurationSeconds: Math.ceil(timing.leaseDurationSeconds),
      acquireTime: now,
      renewTime: now,
      leaseTransitions,
    },
  };
}

const leaseSchema = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  spec: z
    .object({
      holderIdentity: z.string().default(""),
      leaseDurationSeconds: z.number().default(0),
      renewTime: z.string().default(""),
      leaseTransitions: z.number().default(0),
    })
    .prefault({}),
});

function leaseOf({ status, body }: Response): Held | undefined {
  if (status !== 200 && status !== 201) return undefined;
  const parsed = leaseSchema.safeParse(body);
  return parsed.success ? { ...parsed.data.spec, ...parsed.data.metadata } : undefined;
}

function describe({ status, body }: Response): string {
  const message = typeof body === "object" && body !== null && "message" in body ? String(body.message) : "";
  return `the API server answers ${status}: ${message}`;
}
