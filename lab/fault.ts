/**
 * What can go wrong in a lab, on demand.
 *
 *     agent-kill   SIGKILL        agent-stop   SIGTERM, until it has ended      agent-start   start it (again)
 *                  of a real node the kubelet starts it again at once; stopped, it stays so: the kubelet is held until agent-start
 *     node-down    power loss: cut off from everything at once, its programs and its pods' gone, nothing of its kernel state kept
 *     node-up      the same node starts up: devices, addresses, routes, pods, agent
 *     link-down    the cable's other end goes down: no carrier         link-up   and back
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { markDown, memberPlan, startAgent, startPods, tailOfLog } from "./lab.ts";
import type { Lab } from "./lab.ts";
import { LabError } from "./lab-error.ts";
import {
  agentProcess,
  forgetKernelState,
  holdKubelet,
  registered,
  releaseKubelet,
  startNode,
} from "./kubernetes/nodes.ts";
import { configureAgain, setDevices } from "./network.ts";
import type { Cable, CableEnd } from "./plan.ts";
import { namespaceOf } from "./plan.ts";
import { startRouting } from "./routing.ts";
import { forgetProgram, listPrograms, sameProcess, signalProgram, waitForEnd } from "./programs.ts";
import type { Program } from "./programs.ts";
import { podsOn } from "./scene.ts";
import type { Host } from "./scene.ts";
import { waitFor } from "./wait.ts";

export const FAULTS = [
  "agent-kill",
  "agent-stop",
  "agent-start",
  "node-down",
  "node-up",
  "link-down",
  "link-up",
] as const;
export type Fault = (typeof FAULTS)[number];

const STOP_MILLISECONDS = 15_000;
const POD_MILLISECONDS = 60_000;

/** Makes it happen; when the promise resolves it has happened. Throws a {@link LabError} for a host or device that cannot have it. */
export async function applyFault(lab: Lab, hostName: string, fault: Fault, device?: string): Promise<void> {
  memberPlan(lab, hostName); // Names the hosts there are.
  switch (fault) {
    case "agent-kill":
      return endAgent(lab, agentHost(lab, hostName), "SIGKILL");
    case "agent-stop":
      return endAgent(lab, agentHost(lab, hostName), "SIGTERM");
    case "agent-start":
      return startAgentAgain(lab, agentHost(lab, hostName));
    case "node-down":
      return switchOff(lab, anyHost(lab, hostName));
    case "node-up":
      return switchOn(lab, anyHost(lab, hostName));
    case "link-down":
      return setOtherEnd(lab, hostName, device, "down");
    case "link-up":
      return setOtherEnd(lab, hostName, device, "up");
  }
}

async function endAgent(lab: Lab, host: Host, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  if (isReal(host)) return endAgentPod(lab, host, signal);
  const agent = await runningAgent(lab, host);
  if (agent === undefined) throw new LabError(`No agent runs on ${host.name}`);
  await signalProgram(agent, signal);
  if ((await waitForEnd(agent, STOP_MILLISECONDS)) === "stillThere") {
    throw new LabError(
      `The agent on ${host.name} has not ended ${STOP_MILLISECONDS / 1000} s after ${signal}:\n${await tailOfLog(lab, host.name, "agent")}`,
    );
  }
  await forgetProgram(lab.paths.programs, agent);
}

/** Killed, its kubelet starts it again at once. That it stays stopped, its kubelet is held meanwhile. */
async function endAgentPod(lab: Lab, host: Host, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  const agent = await agentProcess(lab, host.name);
  if (agent === undefined) throw new LabError(`No agent runs on ${host.name}`);
  if (signal === "SIGTERM") await holdKubelet(lab, host.name);
  await signalProgram(agent, signal);
  if ((await waitForEnd(agent, STOP_MILLISECONDS)) === "stillThere")
    throw new LabError(`The agent on ${host.name} has not ended ${STOP_MILLISECONDS / 1000} s after ${signal}`);
}

function isReal(host: Host): boolean {
  return host.podNetwork?.kind === "kubelet";
}

async function startAgentAgain(lab: Lab, host: Host): Promise<void> {
  if (isReal(host)) return startAgentPod(lab, host);
  if ((await runningAgent(lab, host)) !== undefined) throw new LabError(`An agent runs on ${host.name} already`);
  await startAgent(lab, host);
}

async function startAgentPod(lab: Lab, host: Host): Promise<void> {
  await releaseKubelet(lab, host.name);
  await waitFor(`the kubelet on ${host.name} to start its agent`, () => agentProcess(lab, host.name), {
    milliseconds: POD_MILLISECONDS,
  });
}

async function switchOff(lab: Lab, host: Host): Promise<void> {
  const pods = podsOn(lab.scene, host.name);
  const members = [host.name, ...pods.map((pod) => pod.name)];
  // The wire first: whatever still runs for a moment is not heard.
  await Promise.all(otherEnds(lab, host.name).map((end) => setEnd(lab, end, "down")));
  for (const member of members) {
    const { namespace, devices } = memberPlan(lab, member);
    await setDevices(namespace, devices, "down");
  }
  for (const program of await listPrograms(lab.paths.programs)) {
    if (!members.includes(program.host)) continue;
    await signalProgram(program, "SIGKILL");
    await waitForEnd(program, STOP_MILLISECONDS);
    await forgetProgram(lab.paths.programs, program);
  }
  if (isReal(host)) await forgetKernelState(lab, host.name);
  // A kernel that has lost its power has no maps and no programs when it comes back.
  await rm(join(lab.paths.bpf, host.name), { recursive: true, force: true });
  await rm(lab.paths.socket(host.name), { force: true });
  await markDown(lab, host.name, true);
}

async function switchOn(lab: Lab, host: Host): Promise<void> {
  const pods = podsOn(lab.scene, host.name);
  const running = await listPrograms(lab.paths.programs);
  for (const member of [host.name, ...pods.map((pod) => pod.name)]) await configureAgain(memberPlan(lab, member));
  await Promise.all(otherEnds(lab, host.name).map((end) => setEnd(lab, end, "up")));
  await mkdir(join(lab.paths.bpf, host.name), { recursive: true });
  if (!running.some((each) => each.host === host.name)) await startRouting(lab, host);
  await startPods(
    lab,
    pods.filter((pod) => !running.some((each) => each.host === pod.name)),
  );
  await markDown(lab, host.name, false);
  if (isReal(host) && lab.record.agents) {
    await startNode(lab, host);
    await registered(lab, host);
    return;
  }
  if (host.agent && lab.record.agents && (await runningAgent(lab, host)) === undefined) await startAgent(lab, host);
}

async function setOtherEnd(lab: Lab, member: string, device: string | undefined, state: "up" | "down"): Promise<void> {
  const cable = ownCable(lab, member, device);
  await setEnd(lab, cable.near.member === member ? cable.far : cable.near, state);
  // A lost carrier takes routes with it: what was configured comes back with the link.
  if (state === "up") await configureAgain(memberPlan(lab, member));
}

/** Brings one end of a cable up or down; a host that gets its end back also gets back what it had configured there. */
async function setEnd(lab: Lab, end: CableEnd, state: "up" | "down"): Promise<void> {
  await setDevices(namespaceOf(lab.name, end.member), [end.device], state);
  const plan = memberPlan(lab, end.member);
  if (state === "up" && plan.kind !== "segment") await configureAgain(plan);
}

/** The cable at a device; without one named, the host's first. */
function ownCable(lab: Lab, member: string, device: string | undefined): Cable {
  const own = lab.plan.cables.flatMap((cable) =>
    [cable.near, cable.far].filter((end) => end.member === member).map((end) => ({ cable, device: end.device })),
  );
  const found = device === undefined ? own[0] : own.find((each) => each.device === device);
  if (found !== undefined) return found.cable;
  throw new LabError(
    `${member} has no cable at "${device ?? ""}" (there are: ${own.map((each) => each.device).join(", ") || "none"})`,
  );
}

/** The other ends of a host's cables, except those to its own pods, which go down with it. */
function otherEnds(lab: Lab, host: string): readonly CableEnd[] {
  return lab.plan.cables.flatMap(({ near, far }) => {
    if (near.member === host) return [far];
    return far.member === host && lab.scene.hosts.some((each) => each.name === near.member) ? [near] : [];
  });
}

async function runningAgent(lab: Lab, host: Host): Promise<Program | undefined> {
  const agent = (await listPrograms(lab.paths.programs)).find(
    (each) => each.host === host.name && each.program === "agent",
  );
  return agent !== undefined && (await sameProcess(agent)) ? agent : undefined;
}

function anyHost(lab: Lab, name: string): Host {
  const host = lab.scene.hosts.find((each) => each.name === name);
  if (host === undefined)
    throw new LabError(
      `"${name}" is not a host that can be switched off (hosts are: ${lab.scene.hosts.map((each) => each.name).join(", ")})`,
    );
  return host;
}

function agentHost(lab: Lab, name: string): Host {
  const host = lab.scene.hosts.find((each) => each.name === name);
  if (host?.agent === true) return host;
  const agents = lab.scene.hosts.filter((each) => each.agent).map((each) => each.name);
  throw new LabError(`${name} runs no agent (these do: ${agents.join(", ") || "none"})`);
}
