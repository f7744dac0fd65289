/** What this node makes of the configuration: everything that concerns it, as MetalLB's speakers judge it, and all that is wrong at once. */
import { judgeLayer2 } from "../announce/judgement.ts";
import type { Problem } from "../net/problem.ts";
import { NO_NAMESPACES } from "../pool/pools.ts";
import {
  aboutKinds,
  configurationVerdict,
  sameVerdict,
  type ConfigurationVerdict,
} from "../reconcile/configuration-state.ts";
import { sameObjects } from "../service/slices.ts";
import type { NodeStatusWriter, Snapshot } from "../source/source.ts";

/** Of objects that could not be read, those that are configuration. */
const KINDS = [
  "IPAddressPool",
  "L2Advertisement",
  "BGPAdvertisement",
  "BGPPeer",
  "BFDProfile",
  "Community",
  "Secret",
  "Node",
  "Namespace",
];
/** Somebody may have deleted the object: it is written again after so long, although nothing changed. */
const REWRITE_MS = 300_000;

/** Judges pools and layer 2 anew only when something of them changed; BGP's own part remembers by itself. */
export class ConfigurationJudge {
  #maps: readonly object[] = [];
  #objects: readonly object[] = [];
  #problems: readonly Problem[] = [];

  /** Everything that is wrong for this node. `bgpProblems`: of peers, their profiles and advertisements. */
  judge(snapshot: Snapshot, bgpProblems: readonly Problem[]): readonly Problem[] {
    const { ipAddressPools, l2Advertisements } = snapshot;
    const maps = [ipAddressPools, l2Advertisements];
    if (!sameObjects(maps, this.#maps)) {
      const objects = maps.flatMap((map): object[] => [...map.values(), SEPARATOR]);
      if (!sameObjects(objects, this.#objects))
        // Which namespaces a pool is for concerns the controller; what is wrong with it does not depend on them.
        this.#problems = judgeLayer2({ ...snapshot, namespaces: NO_NAMESPACES });
      this.#objects = objects;
      this.#maps = maps;
    }
    return [...aboutKinds(snapshot.problems, KINDS), ...this.#problems, ...bgpProblems];
  }
}

/** Between the lists of objects, so that moving an object from one list to the next is a change. */
const SEPARATOR = {};

/** Writes the ConfigurationState of this node: when the verdict changes, and now and then. */
export class ConfigurationReporter {
  readonly #writer: Pick<NodeStatusWriter, "writeConfigurationState">;
  #written: ConfigurationVerdict | undefined;
  #writtenAt = -Infinity;

  constructor(writer: Pick<NodeStatusWriter, "writeConfigurationState">) {
    this.#writer = writer;
  }

  /** Rejects with an Error that names the object when it could not be written; the next call tries again. */
  async report(problems: readonly Problem[] | undefined, now: Date): Promise<void> {
    const verdict = configurationVerdict("configReconcilerValid", problems, this.#written, now);
    const due = now.getTime() - this.#writtenAt >= REWRITE_MS;
    if (!due && sameVerdict(this.#written, verdict)) return;
    await this.#writer.writeConfigurationState(verdict);
    this.#written = verdict;
    this.#writtenAt = now.getTime();
  }
}
