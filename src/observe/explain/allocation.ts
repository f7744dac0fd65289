/** The first steps: is it a Service for us, is there a pool for it, has it an address? */
import { parseAddress, type Family } from "../../net/address.ts";
import { formatProblem } from "../../net/problem.ts";
import { readClaim } from "../../pool/claim.ts";
import { ADDRESS_ASSIGNED, REQUEST_MET } from "../../service/written.ts";
import { isTakenOn } from "../../service/class.ts";
import type { Condition, Service } from "../../service/objects.ts";
import { adviceFor } from "./advice.ts";
import type { Facts, PoolFacts } from "./facts.ts";
import { counted, failed, listed, skipped, warning, well, type Finding } from "./steps.ts";

export function explainService({ service, object, namesakes, problems }: Facts): Finding {
  const own = problems.filter(({ subject }) => subject.includes(`Service ${service}`)).map(formatProblem);
  if (object === undefined) {
    if (own.length > 0)
      return failed("its manifest cannot be read", {
        details: own,
        todo: "Correct the file; it is read again at once.",
      });
    const todo = namesakes.length > 0 ? `Did you mean ${listed(namesakes)}? Give the namespace with -n.` : NO_SERVICE;
    return failed(`no Service ${service} of type LoadBalancer is known`, {
      // A file that cannot be read may be where it is.
      details: problems.filter(({ subject }) => !READ.test(subject)).map(formatProblem),
      todo,
    });
  }
  const { type, loadBalancerClass } = object.spec;
  if (type !== "LoadBalancer")
    return failed(`its type is ${type}`, {
      todo: "Set spec.type to LoadBalancer: others get no address from outside.",
    });
  if (loadBalancerClass !== undefined && !isTakenOn(object))
    return failed(`its loadBalancerClass is ${loadBalancerClass}, and no controller of that class has taken it on`, {
      todo: `Start a controller with --lb-class ${loadBalancerClass}, or make the Service anew without spec.loadBalancerClass.`,
    });
  if (own.length > 0)
    return warning("LoadBalancer, with problems", {
      details: own,
      todo: "Correct the object; what can be served is served.",
    });
  return well(`LoadBalancer${loadBalancerClass === undefined ? "" : ` of class ${loadBalancerClass}`}`);
}

/** An object that was read, though something is wrong with it. */
const READ = /^[A-Z]\w* \S+$/;
const NO_SERVICE =
  "Check the name, the namespace (-n) and its spec.type: in a cluster agents read only Services of type LoadBalancer; `fairlead services` lists them.";

export function explainPool(facts: Facts): Finding {
  const { object, pools, survey } = facts;
  if (object?.spec.type !== "LoadBalancer") return skipped("not a LoadBalancer");
  const addresses = addressTexts(object);
  if (addresses.some((text) => parseAddress(text) === undefined)) return skipped("its status has no valid address");
  if (addresses.length > 0) {
    if (survey.pools.length > 0) return well(listed(survey.pools));
    return failed(`no pool holds ${addresses.join(" and ")}`, {
      details: poolLines(pools),
      todo: "Put the address back into an IPAddressPool's spec.addresses, or let the controller give another one.",
    });
  }
  const broken = facts.problems.filter(({ subject }) => subject.includes("IPAddressPool")).map(formatProblem);
  if (pools.length === 0)
    return failed("there is no IPAddressPool", {
      details: broken,
      todo: broken.length > 0 ? "Correct the pool." : "Create an IPAddressPool with spec.addresses.",
    });
  return explainCandidates(object, pools, broken);
}

/** Of a Service that waits: is there a pool that could serve it? */
function explainCandidates(object: Service, pools: readonly PoolFacts[], broken: readonly string[]): Finding {
  const claim = readClaim(object);
  const details = [...poolLines(pools), ...broken];
  const { wantedPools } = claim;
  if (wantedPools.length > 0 && !pools.some(({ name }) => wantedPools.includes(name)))
    return failed(`it asks for pool ${wantedPools.join(" or ")}, and there is none of that name`, {
      details,
      todo: "Correct the annotation metallb.io/address-pool, or create the pool.",
    });
  const free = claim.wantedAddresses.length > 0;
  const candidates = pools.filter(({ name, autoAssign }) =>
    wantedPools.length === 0 ? autoAssign || free : wantedPools.includes(name),
  );
  if (candidates.length === 0)
    return failed("no pool gives addresses by itself", {
      details,
      todo: "Set spec.autoAssign of a pool to true, or ask for one with the annotation metallb.io/address-pool.",
    });
  const [family = "IPv4"] = claim.families;
  if (!free && candidates.every((pool) => available(pool, family) <= 0n))
    return failed(`no pool has a free ${family} address`, {
      details,
      todo: `Add ${family} addresses to a pool, or delete a Service that needs none.`,
    });
  return well(listed(candidates.map(({ name }) => name)), details);
}

/** `earlierFailed`: what is to be put right before there can be one. */
export function explainAddress({ object }: Facts, earlierFailed: boolean): Finding {
  if (object?.spec.type !== "LoadBalancer") return skipped("not a LoadBalancer");
  const addresses = addressTexts(object);
  const bad = addresses.filter((text) => parseAddress(text) === undefined);
  if (bad.length > 0)
    return failed(`its status holds ${listed(bad)}, which is no IP address`, {
      todo: "Another load balancer has written it: take the Service from it, or give it a loadBalancerClass.",
    });
  const assigned = conditionOf(object, ADDRESS_ASSIGNED);
  if (addresses.length > 0) {
    const unmet = conditionOf(object, REQUEST_MET);
    if (unmet?.status !== "False") return well(addresses.join(" and "));
    return warning(`${addresses.join(" and ")}, but not as it asks for`, {
      details: [unmet.message],
      todo: adviceFor(unmet),
    });
  }
  const said = assigned === undefined ? [] : [assigned.message];
  if (earlierFailed) return skipped("none", said);
  if (assigned === undefined) return failed("none, and no controller has said why", { todo: NO_CONTROLLER });
  return failed(`none: ${assigned.message}`, { todo: adviceFor(assigned) });
}

const NO_CONTROLLER =
  "Is `fairlead controller` running, and what does its log say? In a cluster: `kubectl -n metallb-system get pods,lease`. With folders it needs the same --manifests as this agent, and --state must be what this agent reads.";

/** As the status has them. */
function addressTexts({ status }: Service): readonly string[] {
  return status.loadBalancer.ingress.map(({ ip, hostname }) => ip ?? hostname ?? "");
}

function conditionOf({ status }: Service, type: string): Condition | undefined {
  return status.conditions.find((condition) => condition.type === type);
}

function available(pool: PoolFacts, family: Family): bigint {
  return family === "IPv4" ? pool.availableIPv4 : pool.availableIPv6;
}

function poolLines(pools: readonly PoolFacts[]): readonly string[] {
  return pools.map((pool) => {
    const families = [
      { family: "IPv4", free: pool.availableIPv4, of: pool.capacityIPv4 },
      { family: "IPv6", free: pool.availableIPv6, of: pool.capacityIPv6 },
    ].filter(({ of }) => of > 0n);
    const space = families.map(
      ({ family, free, of }) => `${free} of ${counted(of, `${family} address`, `${family} addresses`)} free`,
    );
    return `${pool.key}: ${listed(space)}${pool.autoAssign ? "" : ", only on request"}`;
  });
}
