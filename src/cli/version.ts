/** `fairlead version`: of this program, and of the agent where one can be reached. */
import { Command } from "commander";
import { getDocument } from "./agent-api.ts";
import { ownVersion } from "./own-version.ts";
import { askAll, findAgents } from "./agents.ts";
import { withCommonOptions, type CommonOptions } from "./options.ts";
import { print } from "./output.ts";
import { CommandFailure, type World } from "./world.ts";

interface AgentVersion {
  readonly node: string;
  readonly version: string;
}

interface VersionDocument {
  readonly client: string;
  readonly node: string;
  readonly agent?: AgentVersion;
  /** Of a cluster. */
  readonly agents?: readonly AgentVersion[];
  /** Why agents are missing. */
  readonly unreachable?: string;
}

export function versionCommand(world: World): Command {
  const command = new Command("version");
  return withCommonOptions(world, command, "fairlead version\nfairlead version -o json").action(
    async (options: CommonOptions) => {
      const document = await readVersions(world, options);
      print(world, options.output, document, () => drawVersions(document));
    },
  );
}

async function readVersions(world: World, options: CommonOptions): Promise<VersionDocument> {
  const own = { client: await ownVersion(), node: process.version };
  try {
    const found = await findAgents(world, options);
    if (found.type === "one") {
      const { node, version } = await getDocument(found.agent, "/v1/status");
      return { ...own, agent: { node, version } };
    }
    const { answers, failures } = await askAll(found.agents, "/v1/status");
    const agents = answers.map(({ node, document: { version } }) => ({ node, version }));
    const unreachable = failures.map(({ failure }) => failure.message).join("\n");
    return { ...own, agents, ...(unreachable === "" ? {} : { unreachable }) };
  } catch (error) {
    // Asking for an agent by name makes its absence a failure; otherwise it is only a remark.
    const named = options.socket ?? options.node;
    if (!(error instanceof CommandFailure) || named !== undefined) throw error;
    return { ...own, unreachable: error.message };
  }
}

function drawVersions({
  client,
  node,
  agent,
  agents = agent === undefined ? [] : [agent],
  unreachable,
}: VersionDocument): string {
  const lines = [
    ...agents.map((each) => `${each.version} on ${each.node}`),
    ...(unreachable === undefined ? [] : [unreachable]),
  ];
  return `fairlead ${client} (Node.js ${node})\n${lines.map((line) => `agent    ${line}\n`).join("")}`;
}
