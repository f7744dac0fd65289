/**
 * A program with nothing but BFD in it, for the lab: four sessions, and a main thread that is busy on request.
 *
 *     speaker.ts PARKED-FILE [--busy MILLISECONDS] [--echo]     on SIGTERM parks its sessions into the file, on SIGINT leaves
 *
 * Writes a line of JSON for every change, and one with the details for every SIGUSR2.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { address } from "../../../src/net/address.ts";
import { DEFAULT_PROFILE, type BfdSessionConfig } from "../../../src/protocol/bfd/config.ts";
import { startBfd } from "../../../src/protocol/bfd/driver.ts";
import type { ParkedSession } from "../../../src/protocol/bfd/view.ts";

const HOLD_MILLISECONDS = 60_000;
const SESSIONS: readonly BfdSessionConfig[] = [
  {
    name: "frr",
    peer: address("10.91.0.1"),
    local: address("10.91.0.11"),
    multihop: false,
    profile: { ...DEFAULT_PROFILE, echoReceiveIntervalMilliseconds: 100 },
  },
  {
    name: "frr6",
    peer: address("fd91::1"),
    local: address("fd91::11"),
    device: "eth0",
    multihop: false,
    profile: DEFAULT_PROFILE,
  },
  {
    name: "far",
    peer: address("10.92.0.1"),
    local: address("10.91.0.11"),
    multihop: true,
    profile: { ...DEFAULT_PROFILE, minimumTtl: 250 },
  },
  {
    name: "bird",
    peer: address("10.91.0.2"),
    multihop: false,
    profile: DEFAULT_PROFILE,
    key: { type: "meticulousKeyedSha1", keyId: 7, secret: new TextEncoder().encode("bird and node") },
  },
];

const { values, positionals } = parseArgs({
  options: { busy: { type: "string" }, echo: { type: "boolean", default: false } },
  allowPositionals: true,
});
const [file = ""] = positionals;
const parked = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as readonly ParkedSession[]) : [];
const bfd = startBfd({ parked });
const say = (what: object): boolean => process.stdout.write(`${JSON.stringify(what)}\n`);
bfd.onChange(() => say({ changed: Object.fromEntries(bfd.view().sessions.map(({ name, state }) => [name, state])) }));
bfd.setSessions(SESSIONS.map(withEcho));
process.on("SIGUSR2", () => void bfd.details().then((details) => say({ details })));
process.on("SIGTERM", () => {
  void bfd.stop({ type: "restart", holdMilliseconds: HOLD_MILLISECONDS }).then((sessions) => {
    writeFileSync(file, JSON.stringify(sessions));
  });
});
process.on("SIGINT", () => void bfd.stop({ type: "leave" }));
if (values.busy !== undefined) {
  const milliseconds = Number(values.busy);
  // Between two stretches of work the loop turns once: enough to hear signals, far too little for BFD.
  const work = (): void => {
    const end = performance.now() + milliseconds;
    while (performance.now() < end);
    setTimeout(work, 5).unref();
  };
  setTimeout(work, 5).unref();
}

/** Towards FRR, which returns what it forwards: our own packets too, and over IPv6 it may send its own. */
function withEcho(config: BfdSessionConfig): BfdSessionConfig {
  if (!values.echo || !config.name.startsWith("frr")) return config;
  const echoes = { echoReceiveIntervalMilliseconds: 100, echoTransmitIntervalMilliseconds: 50 };
  return { ...config, profile: { ...config.profile, ...echoes } };
}
