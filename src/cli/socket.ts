/** Which agent a command talks to: `--socket`, else `FAIRLEAD_SOCKET`, else the only one on this machine. */
import { glob } from "node:fs/promises";
import { CommandFailure, EXIT, type World } from "./world.ts";

/** The path of the socket. Fails when there is none, or more than one to choose from. */
export async function chooseSocket(world: World, option: string | undefined): Promise<string> {
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
