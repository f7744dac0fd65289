/**
 * From the request that makes a Service to the first byte that a client gets at its address: API server, controller, agents, ARP and pods
 * of the lab's scene `apiserver`, on this machine. The EndpointSlice is there before, as it is where pods run already.
 */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { bringUp, memberPlan, takeDown, type Lab } from "../lab/lab.ts";
import { waitForAddresses, waitForAgents } from "../lab/observe.ts";
import { enterNamespace } from "../lab/programs.ts";
import { readScene } from "../lab/scene-file.ts";
import { kubeconfigOf } from "../lab/kubernetes/start.ts";
import type { Made } from "./first-byte-maker.ts";

export interface FirstByteSample {
  /** Milliseconds from the request until its maker read the address in the status. */
  readonly assigned: number;
  /** Until the client had the first byte. */
  readonly answered: number;
}

/** Its endpoints are served. */
const LIKE = "metallb1-cluster";

export async function measureFirstByte(rounds: number): Promise<readonly FirstByteSample[]> {
  const read = await readScene("apiserver");
  if (!read.ok) throw new Error(`Cannot read scene apiserver: ${JSON.stringify(read.problems)}`);
  const { scene } = read;
  const name = `b${process.pid.toString(36)}`;
  const lab = await bringUp({ name, scene, agents: true, owner: "self", report: () => {} });
  try {
    await waitForAgents(lab);
    await waitForAddresses(lab);
    const maker = converse(lab, scene.apiServer ?? "", ["first-byte-maker.ts", kubeconfigOf(lab, "admin"), LIKE]);
    const client = converse(lab, "client", ["first-byte-client.ts"]);
    const samples: FirstByteSample[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const made = JSON.parse(await maker.ask(`first-byte-${round}`)) as Made;
      const answeredAt = Number(await client.ask(made.address));
      samples.push({ assigned: made.knownAt - made.askedAt, answered: answeredAt - made.askedAt });
    }
    maker.end();
    client.end();
    return samples;
  } finally {
    await takeDown(name);
  }
}

interface Conversation {
  /** One line there, one back. Rejects when the program has ended. */
  ask(line: string): Promise<string>;
  end(): void;
}

function converse(lab: Lab, host: string, [program = "", ...args]: readonly string[]): Conversation {
  const command = [process.execPath, join(import.meta.dirname, program), ...args];
  const [file = "", ...rest] = enterNamespace(memberPlan(lab, host).namespace, command);
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(file, rest, {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    ask: async (line) => {
      child.stdin.write(`${line}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`${program} on ${host} has ended`);
      return value;
    },
    end: () => child.stdin.end(),
  };
}
