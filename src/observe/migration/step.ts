/** A step of a handover, what it depends on, and the labels by which nodes say how far they are. Pure. */
import type { BGPPeer } from "../../announce/bgp/objects.ts";
import type { Node } from "../../service/objects.ts";
import type { Installation } from "./installation.ts";

export interface Step {
  readonly title: string;
  readonly commands: readonly string[];
  /** As root on every node, before the commands. */
  readonly onEveryNode?: readonly string[];
  /** Takes the step back. What is no command begins with `#`. */
  readonly undo: readonly string[];
  /** What to know before it is done. */
  readonly notes?: readonly string[];
}

export interface Progress {
  readonly installation: Installation;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly namespace: string;
  readonly bgpPeers: ReadonlyMap<string, BGPPeer>;
  /** There are L2Advertisements. */
  readonly layer2: boolean;
}

export const HANDOVER_LABEL = "fairlead.io/handover";
/** A node that has it gets no speaker. */
export const SPEAKER_LABEL = "fairlead.io/speaker";

/** Whether conntrack takes up a TCP connection that it did not see begin. */
export function looseConnections(loose: boolean): string {
  return `sysctl -w net.netfilter.nf_conntrack_tcp_loose=${loose ? 1 : 0}`;
}
