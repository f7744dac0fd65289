/** What a BMP collector of others, pmacct's pmbmpd, makes of what a speaker reports. On loopback: nothing of it needs a network. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { waitFor } from "../../lab/wait.ts";
import { systemClock, type Clock } from "../../src/time/clock.ts";
import { later } from "../../src/time/instant.ts";
import { established, route, sessionTo, speakerAt } from "../../src/protocol/bgp/driver.fixture.ts";
import { startMonitoring } from "../../src/protocol/bgp/monitoring/driver.ts";
import { routesByPrefix } from "../../src/protocol/bgp/route.ts";

/** Of pmbmpd's log of messages, what is looked at. */
interface Heard {
  readonly bmp_msg_type?: string;
  readonly bmp_init_info_sysname?: string;
  readonly peer_ip?: string;
  readonly peer_asn?: number;
  readonly bgp_id?: string;
  readonly ip_prefix?: string;
  readonly as_path?: string;
  readonly is_out?: number;
  readonly counter_type_str?: string;
  readonly counter_value?: number;
}

/** What is due in a minute is due at once. */
const IMPATIENT: Clock = {
  now: () => systemClock.now(),
  at: (moment, act) => {
    const now = systemClock.now();
    return systemClock.at(later(now, Math.min(moment - now, 200)), act);
  },
};

test("pmbmpd reads sessions, routes of both directions, numbers and goodbyes as they are", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "fl-bmp-"));
  t.after(() => rm(folder, { recursive: true }));
  const port = await freePort();
  const log = join(folder, "messages.json");
  const settings = { daemonize: false, bmp_daemon_ip: "127.0.0.1", bmp_daemon_port: port, bmp_daemon_msglog_file: log };
  const config = join(folder, "pmbmpd.conf");
  await writeFile(config, [...Object.entries(settings), ["bmp_daemon_msglog_output", "json"]].map(lineOf).join(""));
  const collector = spawn("pmbmpd", ["-f", config], { stdio: "ignore" });
  t.after(async () => {
    // It hears no SIGTERM while it waits for data.
    const ended = once(collector, "exit");
    collector.kill("SIGKILL");
    await ended;
  });
  const [a, b] = [speakerAt("127.4.20.1", 65001), speakerAt("127.4.20.2", 65002)];
  t.after(() => b.speaker.stop("restart"));
  const names = { sysName: "node1", sysDescr: "Fairlead" };
  const options = { speaker: a.speaker, collector: { host: "127.0.0.1", port }, clock: IMPATIENT, ...names };
  const monitoring = startMonitoring(options);
  t.after(() => monitoring.stop());
  b.speaker.configure([sessionTo(b, a, { initiation: "accept" })]);
  b.speaker.announce(new Map([["to-127.4.20.1", routesByPrefix([route("198.51.100.0/24")])]]));
  a.speaker.configure([sessionTo(a, b, { initiation: "dial" })]);
  a.speaker.announce(new Map([["to-127.4.20.2", routesByPrefix([route("203.0.113.1/32")])]]));
  await established(a.speaker);
  const told = await waitFor("numbers that count the route we told", async () => {
    const heard = await read(log);
    return heard.some(
      (one) => one.counter_type_str === "Number of routes in Adj-RIBs-Out Post-Policy" && one.counter_value === 1,
    )
      ? heard
      : undefined;
  });
  const of = (type: string): readonly Heard[] => told.filter(({ bmp_msg_type: found }) => found === type);
  assert.equal(of("init")[0]?.bmp_init_info_sysname, "node1");
  const [up] = of("peer_up");
  assert.deepEqual([up?.peer_ip, up?.peer_asn, up?.bgp_id], ["127.4.20.2", 65002, "127.4.20.2"]);
  const routes = of("route_monitor").map(({ ip_prefix: prefix, as_path: path, is_out: out = 0 }) => [
    prefix,
    path,
    out,
  ]);
  assert.deepEqual(
    new Set(routes.map((one) => one.join(" "))),
    new Set(["198.51.100.0/24 65002 0", "203.0.113.1/32 65001 1"]),
  );
  await a.speaker.stop("leave");
  await monitoring.stop();
  const kinds = await waitFor("the goodbye", async () => {
    const types = (await read(log)).map(({ bmp_msg_type: type }) => type);
    return types.includes("term") ? types : undefined;
  });
  assert.ok(kinds.indexOf("peer_down") < kinds.indexOf("term") && kinds.includes("peer_down"), kinds.join());
});

function lineOf([key, value]: readonly unknown[]): string {
  return `${String(key)}: ${String(value)}\n`;
}

/** Whole lines only: the last may be on its way. */
async function read(log: string): Promise<readonly Heard[]> {
  const text = await readFile(log, "utf8").catch(() => "");
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Heard);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
