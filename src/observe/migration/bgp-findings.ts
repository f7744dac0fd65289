/** What differs where MetalLB speaks BGP, by the program that it lets speak: its own (native), FRR in the speakers' pods (frr), or frr-k8s. Pure. */
import type { Snapshot } from "../../source/source.ts";
import type { Row } from "./findings.ts";
import { nameOfFrrConfiguration, sharedNeighbors, type FrrConfiguration } from "./frr-configurations.ts";
import { goesWithSpeakers, type Installation } from "./installation.ts";

export function bgpFindings(installation: Installation, snapshot: Snapshot): readonly Row[] {
  const { bgpPeers } = snapshot;
  if (bgpPeers.size === 0) return handwritten(installation, bgpPeers);
  const rows: Row[] = [
    {
      verdict: "differs",
      object: `${bgpPeers.size} BGPPeer${bgpPeers.size === 1 ? "" : "s"}`,
      what: `sessions of mode ${installation.mode} end on each node and begin anew, by the agent itself: ${meanwhile(installation)}`,
      advice: "hand over one node at a time, and see what keeps connections meanwhile: docs/migrate.md",
    },
  ];
  for (const [key, { spec }] of bgpPeers) {
    const object = `BGPPeer ${key}`;
    if (installation.mode === "native" && spec.myASN === spec.peerASN)
      rows.push({
        verdict: "differs",
        object,
        what: "LOCAL_PREF is 100 where no advertisement sets it; MetalLB's native mode says 0",
      });
    if (installation.mode !== "frr-k8s") continue;
    // Read as they are meant, which nobody has seen yet.
    for (const field of ["sourceAddress", "localASN"] as const)
      if ((spec[field] ?? "") !== "")
        rows.push({
          verdict: "act",
          object,
          what: `${field} ${spec[field]} is followed; MetalLB's mode frr-k8s ignores it`,
          advice: "take it away, or see that the router expects it",
        });
  }
  return [...rows, ...handwritten(installation, bgpPeers)];
}

function meanwhile(installation: Installation): string {
  const { mode } = installation;
  if (mode === "native") return "the router sends to the other nodes in between";
  if (mode === "frr" || goesWithSpeakers(installation))
    return "a router that does graceful restart keeps the routes in between where the BGPPeer has enableGracefulRestart, else it sends to the other nodes";
  return "frr-k8s, which stays, ends them when the speaker's FRRConfiguration is deleted, and the router sends to the other nodes in between";
}

/** FRR that somebody else configures is left alone: we say that it is there, and whether it is in our way. */
function handwritten({ frrExtras, frrConfigurations: { others } }: Installation, peers: Peers): readonly Row[] {
  const extras: Row = {
    verdict: "act",
    object: "ConfigMap bgpextras",
    what: "configures FRR directly; nobody reads it any more",
    advice: "express it by BGPPeer, BGPAdvertisement and their annotations (docs/configuration.md), or keep FRR for it",
  };
  return [...(frrExtras ? [extras] : []), ...others.map((each) => configurationRow(each, peers))];
}

type Peers = Snapshot["bgpPeers"];

function configurationRow(configuration: FrrConfiguration, peers: Peers): Row {
  const object = nameOfFrrConfiguration(configuration);
  const shared = sharedNeighbors(configuration, peers.values());
  const asked = asksFor(configuration);
  const asks = asked.length === 0 ? "" : `; it ${asked.join(", and ")}`;
  if (shared.length === 0)
    return {
      verdict: "differs",
      object,
      what: `is not MetalLB's: frr-k8s goes on with it, and Fairlead does not touch it${asks}`,
      advice: "keep frr-k8s when MetalLB goes",
    };
  return {
    verdict: "act",
    object,
    what: `has a session with ${shared.join(", ")}, as BGPPeers have: a router takes one of a node, and this one stays frr-k8s's${asks}`,
    advice:
      "let it go, or give Fairlead's sessions another address: sourceAddress of the BGPPeer, and a neighbor of the router",
  };
}

/** What of it would end with frr-k8s, and what we have for it. */
function asksFor({ raw, receivesFrom, prefixes, imports }: FrrConfiguration): readonly string[] {
  return [
    ...(receivesFrom.length > 0 ? [`takes routes from ${receivesFrom.join(", ")} (Fairlead takes none)`] : []),
    ...(prefixes.length > 0
      ? [`announces ${prefixes.join(", ")} (Fairlead: addresses of pools, and pod CIDRs by fairlead.io/advertise)`]
      : []),
    ...(imports ? ["imports routes from other VRFs (Fairlead does not)"] : []),
    ...(raw ? ["has statements of FRR's own (nothing in Fairlead reads them)"] : []),
  ];
}
