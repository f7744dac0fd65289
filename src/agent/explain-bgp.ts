/** What the agent knows of one Service's way by BGP: every node decides for itself, so each is asked as that node would decide. */
import { desiredBgp, peersOf } from "../announce/bgp/desired.ts";
import type { BgpFacts, BgpNodeFacts } from "../observe/explain/facts.ts";
import type { BgpState } from "./bgp.ts";
import { isEstablished } from "./bgp-documents.ts";
import type { Me, World } from "./desired.ts";
import type { AgentState } from "./state.ts";

/** Each node's view of the configuration is made anew. */
const NODES_MAX = 64;

/** Undefined where no object is about BGP. `silent`: nodes whose own status says nothing of the Service. */
export function bgpFacts(
  service: string,
  world: World,
  state: AgentState,
  me: Me,
  silent: ReadonlySet<string>,
): BgpFacts | undefined {
  const { snapshot } = world;
  const { bgp } = state;
  if (bgp === undefined || snapshot.bgpPeers.size + snapshot.bgpAdvertisements.size === 0) return undefined;
  const offers = bgp.desired.verdicts.get(service)?.offers ?? [];
  const told = new Set(peersOf(bgp.desired, service));
  return {
    nodes: nodeFacts(service, world, state, me).map((node) => ({
      ...node,
      silent: node.name !== me.nodeName && node.reason === undefined && node.peers.length > 0 && silent.has(node.name),
    })),
    advertisements: [...new Set(offers.map(({ advertisement }) => advertisement.name))].toSorted(),
    sessions: bgp.speaker
      .view()
      .filter(({ name }) => told.has(name.split("/", 1)[0] ?? ""))
      .map(({ name, peer, state: at, lastReason }) => ({
        name,
        peer,
        state: at,
        reason: at === "established" ? undefined : lastReason,
      })),
    routes: routesAmong(new Set(offers.map(({ text }) => text)), bgp),
  };
}

function routesAmong(texts: ReadonlySet<string>, bgp: BgpState): BgpFacts["routes"] {
  return bgp.desired.sessions.flatMap(({ config, routes }) => {
    const told = isEstablished(config.name, bgp);
    return [...texts].filter((prefix) => routes.has(prefix)).map((prefix) => ({ prefix, peer: config.name, told }));
  });
}

function nodeFacts(
  service: string,
  world: World,
  { bgp }: AgentState,
  me: Me,
): readonly Omit<BgpNodeFacts, "silent">[] {
  const { snapshot, members } = world;
  const object = snapshot.services.get(service);
  const input = { ...snapshot, services: new Map(object === undefined ? [] : [[service, object]]) };
  const others = [...snapshot.nodes.keys()].filter((name) => name !== me.nodeName).slice(0, NODES_MAX);
  return [me.nodeName, ...others]
    .map((name) => {
      const own = name === me.nodeName ? bgp?.desired : undefined;
      const desired = own ?? desiredBgp(input, { name, ignoreExcludeLabel: me.ignoreExcludeLabel });
      const reason = desired.verdicts.get(service)?.reason;
      return { name, gone: members.gone.has(name), reason, peers: peersOf(desired, service) };
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
