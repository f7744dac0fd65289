/**
 * Does every name in a scene refer to something, is every name and address used once, has every link two ends?
 * Pure; all problems are reported together.
 */
import { formatAddress, parseAddress } from "../src/net/address.ts";
import type { Problem } from "../src/net/problem.ts";
import type { Host, Pod, Route, Scene } from "./scene.ts";

/** Problems of a scene whose defaults are filled in. `subject` is the file's name as the user gave it. */
export function checkScene(scene: Scene, subject: string): readonly Problem[] {
  const found = [
    ...checkNames(scene),
    ...scene.hosts.flatMap((host, index) => checkHost(scene, host, `hosts[${index}]`)),
    ...checkLinks(scene),
    ...scene.pods.flatMap((pod, index) => checkPod(scene, pod, `pods[${index}]`)),
    ...checkAddresses(scene),
    ...checkApiServer(scene),
  ];
  return found.map(([path, message]) => ({ subject, path, message }));
}

type Finding = readonly [path: string, message: string];

/** Hosts, pods, segments and links share one set of names: each becomes the namespace fl-<lab>-<name>. */
function checkNames(scene: Scene): Finding[] {
  const all: Finding[] = [
    ...scene.segments.map((name, index): Finding => [`segments[${index}]`, name]),
    ...scene.links.map((name, index): Finding => [`links[${index}]`, name]),
    ...scene.hosts.map((host, index): Finding => [`hosts[${index}].name`, host.name]),
    ...scene.pods.map((pod, index): Finding => [`pods[${index}].name`, pod.name]),
  ];
  return repeated(all).map(([path, name, first]) => [path, `"${name}" is already the name of ${first}`]);
}

function checkApiServer({ apiServer, hosts }: Scene): Finding[] {
  const kubelet = hosts.findIndex(({ podNetwork }) => podNetwork?.kind === "kubelet");
  if (apiServer === undefined && kubelet >= 0)
    return [[`hosts[${kubelet}].podNetwork.kind`, "a kubelet needs an API server: name its host in `apiServer`"]];
  if (apiServer === undefined || hosts.some(({ name }) => name === apiServer)) return [];
  return [["apiServer", `no host is called "${apiServer}" (there are: ${hosts.map(({ name }) => name).join(", ")})`]];
}

function checkHost(scene: Scene, host: Host, path: string): Finding[] {
  const findings: Finding[] = [];
  const networks = [...scene.segments, ...scene.links];
  for (const [index, each] of host.interfaces.entries()) {
    if (networks.includes(each.on)) continue;
    findings.push([
      `${path}.interfaces[${index}].on`,
      `no segment or link is called "${each.on}" (there are: ${networks.join(", ") || "none"})`,
    ]);
  }
  const names = host.interfaces.map((each, index): Finding => [`${path}.interfaces[${index}].name`, each.name]);
  for (const [at, name, first] of repeated(names)) findings.push([at, `"${name}" is already the name of ${first}`]);
  for (const [index, route] of host.routes.entries()) {
    const at = `${path}.routes[${index}]`;
    if (route.via === undefined && route.device === undefined) findings.push([at, "needs `via`, `device` or both"]);
    if (route.device !== undefined && !host.interfaces.some((each) => each.name === route.device))
      findings.push([`${at}.device`, `${host.name} has no interface "${route.device}"`]);
  }
  for (const [index, route] of host.routes.entries())
    findings.push(...checkGateway(scene, host, route, `${path}.routes[${index}]`));
  const kinds = host.programs.map((each, index): Finding => [`${path}.programs[${index}].kind`, each.kind]);
  for (const [at, kind, first] of repeated(kinds)) findings.push([at, `${kind} runs already, see ${first}`]);
  if (host.role !== "node" && host.agent)
    findings.push([`${path}.agent`, `only a node runs an agent, ${host.name} is a ${host.role}`]);
  if (host.role !== "node" && host.podNetwork !== undefined)
    findings.push([`${path}.podNetwork`, `only a node has pods, ${host.name} is a ${host.role}`]);
  return findings;
}

/** A gateway given by name stands at the other end of a link. */
function checkGateway(scene: Scene, host: Host, { via, device }: Route, path: string): Finding[] {
  if (via === undefined || parseAddress(via) !== undefined) return [];
  const own = host.interfaces.find((each) => each.name === device);
  if (own === undefined) return [[`${path}.device`, `is needed: "${via}" is a host, reached at the end of a link`]];
  const others = scene.hosts.filter((other) => other !== host && other.interfaces.some((each) => each.on === own.on));
  if (scene.links.includes(own.on) && others.some((other) => other.name === via)) return [];
  const there = scene.links.includes(own.on) ? others.map((other) => other.name).join(", ") : `${own.on} is not a link`;
  return [[`${path}.via`, `"${via}" is not at the other end of ${own.name} (${there})`]];
}

function checkLinks(scene: Scene): Finding[] {
  return scene.links.flatMap((link, index): Finding[] => {
    const ends = scene.hosts.flatMap((host) => host.interfaces.filter((each) => each.on === link).map(() => host.name));
    if (ends.length === 2) return [];
    return [
      [
        `links[${index}]`,
        `a link has two ends, "${link}" has ${ends.length}${ends.length > 0 ? ` (${ends.join(", ")})` : ""}`,
      ],
    ];
  });
}

function checkPod(scene: Scene, pod: Pod, path: string): Finding[] {
  const node = scene.hosts.find((host) => host.name === pod.node);
  const nodes = scene.hosts.filter((host) => host.role === "node").map((host) => host.name);
  if (node?.role !== "node")
    return [[`${path}.node`, `no node is called "${pod.node}" (there are: ${nodes.join(", ") || "none"})`]];
  if (node.podNetwork === undefined) return [[`${path}.node`, `${node.name} has no podNetwork`]];
  if (pod.addresses.length === 0)
    return [[`${path}.addresses`, `no free address in ${node.podNetwork.cidrs.map((each) => each.text).join(", ")}`]];
  const listeners = pod.listen.map((each, index): Finding => [
    `${path}.listen[${index}]`,
    `${each.protocol === "UDP" ? "UDP" : "TCP"} ${each.port}`,
  ]);
  return repeated(listeners).map(([at, socket, first]) => [at, `${socket} is already taken by ${first}`]);
}

function checkAddresses(scene: Scene): Finding[] {
  const all: Finding[] = [];
  for (const [index, host] of scene.hosts.entries())
    for (const [position, one] of host.loopback.entries())
      all.push([`hosts[${index}].loopback[${position}]`, formatAddress(one.address)]);
  for (const [index, host] of scene.hosts.entries())
    for (const [at, each] of host.interfaces.entries())
      for (const [position, one] of each.addresses.entries())
        all.push([`hosts[${index}].interfaces[${at}].addresses[${position}]`, formatAddress(one.address)]);
  for (const [index, pod] of scene.pods.entries())
    for (const [position, one] of pod.addresses.entries())
      all.push([`pods[${index}].addresses[${position}]`, formatAddress(one)]);
  return repeated(all).map(([path, text, first]) => [path, `${text} is already the address at ${first}`]);
}

/** Each later occurrence of a value, with the path of the first. */
function repeated(all: readonly Finding[]): (readonly [path: string, value: string, first: string])[] {
  const firsts = new Map<string, string>();
  const found: (readonly [string, string, string])[] = [];
  for (const [path, value] of all) {
    const first = firsts.get(value);
    if (first === undefined) firsts.set(value, path);
    else found.push([path, value, first]);
  }
  return found;
}
