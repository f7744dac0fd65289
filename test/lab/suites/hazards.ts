/** What harms on a node and its segment appears wherever an operator looks, and goes when it is put right. */
import assert from "node:assert/strict";
import { waitFor } from "../../../lab/wait.ts";
import { fairlead } from "../../../src/cli/agent.fixture.ts";
import type { HazardRow } from "../../../src/observe/status.ts";
import type { DefineTest, TestLab } from "../harness.ts";

/** An agent may have to start first, on a busy machine. */
const PATIENCE = { milliseconds: 30_000 };

/** Agents must look every second. */
export function testHazards(it: DefineTest): void {
  it("a lab that is well has none", async (lab) => {
    for (const node of lab.nodes) assert.deepEqual(await hazards(lab, node), [], node);
  });

  it("a node whose route to another's pods refuses them says so, whatever its default route is, and to who asks why", async (lab) => {
    const address = await lab.address("dual-stack");
    const announcer = await lab.announcer(address, 80);
    const socket = `--socket ${lab.lab.paths.socket(announcer)}`;
    const rows = (await lab.agent(announcer, "/v1/bpf/lb"))?.filter((row) => row.address === address) ?? [];
    const pod = rows.flatMap(({ backends }) => backends).find(({ local }) => !local)?.address ?? "";
    const network = pod.replace(/\.\d+$/, "");
    const ways = [`${network}.0/25`, `${network}.128/25`];
    for (const way of ways) {
      const made = await lab.exec(announcer, "ip", "route", "add", "unreachable", way);
      assert.equal(made.status, 0, made.stderr);
    }
    const hazard = await waitForHazard(lab, announcer, "BackendUnreachable ");
    assert.ok(hazard.message.includes(`there is no way to its pods (${network}.`), hazard.message);
    assert.match(hazard.message, /: No route to host\)/);
    assert.equal(hazard.level, "problem");
    const explained = await fairlead(`explain ${address} ${socket}`);
    assert.match(explained.stdout, /cannot be reached from here/);
    for (const way of ways) await lab.exec(announcer, "ip", "route", "del", "unreachable", way);
    await waitForNone(lab, announcer);
  });

  it("a node without its agent that has an address is seen by the announcer, and not when its agent is back", async (lab) => {
    const address = await lab.address("dual-stack");
    const announcer = await lab.announcer(address, 80);
    const holder = lab.nodes.find((node) => node !== announcer) ?? "";
    const { paths } = lab.lab;
    const socket = `--socket ${paths.socket(announcer)}`;

    await lab.fault(holder, "agent-stop");
    const cleanup = await lab.cluster.cleanup(holder);
    assert.equal(cleanup.code, 0, cleanup.stderr);
    await lab.exec(holder, "ip", "address", "add", `${address}/32`, "dev", "lo");
    const answered = await waitForHazard(lab, announcer, "AddressAnswered eth0 ");
    assert.match(answered.message, new RegExp(`${address} .*node ${holder} .* answers for it as well`));

    const status = await fairlead(`status ${socket}`);
    assert.equal(status.code, 1);
    assert.match(status.stdout, /^Hazards of this node\n {2}AddressAnswered eth0 /m);
    const explained = await fairlead(`explain ${address} ${socket}`);
    assert.match(explained.stdout, /^warning +node +AddressAnswered eth0 /m);
    const curl = ["curl", "-s", "--unix-socket", paths.socket(announcer), "http://fairlead/metrics"];
    const { stdout: metrics } = await lab.exec(announcer, ...curl);
    assert.match(metrics, /^fairlead_node_hazards\{check="AddressAnswered",level="problem"\} [1-9]$/m);
    await waitForEvent(lab, announcer, "AddressAnswered");

    await lab.fault(holder, "agent-start");
    const held = await waitForHazard(lab, holder, "AddressHeld lo");
    assert.equal(held.level, "advice", "its datapath keeps the kernel silent");
    await waitForNone(lab, announcer);
    await waitForEvent(lab, announcer, "HazardGone");
    await lab.exec(holder, "ip", "address", "del", `${address}/32`, "dev", "lo");
    await waitForNone(lab, holder);
  });

  it("a stranger that answers over IPv6 is seen, and goes", async (lab) => {
    const address = await lab.address("dual-stack", "IPv6");
    const announcer = await lab.announcer(await lab.address("dual-stack"), 80);
    await lab.exec(lab.client, "ip", "address", "add", `${address}/64`, "dev", "eth0", "nodad");
    const answered = await waitForHazard(lab, announcer, "AddressAnswered eth0 ");
    assert.match(answered.todo, /Find the machine with this MAC address/);
    await lab.exec(lab.client, "ip", "address", "del", `${address}/64`, "dev", "eth0");
    await waitForNone(lab, announcer);
  });

  it("a setting that somebody changes is seen without anything else happening, and goes", async (lab) => {
    const address = await lab.address("dual-stack");
    const node = await lab.announcer(address, 80);
    // Of several the last: the default route of a real node is over the first, where strict filtering does no harm.
    const device = lab.lab.scene.hosts.find(({ name }) => name === node)?.interfaces.at(-1)?.name ?? "";
    await lab.exec(node, "sysctl", "-qw", `net.ipv4.conf.${device}.rp_filter=1`);
    await waitForHazard(lab, node, `ReversePathFilter ${device}`);
    await lab.exec(node, "sysctl", "-qw", `net.ipv4.conf.${device}.rp_filter=0`);
    await waitForNone(lab, node);
  });
}

/** Undefined: its agent does not answer. */
/** Without what the pool of the examples brings along: it begins with the first address of its segment's network. */
async function hazards(lab: TestLab, node: string): Promise<readonly HazardRow[] | undefined> {
  return (await lab.agent(node, "/v1/status"))?.hazards.filter(({ check }) => check !== "SubnetRouterAnycast");
}

async function waitForHazard(lab: TestLab, node: string, start: string): Promise<HazardRow> {
  return waitFor(
    `${start} on ${node}`,
    async () => (await hazards(lab, node))?.find(({ check, subject }) => `${check} ${subject}`.startsWith(start)),
    PATIENCE,
  );
}

async function waitForNone(lab: TestLab, node: string): Promise<void> {
  await waitFor(
    `no hazard on ${node}`,
    async () => ((await hazards(lab, node))?.length === 0 ? true : undefined),
    PATIENCE,
  );
}

/** About the node, where its agent writes such things. */
async function waitForEvent(lab: TestLab, node: string, reason: string): Promise<void> {
  await waitFor(`the event ${reason} of ${node}`, async () => {
    const events = await lab.cluster.events(node);
    return events.some((event) => event.about === node && event.reason === reason) ? true : undefined;
  });
}
