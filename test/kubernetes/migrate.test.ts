/**
 * A cluster that MetalLB's own programs serve is handed over to Fairlead node by node, and back, as docs/migrate.md tells: under a transfer
 * that began before, and requests all the time. No connection breaks, no request fails, no address changes.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { waitForSpeakers } from "../../lab/kubernetes/metallb/speakers.ts";
import { startSpeaker } from "../../lab/kubernetes/metallb/start.ts";
import type { RequestResult } from "../../lab/requester.ts";
import type { TestLab } from "../lab/harness.ts";
import { startTransfer } from "../lab/transfers.ts";
import {
  addressesOf,
  announcersOfMetallb,
  end,
  label,
  nextStep,
  slowest,
  startFairlead,
  steady,
  typed,
  verdict,
  withMetallb,
  type Mark,
} from "./migration.ts";

const SETTLED_MS = 1500;
/** Not slow any more: it will not go on. */
const HANGS_MS = 5000;

test("MetalLB's cluster is handed over node by node and back: nothing breaks", async () => {
  await withMetallb("apiserver", handOverAndBack);
});

async function handOverAndBack(lab: TestLab, nodes: readonly string[]): Promise<void> {
  const address = await lab.address("dual-stack");
  const announcers = await announcersOfMetallb(lab);
  await lab.askUntil(
    "an answer through MetalLB and kube-proxy",
    { protocol: "HTTP", address, port: 80 },
    ({ ok }) => ok,
    30_000,
  );
  const before = await addressesOf(lab);
  const announcer = await lab.announcer(address, 80);
  assert.equal(announcers.get(address), announcer);
  await checkIsClean(lab, announcers.size);

  const requests = steady(lab, [address, await lab.address("dual-stack", "IPv6")], 80);
  const old = startTransfer(lab, { address, port: 80, bytes: 4e9, bytesPerSecond: 10e6 });
  await old.started;
  const failed = (): readonly RequestResult[] => requests.flatMap(({ results }) => results.filter(({ ok }) => !ok));
  const marks: Mark[] = [];
  const isWell = async (when: string): Promise<void> => {
    marks.push({ at: Date.now(), when });
    await sleep(SETTLED_MS);
    assert.deepEqual(failed().slice(0, 3), [], when);
    assert.ok(old.isRunning(), `${when}: the transfer that began before has ended`);
    assert.deepEqual(await addressesOf(lab), before, when);
    assert.equal(await lab.announcer(address, 80), announcer, when);
  };

  const { commands } = await nextStep(lab);
  assert.match(commands.join("\n"), /scale deployment controller --replicas=0/);
  for (const line of commands) await typed(lab, line);
  await end(lab, "metallb-controller");
  await startFairlead(lab);
  await isWell("agents stand by");
  // Half way, and back: nobody has to go on.
  const [hesitant = ""] = nodes;
  await label(lab, hesitant, "active");
  await isWell(`${hesitant} tried`);
  await label(lab, hesitant, undefined);
  await isWell(`${hesitant} taken back`);
  for (const node of nodes) {
    await label(lab, node, "active");
    await isWell(`${node} handed over`);
  }
  await end(lab, "metallb-speaker");
  await isWell("speakers gone");
  // Those that went last thought the addresses theirs, and said so.
  const silenced = await Promise.all(nodes.map((node) => verdict(lab, node, "silenced")));
  assert.ok(Math.max(...silenced) > 0, "no speaker took over when another left: nothing was shown");
  const left = await verdict(lab, announcer, "left_to_stack");
  assert.ok(left > 100, `the transfer is kube-proxy's: ${left} packets left to the stack`);

  // And back: what has begun since is ours, and stays with the datapath.
  const ours = startTransfer(lab, { address, port: 80, bytes: 4e9, bytesPerSecond: 10e6 });
  await ours.started;
  for (const node of nodes) await startSpeaker(lab.lab, node, "native");
  // One that does not know the others yet takes every address, and would be heard from the first node without its label on.
  assert.deepEqual(await waitForSpeakers(lab.lab, [...announcers.keys()]), announcers);
  await isWell("speakers are back");
  for (const node of nodes) {
    await label(lab, node, undefined);
    await isWell(`${node} handed back`);
  }
  assert.ok(ours.isRunning(), "the transfer that began with Fairlead has ended");
  const results = (await Promise.all(requests.map((each) => each.stop()))).flat();
  assert.deepEqual(
    results.filter(({ ok }) => !ok),
    [],
  );
  assert.ok(results.length > 500, `${results.length} requests`);
  const stalls = [(await old.stop()).longestStallMilliseconds, (await ours.stop()).longestStallMilliseconds];
  for (const stall of stalls) assert.ok(stall < HANGS_MS, `a transfer stood still for ${stall} ms`);
  process.stdout.write(
    `# handover and back: ${results.length} requests, none lost, the slowest ${slowest(results, marks)}; transfers stood still for at most ${stalls.map((each) => each.toFixed(0)).join(" ms (kube-proxy's) and ")} ms (ours)\n`,
  );
}

/** The check of a real cluster of MetalLB: every address, and every announcer that its speakers name. */
async function checkIsClean(lab: TestLab, addresses: number): Promise<void> {
  const text = await typed(lab, "fairlead migrate check --context test");
  assert.match(text, /MetalLB 0\.16\.1, mode native/);
  assert.match(text, new RegExp(`same +${addresses} addresses +stay where they are`));
  assert.match(text, new RegExp(`same +${addresses} layer 2 announcements +by the same nodes`));
  process.stdout.write(text.replaceAll(/^/gm, "# "));
}
