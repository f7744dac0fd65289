/** `fairlead version`: of this program, and of the agent where one can be reached. */
import { Command } from "commander";
import { getDocument } from "./agent-api.ts";
import { ownVersion } from "./own-version.ts";
import { print, withCommonOptions, type CommonOptions } from "./output.ts";
import { chooseSocket } from "./socket.ts";
import { CommandFailure, type World } from "./world.ts";

interface VersionDocument {
  readonly client: string;
  readonly node: string;
  readonly agent?: { readonly node: string; readonly version: string };
  /** Why there is no `agent`. */
  readonly unreachable?: string;
}

export function versionCommand(world: World): Command {
  const command = new Command("version");
  return withCommonOptions(command, "fairlead version\nfairlead version -o json").action(
    async (options: CommonOptions) => {
      const document = await readVersions(world, options.socket);
      print(world, options.output, document, () => drawVersions(document));
    },
  );
}

async function readVersions(world: World, socket: string | undefined): Promise<VersionDocument> {
  const own = { client: await ownVersion(), node: process.version };
  try {
    const status = await getDocument(world, await chooseSocket(world, socket), "/v1/status");
    return { ...own, agent: { node: status.node, version: status.version } };
  } catch (error) {
    // Asking for an agent by name makes its absence a failure; otherwise it is only a remark.
    if (!(error instanceof CommandFailure) || socket !== undefined) throw error;
    return { ...own, unreachable: error.message };
  }
}

function drawVersions(document: VersionDocument): string {
  const { agent } = document;
  const about = agent === undefined ? (document.unreachable ?? "") : `${agent.version} on ${agent.node}`;
  return `fairlead ${document.client} (Node.js ${document.node})\nagent    ${about}\n`;
}
