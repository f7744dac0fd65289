/**
 * What becomes of a cluster that MetalLB serves when Fairlead takes over: everything looked at, with what is the same, what differs and
 * what to do. Addresses and announcers are not guessed: our own controller's and agents' decisions are run over the cluster's objects. Pure.
 */
import { judgeConfiguration, suspicions } from "../../announce/judgement.ts";
import { electAddresses } from "../../announce/announcements.ts";
import { electAnnouncers, type Sha256 } from "../../announce/election.ts";
import { formatAddress, parseAddress } from "../../net/address.ts";
import { formatProblem } from "../../net/problem.ts";
import { assign } from "../../pool/assign.ts";
import { deprecatedAnnotations } from "../../pool/claim.ts";
import type { Service } from "../../service/objects.ts";
import { AFFINITY, unsupported } from "../../service/unsupported.ts";
import type { Snapshot } from "../../source/source.ts";
import { bgpFindings } from "./bgp-findings.ts";
import type { Installation } from "./installation.ts";

/** `same`: nobody notices; `differs`: works, but not as before; `act`: needs somebody's attention first. */
export type Verdict = "same" | "differs" | "act";

export interface Row {
  readonly verdict: Verdict;
  /** `Service default/web`, `DaemonSet speaker`. */
  readonly object: string;
  readonly what: string;
  readonly advice?: string;
}

/** What our agents leave out where nothing is said: MetalLB's shipped list. */
export interface Facts {
  readonly installation: Installation;
  readonly snapshot: Snapshot;
  readonly sha256: Sha256;
  readonly interfacesExclude: string;
}

export function findingsOf(facts: Facts): readonly Row[] {
  return [
    ...programRows(facts),
    ...bgpFindings(facts.installation, facts.snapshot),
    ...configurationRows(facts.snapshot),
    ...addressRows(facts),
    ...announcerRows(facts),
    ...unsupportedRows(facts),
    ...annotationRows(facts.snapshot),
  ];
}

function programRows({ installation, interfacesExclude }: Facts): readonly Row[] {
  const { controller, speaker, loadBalancerClass, ignoresExcludeLabel } = installation;
  const rows: Row[] = [];
  const act = (object: string, what: string, advice: string): void =>
    void rows.push({ verdict: "act", object, what, advice });
  if (speaker === undefined || controller === undefined)
    act("MetalLB", "its controller or its speakers are not in this namespace", "name it: --namespace");
  if (loadBalancerClass !== "")
    act(
      "Deployment " + (controller?.name ?? ""),
      `serves only Services of class ${loadBalancerClass} (--lb-class)`,
      `install with --set loadBalancerClass=${loadBalancerClass}`,
    );
  if (ignoresExcludeLabel)
    act(
      "DaemonSet " + (speaker?.name ?? ""),
      "announces on excluded nodes",
      "install with --set speaker.ignoreExcludeLB=true",
    );
  const excluded = installation.interfacesExclude;
  if (excluded === undefined)
    act(
      "ConfigMap metallb-excludel2",
      "there is none: every interface announces",
      "install with --set speaker.excludeInterfaces.enabled=false",
    );
  else if (!sameAlternatives(excluded, interfacesExclude))
    act(
      "ConfigMap metallb-excludel2",
      "has a list of its own",
      `install with --set-string 'speaker.excludeInterfaces.regex=${excluded.replaceAll(",", "\\,")}'`,
    );
  else
    rows.push({ verdict: "same", object: "ConfigMap metallb-excludel2", what: "the interfaces that never announce" });
  if (speaker?.settings.has("METALLB_ML_LABELS") === true)
    rows.push({
      verdict: "differs",
      object: "DaemonSet " + speaker.name,
      what: "memberlist (7946, TCP and UDP) makes place for probes between agents",
      advice: "let UDP 7956 through between nodes",
    });
  return rows;
}

function sameAlternatives(a: string, b: string): boolean {
  return new Set(a.split("|")).symmetricDifference(new Set(b.split("|"))).size === 0;
}

function configurationRows(snapshot: Snapshot): readonly Row[] {
  const kinds = [
    ["IPAddressPool", snapshot.ipAddressPools.size],
    ["L2Advertisement", snapshot.l2Advertisements.size],
    ["BGPAdvertisement", snapshot.bgpAdvertisements.size],
    ["BGPPeer", snapshot.bgpPeers.size],
    ["BFDProfile", snapshot.bfdProfiles.size],
    ["Community", snapshot.communities.size],
  ] as const;
  const advice = "fairlead config check says more";
  return [
    ...kinds
      .filter(([, count]) => count > 0)
      .map(([kind, count]): Row => ({ verdict: "same", object: `${count} ${kind}`, what: "read as they are" })),
    ...[...snapshot.problems, ...judgeConfiguration(snapshot)].map((problem): Row => ({
      verdict: "act",
      object: problem.subject,
      what: formatProblem(problem),
      advice,
    })),
    ...suspicions(snapshot).map((p): Row => ({ verdict: "differs", object: p.subject, what: formatProblem(p) })),
  ];
}

/** Our controller's decision over what is there, address by address. */
function addressRows({ installation: { loadBalancerClass }, snapshot }: Facts): readonly Row[] {
  const { assignments } = assign(snapshot, loadBalancerClass === "" ? undefined : loadBalancerClass);
  const rows: Row[] = [];
  let kept = 0;
  for (const [key, { addresses, unmet }] of assignments) {
    const before = addressesOf(snapshot.services.get(key));
    const after = addresses.map(formatAddress);
    if (before.length > 0 && before.join() === after.join()) kept += before.length;
    else if (before.length > 0)
      rows.push({
        verdict: "act",
        object: `Service ${key}`,
        what: `has ${before.join(", ")} and would get ${after.join(", ") || "none"}`,
        advice: unmet?.message ?? "ask for the address: metallb.io/loadBalancerIPs",
      });
    else if (after.length > 0)
      rows.push({
        verdict: "differs",
        object: `Service ${key}`,
        what: `has no address and would get ${after.join(", ")}`,
      });
  }
  if (kept > 0)
    rows.push({ verdict: "same", object: `${kept} address${kept === 1 ? "" : "es"}`, what: "stay where they are" });
  return rows;
}

/** Our agents' election with every node there, beside what speakers say that they announce. */
function announcerRows({ installation, snapshot, sha256 }: Facts): readonly Row[] {
  const { announcers, ignoresExcludeLabel: ignoreExcludeLabel } = installation;
  const alive = new Set(snapshot.nodes.keys());
  const elected = electAddresses(electAnnouncers(snapshot, { alive, ignoreExcludeLabel }, sha256));
  const rows: Row[] = [];
  let same = 0;
  for (const [address, { announcer, sharers }] of elected)
    for (const { service } of sharers) {
      const now = announcers.get(service) ?? [];
      if (now.length === 1 && now[0] === announcer) same += 1;
      else
        rows.push({
          verdict: now.length === 0 ? "differs" : "act",
          object: `Service ${service}`,
          what: `${address} would be announced by ${announcer}, and is by ${now.join(" and ") || "nobody who says so"}`,
          advice:
            now.length === 0
              ? "see who answers: arping, or events of the Service (nodeAssigned)"
              : "the address moves when both nodes are handed over: connections through it break then",
        });
    }
  if (same > 0)
    rows.push({
      verdict: "same",
      object: `${same} layer 2 announcement${same === 1 ? "" : "s"}`,
      what: "by the same nodes",
    });
  return rows;
}

/** What kube-proxy does for a Service and our datapath does not. What is left to the node's stack stays as it is: kube-proxy serves it. */
function unsupportedRows({ installation: { loadBalancerClass }, snapshot: { services } }: Facts): readonly Row[] {
  return [...services].flatMap(([key, service]) => {
    if (service.spec.type !== "LoadBalancer" || (service.spec.loadBalancerClass ?? "") !== loadBalancerClass) return [];
    const families = new Set(addressesOf(service).flatMap((text) => parseAddress(text)?.family ?? []));
    return unsupported(service, families, `Service ${key}`).map(({ subject, message, path }): Row => {
      const what = `${path ?? "spec"}: ${message}`;
      return path === AFFINITY
        ? {
            verdict: "act",
            object: subject,
            what,
            advice: "can its clients do without? Else leave it to another load balancer",
          }
        : { verdict: "differs", object: subject, what, advice: "keep kube-proxy on the nodes: it goes on serving it" };
    });
  });
}

function annotationRows({ services }: Snapshot): readonly Row[] {
  return [...services].flatMap(([key, service]) =>
    deprecatedAnnotations(service).map((annotation): Row => ({
      verdict: "same",
      object: `Service ${key}`,
      what: `${annotation} is deprecated, and read all the same`,
    })),
  );
}

function addressesOf(service: Service | undefined): readonly string[] {
  return (service?.status.loadBalancer.ingress ?? []).flatMap(({ ip }) => (ip === undefined ? [] : [ip]));
}
