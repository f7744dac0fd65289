/** The agent on this machine that a command talks to: `--socket`, else `FAIRLEAD_SOCKET`, else the only one. */
import { glob } from "node:fs/promises";
import { request } from "node:http";
import { unreachable } from "./agent-api.ts";
import type { Agent } from "./agent-api.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

/** Fails when it has no socket to choose, or several. */
export async function agentOnThisMachine(world: World, option: string | undefined): Promise<Agent> {
  const socketPath = await chooseSocket(world, option);
  const where = `at ${socketPath}`;
  const timeout = world.answerTimeoutMilliseconds;
  return {
    where,
    node: undefined,
    open: (path, body) =>
      new Promise((resolve, reject) => {
        const outgoing = request({
          socketPath,
          path,
          method: body === undefined ? "GET" : "POST",
          timeout,
          headers: { host: "fairlead", connection: "close" },
        });
        outgoing.on("response", resolve);
        outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${timeout} ms`)));
        outgoing.on("error", (cause) => reject(unreachable({ where }, cause)));
        outgoing.end(body);
      }),
  };
}

/** The path of the socket. Fails when there is none, or more than one to choose from. */
async function chooseSocket(world: World, option: string | undefined): Promise<string> {
  const told = option ?? world.env["FAIRLEAD_SOCKET"];
  if (told !== undefined && told !== "") return told;
  const agents = await socketsUnder(world.runFolder, "*.sock");
  const [only] = agents;
  if (only !== undefined && agents.length === 1) return only;
  if (only !== undefined)
    throw new CommandFailure(EXIT.usage, `Several agents run here, choose one with --socket:\n${lines(agents)}`);
  const lab = await socketsUnder(world.runFolder, "lab/*/*.sock");
  if (lab.length > 0)
    throw new CommandFailure(EXIT.usage, `Only a lab's agents run here, choose one with --socket:\n${lines(lab)}`);
  throw new CommandFailure(
    EXIT.unreachable,
    `Cannot find an agent: no socket in ${world.runFolder}. ` +
      "Start one with `fairlead agent`, or say where its socket is with --socket or FAIRLEAD_SOCKET",
  );
}

async function socketsUnder(folder: string, pattern: string): Promise<readonly string[]> {
  const found = await Array.fromAsync(glob(pattern, { cwd: folder }));
  return found.toSorted().map((name) => `${folder}/${name}`);
}

function lines(paths: readonly string[]): string {
  return paths.map((path) => `  ${path}`).join("\n");
}
