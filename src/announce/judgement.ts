/** Everything that is wrong with the configuration as a whole - pools, advertisements, peers - by the rules that the programs follow. Pure. */
import { problemsAbout, type Problem } from "../net/problem.ts";
import { anycastWarning } from "../pool/anycast.ts";
import type { IPAddressPool } from "../pool/objects.ts";
import { parsePools } from "../pool/pools.ts";
import { duplicatesInSelectors, matchesAny } from "../service/selector.ts";
import { parseBgpConfiguration, type BgpObjects } from "./bgp/configuration.ts";
import { duplicates } from "./bgp/findings.ts";
import type { L2Advertisement } from "./objects.ts";

export interface ConfigurationObjects extends BgpObjects {
  readonly l2Advertisements: ReadonlyMap<string, L2Advertisement>;
}

/** For all nodes together. */
export function judgeConfiguration(objects: ConfigurationObjects): readonly Problem[] {
  return [...judgeLayer2(objects), ...parseBgpConfiguration(objects).problems];
}

/** Pools, and the advertisements of layer 2. */
export function judgeLayer2(
  objects: Pick<ConfigurationObjects, "ipAddressPools" | "namespaces" | "l2Advertisements">,
): readonly Problem[] {
  const pools = parsePools(objects.ipAddressPools, objects.namespaces);
  return [...pools.problems, ...l2Problems(objects.l2Advertisements)];
}

/** What MetalLB refuses in an L2Advertisement beyond its schema. All of it is redundant: such an advertisement works. */
function l2Problems(objects: ReadonlyMap<string, L2Advertisement>): readonly Problem[] {
  return [...objects].flatMap(([key, { spec }]) => {
    const selectors = (["ipAddressPoolSelectors", "nodeSelectors", "serviceSelectors"] as const).flatMap((field) =>
      duplicatesInSelectors(spec[field], `spec.${field}`),
    );
    const pools = duplicates(spec.ipAddressPools, "spec.ipAddressPools", "ipAddressPool");
    return problemsAbout(`L2Advertisement ${key}`, [...pools, ...selectors]);
  });
}

/** What is allowed but hardly meant: names that nobody has, pools that nobody announces. */
export function suspicions(objects: ConfigurationObjects): readonly Problem[] {
  const pools = new Set([...objects.ipAddressPools.values()].map(({ metadata }) => metadata.name));
  const peers = new Set([...objects.bgpPeers.values()].map(({ metadata }) => metadata.name));
  const missing = (subject: string, path: string, names: readonly string[], known: ReadonlySet<string>, what: string) =>
    names.flatMap((name, index) =>
      known.has(name) ? [] : [{ subject, path: `${path}[${index}]`, message: `there is no ${what} "${name}"` }],
    );
  const ofL2 = [...objects.l2Advertisements].flatMap(([key, { spec }]) =>
    missing(`L2Advertisement ${key}`, "spec.ipAddressPools", spec.ipAddressPools, pools, "IPAddressPool"),
  );
  const ofBgp = [...objects.bgpAdvertisements].flatMap(([key, { spec }]) => [
    ...missing(`BGPAdvertisement ${key}`, "spec.ipAddressPools", spec.ipAddressPools, pools, "IPAddressPool"),
    ...missing(`BGPAdvertisement ${key}`, "spec.peers", spec.peers, peers, "BGPPeer"),
  ]);
  const doubtful = [...unannounced(objects), ...routersAddresses(objects), ...negativePriorities(objects)];
  return [...ofL2, ...ofBgp, ...doubtful];
}

function negativePriorities({ ipAddressPools }: ConfigurationObjects): readonly Problem[] {
  return [...ipAddressPools].flatMap(([key, { spec }]) => {
    const { priority = 0 } = spec.serviceAllocation ?? {};
    const message = `${priority} counts as 0, which comes last; the pool to be tried first has 1`;
    const path = "spec.serviceAllocation.priority";
    return priority < 0 ? [{ subject: `IPAddressPool ${key}`, path, message }] : [];
  });
}

function routersAddresses({ ipAddressPools, namespaces, l2Advertisements }: ConfigurationObjects): readonly Problem[] {
  return parsePools(ipAddressPools, namespaces).pools.flatMap(({ key, ranges }) => {
    const object = ipAddressPools.get(key);
    const message = object !== undefined && isCovered(object, l2Advertisements) ? anycastWarning(ranges) : undefined;
    return message === undefined ? [] : [{ subject: `IPAddressPool ${key}`, path: "spec.addresses", message }];
  });
}

interface SelectsPools {
  readonly spec: Pick<L2Advertisement["spec"], "ipAddressPools" | "ipAddressPoolSelectors">;
}

/** Whether one of these advertisements is about the pool; one that names none is about all. */
export function isCovered({ metadata }: IPAddressPool, advertisements: ReadonlyMap<string, SelectsPools>): boolean {
  return advertisements
    .values()
    .some(({ spec: { ipAddressPools: names, ipAddressPoolSelectors: selectors } }) =>
      names.length + selectors.length === 0
        ? true
        : names.includes(metadata.name) || matchesAny(selectors, metadata.labels),
    );
}

function unannounced({
  ipAddressPools,
  l2Advertisements,
  bgpAdvertisements,
}: ConfigurationObjects): readonly Problem[] {
  return [...ipAddressPools].flatMap(([key, pool]) => {
    const covered = isCovered(pool, l2Advertisements) || isCovered(pool, bgpAdvertisements);
    const message =
      "no L2Advertisement and no BGPAdvertisement covers it: its addresses are assigned, but nobody announces them";
    return covered ? [] : [{ subject: `IPAddressPool ${key}`, message }];
  });
}
