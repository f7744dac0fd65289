/** The steps of layer 2: advertisement → eligible nodes → elected node → its interfaces → ARP and NDP answered. */
import { mayAnnounce, type SurveyedNode } from "../../announce/survey.ts";
import { formatProblem } from "../../net/problem.ts";
import type { ExplainStep } from "../status.ts";
import type { Facts, LinkFacts } from "./facts.ts";
import { counted, elsewhere, failed, listed, skipped, warning, well, type Finding } from "./steps.ts";

export function explainLayer2(facts: Facts): readonly ExplainStep[] {
  const findings: readonly (readonly [string, Finding])[] = [
    ["advertisement", explainAdvertisement(facts)],
    ["nodes", explainNodes(facts)],
    ["announcer", explainAnnouncer(facts)],
    ["interface", explainInterface(facts)],
    ["answers", explainAnswers(facts)],
  ];
  return findings.map(([step, finding]) => ({ step, protocol: "layer2", ...finding }));
}

/** The addresses of the Service that this node announces, or should. */
export function announcedHere({ announcers, node }: Facts): readonly string[] {
  return [...announcers].filter(([, announcer]) => announcer === node).map(([address]) => address);
}

const UNCONCERNED = {
  otherPool: "is for other pools",
  otherService: "its serviceSelectors do not select this Service",
} as const;

function concerned({ survey }: Facts): Facts["survey"]["advertisements"] {
  return survey.advertisements.filter(({ unconcerned }) => unconcerned === undefined);
}

function explainAdvertisement(facts: Facts): Finding {
  const { survey, problems } = facts;
  if (survey.pools.length === 0) return skipped("no pool, so no advertisement");
  const broken = problems.filter(({ subject }) => subject.includes("L2Advertisement")).map(formatProblem);
  const details = [
    ...survey.advertisements.map(
      ({ key, unconcerned }) => `${key}: ${unconcerned === undefined ? "yes" : UNCONCERNED[unconcerned]}`,
    ),
    ...broken,
  ];
  if (survey.advertisements.length === 0)
    return failed("there is no L2Advertisement", {
      details,
      todo:
        broken.length > 0
          ? "Correct the advertisement."
          : "Create an L2Advertisement; an empty spec announces every pool.",
    });
  const found = concerned(facts);
  if (found.length === 0)
    return failed(`no L2Advertisement is for pool ${listed(survey.pools)} and this Service`, {
      details,
      todo: "Name the pool in an advertisement's spec.ipAddressPools, or correct its selectors.",
    });
  if (survey.sharedBySelector)
    return failed("its address may be shared, and an advertisement has serviceSelectors: nobody announces it", {
      details,
      todo: "Take the annotation metallb.io/allow-shared-ip from the Service, or spec.serviceSelectors from the advertisement.",
    });
  return well(listed(found.map(({ key }) => key)), details);
}

function explainNodes(facts: Facts): Finding {
  const { survey } = facts;
  if (concerned(facts).length === 0 || survey.sharedBySelector) return skipped("no advertisement");
  if (survey.nodes.length === 0)
    return failed("there are no Node objects", { todo: "Put Node objects where the agents read theirs from." });
  const details = survey.nodes.map((node) => `${node.name}: ${describe(node)}`);
  const eligible = survey.nodes.filter(mayAnnounce);
  if (eligible.length > 0) return well(listed(eligible.map(({ name }) => name)), details);
  if (!survey.nodes.some(({ covered }) => covered))
    return failed(
      `the nodeSelectors of ${listed(concerned(facts).map(({ key }) => key))} select none of ${counted(survey.nodes.length, "node")}`,
      {
        details,
        todo: "Correct spec.nodeSelectors, or label a node.",
      },
    );
  const lacking = survey.nodes.some((node) => node.covered && node.obstacle === undefined);
  return failed(
    lacking
      ? "policy Local, and no node that may announce has a ready endpoint"
      : "no node of its advertisements may announce",
    {
      details,
      todo: lacking
        ? "Let an advertisement cover the nodes with endpoints, run a pod on one that is covered, or set externalTrafficPolicy to Cluster."
        : "Bring one of these nodes back: power and agent, or its label, or its network.",
    },
  );
}

const OBSTACLES = {
  gone: "is gone: its peers hear nothing, or no agent has run there for its grace",
  excluded: "has the label node.kubernetes.io/exclude-from-external-load-balancers",
  networkUnavailable: "has the condition NetworkUnavailable",
  away: "is passed over: its agent is away or cannot read anything yet, so it can take nothing over",
} as const;

function describe({ covered, obstacle, lacksEndpoint, score }: SurveyedNode): string {
  if (obstacle !== undefined) return OBSTACLES[obstacle];
  if (!covered) return "is not selected by any of its advertisements";
  if (lacksEndpoint) return "has no ready endpoint, which policy Local asks for";
  return score > 0 ? `may announce, preferred with ${score}` : "may announce";
}

function explainAnnouncer(facts: Facts): Finding {
  const { survey, announcers, settled, isolated } = facts;
  const [first] = survey.nodes;
  if (first === undefined || !mayAnnounce(first) || survey.sharedBySelector) return skipped("nobody");
  if (!survey.hasEndpoint) return skipped(`nobody while no endpoint is ready; then ${first.name}`);
  if (!settled)
    return warning("this agent has just started and does not know yet who else is there", {
      todo: "Ask again in a second.",
    });
  const nodes = [...new Set(announcers.values())];
  if (nodes.length === 0)
    return failed("nobody was elected", {
      todo: "This agent has not caught up with its objects: `fairlead status` says why.",
    });
  if (isolated)
    return warning(`${listed(nodes)}, but this node hears none of its peers and may be wrong`, {
      todo: "Ask another node; repair this node's network.",
    });
  return explainElected(facts, nodes, first);
}

function explainElected({ survey, announcers, object }: Facts, nodes: readonly string[], first: SurveyedNode): Finding {
  const details = [...announcers].map(([address, node]) => `${address}: ${node}`);
  if (announcers.size < (object?.status.loadBalancer.ingress.length ?? 0))
    return warning(`${listed(nodes)}, but not for all of its addresses`, {
      details,
      todo: "Let advertisements of every pool it has an address of cover a node that may announce.",
    });
  if (nodes.length > 1 || nodes[0] !== first.name) {
    const why =
      survey.pools.length > 1
        ? "its addresses come from several pools"
        : "another Service shares an address and decides for it";
    return well(`${listed(nodes)}: ${why}`, details);
  }
  const order = survey.nodes.filter(mayAnnounce).map(({ name }) => name);
  return well(`${listed(nodes)}, first of ${listed(order)}${first.score > 0 ? ", by preference" : ", by hash"}`);
}

function explainInterface(facts: Facts): Finding {
  const { here, announcers, node } = facts;
  if (announcers.size === 0) return skipped("nobody announces");
  const mine = announcedHere(facts);
  if (mine.length === 0) return askElsewhere(facts);
  const unplaced = here.announcements.filter(({ devices }) => devices.length === 0);
  const details = here.links.map(({ name, refusal }) => `${name}: ${refusal ?? "carries the datapath"}`);
  const [worst] = unplaced;
  if (worst !== undefined) {
    const { address, interfaces } = worst;
    const asked =
      interfaces === "all"
        ? "any interface"
        : `${interfaces.length === 1 ? "interface" : "one of"} ${listed(interfaces)}`;
    return failed(`${address} is to be announced on ${asked}, and ${node} has none that can: nobody answers for it`, {
      details: interfaces === "all" ? details : interfaces.map((name) => `${name}: ${refusalOf(name, here.links)}`),
      todo: "Correct spec.interfaces of the advertisement or keep it off this node by spec.nodeSelectors, or set the interface up.",
    });
  }
  const absent = here.announcements.flatMap(({ interfaces, devices }) =>
    interfaces === "all" ? [] : interfaces.filter((name) => !devices.includes(name)),
  );
  const devices = listed([...new Set(here.announcements.flatMap((each) => each.devices))]);
  return well(
    devices,
    [...new Set(absent)].map((name) => `${name}: ${refusalOf(name, here.links)}`),
  );
}

function refusalOf(name: string, links: readonly LinkFacts[]): string {
  const link = links.find((each) => each.name === name);
  return link === undefined ? "no such interface on this node" : (link.refusal ?? "carries the datapath");
}

function explainAnswers(facts: Facts): Finding {
  const { here, announcers } = facts;
  if (announcers.size === 0) return skipped("nobody announces");
  if (announcedHere(facts).length === 0) return askElsewhere(facts);
  const wanted = here.announcements.flatMap(({ address, devices }) => devices.map((device) => ({ address, device })));
  if (wanted.length === 0) return skipped("no interface");
  if (here.stampSeconds <= 0)
    return failed("the liveness stamp has run out: the datapath is silent so that others may take over", {
      todo: "See this agent's log: it does not get to run, or cannot write the stamp. Restart it.",
    });
  const missing = wanted.filter(
    (each) => !here.announced.some((row) => row.address === each.address && row.device === each.device),
  );
  if (missing.length > 0)
    return failed(
      `the kernel's map has no row for ${listed(missing.map(({ address, device }) => `${address} on ${device}`))}`,
      {
        todo: "`fairlead status` says what the kernel refused; the agent tries again every two seconds.",
      },
    );
  const lines = here.announced.map(
    ({ address, device, requests, answers }) =>
      `${address} on ${device}: ${counted(requests, "question")}, ${counted(answers, "answer")}`,
  );
  if (here.announced.every(({ requests }) => requests === 0))
    return well("yes; nobody has asked yet since it is announced here", lines);
  return well("yes", lines);
}

function askElsewhere({ announcers, node }: Facts): Finding {
  const [announcer = ""] = announcers.values();
  return elsewhere(`${announcer} announces, this is ${node}`, announcer);
}
