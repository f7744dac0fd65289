/**
 * How tests change what a scene's cluster holds, and read what our programs write into it. One set of tests runs on both:
 *
 *     folder-access.ts    the lab plays the cluster: manifests lie in a folder, pods and nodes are what the scene and a file say
 *     kubectl-access.ts   the cluster is real: everything by kubectl, pods by the Deployment behind the Services
 */
import type { Conditions } from "../../lab/cluster-objects.ts";
import type { Fault } from "../../lab/fault.ts";

export interface WorkingPod {
  readonly name: string;
  readonly node: string;
  readonly addresses: readonly string[];
}

/** A ServiceL2Status. */
export interface L2Status {
  readonly node: string;
  readonly interfaces: readonly string[];
}

export interface ClusterEvent {
  readonly reason: string;
  readonly message: string;
  readonly count: number;
  /** Milliseconds since 1970. */
  readonly lastSeenAt: number;
  /** Name of the object that it is about. */
  readonly about: string;
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ClusterAccess {
  /** Applies a manifest: what this file held before and does not hold now is deleted. */
  write(file: string, text: string): Promise<void>;
  remove(file: string): Promise<void>;
  /** What becomes of pods and nodes; what was said before and is not said now is undone. */
  conditions(conditions: Conditions): Promise<void>;
  /** The ready pods behind the Services, by name. */
  pods(): Promise<readonly WorkingPod[]>;
  /** Connections of a pod come from its node's address where they leave the node. */
  readonly hidesPods: boolean;
  /** The asking program (lab/requester.ts), as a command in a pod. */
  readonly requester: readonly string[];
  /** A command in a pod; what it says. */
  inPod(pod: string, command: readonly string[]): Promise<string>;
  /** Everything that comes back with a host after a fault. */
  settleAfter(host: string, fault: Fault): Promise<void>;
  /** That nobody starts a node's agent again before the fault `agent-start`. */
  keepAgentAway(node: string): Promise<void>;
  l2Statuses(service: string): Promise<readonly L2Status[]>;
  /** That an agent has written. */
  events(node: string): Promise<readonly ClusterEvent[]>;
  /** By name: `controller`, `speaker-NODE`. */
  configurationStates(): Promise<ReadonlyMap<string, { readonly result: string; readonly errorSummary: string }>>;
  /** `fairlead cleanup` on a node. */
  cleanup(node: string): Promise<Outcome>;
  /** Whether an agent's maps, or its drain, are still on its node. */
  hasLeft(node: string, what: "maps" | "drain"): Promise<boolean>;
}
