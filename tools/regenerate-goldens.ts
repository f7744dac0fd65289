/**
 * What FRR, BIRD and GoBGP say, kept for the tests of the codec: `node tools/regenerate-goldens.ts` (as root, with the
 * packages of tools/prepare.sh) writes src/protocol/bgp/golden.fixture.ts. The same routes in each: see tools/goldens/.
 * Each row is the message as it came and how this codec reads it - look at the readings before committing them.
 */
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bringUp, memberPlan, takeDown, type Lab } from "../lab/lab.ts";
import { runIn } from "../lab/network.ts";
import { signalProgram, startProgram } from "../lab/programs.ts";
import { routingEnvironment } from "../lab/routing.ts";
import { readScene } from "../lab/scene-file.ts";
import { waitFor } from "../lab/wait.ts";
import { ROOT } from "./tree.ts";

const TARGET = join(ROOT, "src/protocol/bgp/golden.fixture.ts");
const SPEAKER = join(ROOT, "tools/golden-speaker.ts");
const GOBGP_ROUTE = ["nexthop", "10.91.0.3", "origin", "igp", "med", "50", "community", "64512:100,no-export"];

interface Router {
  readonly host: string;
  readonly address: string;
  readonly version: string;
  /** Tells its routes, where the configuration does not. */
  readonly prepare: readonly (readonly string[])[];
  /** Ends the session with words. */
  readonly shutDown: readonly string[];
}

const ROUTERS: readonly Router[] = [
  {
    host: "frr",
    address: "10.91.0.1",
    version: `FRR ${packageVersion("frr")}`,
    prepare: [],
    shutDown: [
      ...["vtysh", "-c", "configure", "-c", "router bgp 4200000001"],
      ...["-c", "neighbor 10.91.0.11 shutdown message rack 7 moves"],
    ],
  },
  {
    host: "bird",
    address: "10.91.0.2",
    version: `BIRD ${packageVersion("bird2")}`,
    prepare: [],
    shutDown: ["birdc", "disable", "node", '"rack 7 moves"'],
  },
  {
    host: "gobgp",
    address: "10.91.0.3",
    version: `GoBGP ${packageVersion("gobgpd")}`,
    prepare: [
      ["gobgp", "global", "rib", "add", "203.0.113.10/32", ...GOBGP_ROUTE, "large-community", "4200000001:1:2"],
      ["gobgp", "global", "rib", "add", "-a", "ipv6", "2001:db8:113::10/128", "nexthop", "fd91::3", "origin", "igp"],
    ],
    shutDown: ["gobgp", "neighbor", "10.91.0.11", "shutdown", "rack 7 moves"],
  },
];

interface Said {
  readonly type: string;
  readonly hex: string;
}

const read = await readScene(join(ROOT, "tools/goldens/scene.yaml"));
if (!read.ok) throw new Error(JSON.stringify(read.problems));
const lab = await bringUp({
  name: "goldens",
  scene: read.scene,
  agents: false,
  owner: "self",
  report: () => undefined,
});
try {
  const rows = await Promise.all(ROUTERS.map((router) => listenTo(lab, router)));
  await writeFile(TARGET, fileOf(rows.flat()));
} finally {
  await takeDown("goldens");
}
execFileSync(join(ROOT, "node_modules/.bin/oxfmt"), [TARGET]);

async function listenTo(lab: Lab, router: Router): Promise<readonly string[]> {
  const log = lab.paths.log("speaker", router.host);
  const said = async (): Promise<readonly Said[]> =>
    (await readFile(log, "utf8").catch(() => ""))
      .split("\n")
      .filter((line) => line.endsWith("}"))
      .map((line) => JSON.parse(line) as Said);
  const heard = (type: string): Promise<unknown> =>
    waitFor(`${router.version} to send ${type}`, async () => (await said()).find((one) => one.type === type), {
      milliseconds: 30_000,
      explain: () => readFile(log, "utf8"),
    });
  const tell = (command: readonly string[]): Promise<unknown> =>
    runIn(memberPlan(lab, router.host).namespace, command, { environment: routingEnvironment(lab, router.host) });

  for (const command of router.prepare) await tell(command);
  const program = await startProgram(lab.paths.programs, {
    host: "speaker",
    program: router.host,
    namespace: memberPlan(lab, "speaker").namespace,
    command: [
      "sh",
      "-c",
      `while ! grep -q '"update"' ${log}; do ${process.execPath} ${SPEAKER} ${router.address}; sleep 1; done`,
    ],
    log,
  });
  await heard("update");
  // End-of-RIB follows within moments; a message more or less is seen when the file is looked at.
  await new Promise((resolve) => setTimeout(resolve, 3000));
  await tell(router.shutDown);
  await heard("notification");
  await signalProgram(program, "SIGTERM");
  const distinct = new Map((await said()).filter(({ type }) => type !== "keepalive").map((one) => [one.hex, one]));
  return [...distinct.values()].map(({ type, hex }) => JSON.stringify({ from: router.version, type, hex }));
}

function packageVersion(name: string): string {
  return execFileSync("dpkg-query", ["-W", "-f", "${Version}", name], { encoding: "utf8" }).replace(/[-+~].*$/, "");
}

function fileOf(rows: readonly string[]): string {
  return `/** Messages of other speakers as they came: written by tools/regenerate-goldens.ts, which says how. */
export const GOLDENS: readonly { readonly from: string; readonly type: string; readonly hex: string }[] = [
  ${rows.join(",\n  ")},
];
`;
}
