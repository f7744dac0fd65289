/** BFD with FRR's bfdd and with BIRD: what they say of the node is asserted, beside what the node says of them. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { signalProgram, startProgram, waitForEnd, type Program } from "../../lab/programs.ts";
import { memberPlan } from "../../lab/lab.ts";
import { waitFor } from "../../lab/wait.ts";
import type { BfdDetails } from "../../src/protocol/bfd/view.ts";
import { labSuite, type TestLab } from "./harness.ts";

const SCENE = join(import.meta.dirname, "bfd/scene.yaml");
const SPEAKER = join(import.meta.dirname, "bfd/speaker.ts");
/** Three times what the peers wait for a packet: in the main thread BFD would be down three times over. */
const BUSY_MILLISECONDS = 3000;

labSuite("BFD with FRR and BIRD", SCENE, { agents: false }, (it) => {
  let node: Program;

  it("single hop, IPv6, multihop to a passive peer, and SHA1: all come Up", async (lab) => {
    node = await startSpeaker(lab);
    await everybodyUp(lab);
    const details = await detailsOf(lab, node);
    assert.deepEqual(
      details.map(({ name, state, remoteState, detectionMilliseconds }) => [
        name,
        state,
        remoteState,
        detectionMilliseconds,
      ]),
      [
        ["frr", "up", "up", 900],
        ["frr6", "up", "up", 900],
        ["far", "up", "up", 1500],
        ["bird", "up", "up", 900],
      ],
    );
    assert.deepEqual(
      details.map(({ discarded }) => discarded).filter((one) => "wrongKey" in one || "replayed" in one),
      [],
    );
  });

  it("a peer's echo is not asked for where the kernel would not return it, and returned where it would", async (lab) => {
    const [without] = await detailsOf(lab, node);
    assert.match(without?.problem ?? "", /^No echo is offered/);
    await endSpeaker(node, "SIGINT");
    await lab.exec("node", "sysctl", "-w", "net.ipv4.ip_forward=1");
    node = await startSpeaker(lab);
    // Not in frr.conf: bfdd warns of echo with a status that a start takes for a failure.
    await echoMode(lab, "echo-mode");
    await waitFor(
      "FRR to hear its own echo",
      async () =>
        (await frrCounters(lab)).find((one) => one["echo-packet-output"] > 20 && one["echo-packet-input"] > 20),
      { explain: async () => JSON.stringify(await frrCounters(lab)) },
    );
    await echoMode(lab, "no echo-mode");
    await everybodyUp(lab);
  });

  it("our own echo packets come back through the router's forwarding, IPv4 and IPv6, and FRR's own over both", async (lab) => {
    await endSpeaker(node, "SIGINT");
    node = await startSpeaker(lab, "--echo");
    await everybodyUp(lab);
    for (const address of ["10.91.0.11", "fd91::11"]) await echoMode(lab, "echo-mode", address);
    const before = await detailsOf(lab, node);
    const found = await waitFor("echo packets of both sides to come back", async () => {
      const details = (await detailsOf(lab, node)).filter(({ name }) => name.startsWith("frr"));
      const counters = (await frrCounters(lab)).filter(({ multihop }) => !multihop);
      const ours = details.every(({ echo }) => echo.returned > 50);
      return ours && counters.every((one) => one["echo-packet-input"] > 20) ? details : undefined;
    });
    for (const { name, state, problem, echo, flaps } of found) {
      assert.deepEqual([name, state, problem, echo.intervalMilliseconds], [name, "up", undefined, 50]);
      assert.equal(flaps, before.find((one) => one.name === name)?.flaps);
      assert.ok(echo.sent - echo.returned <= 2, `${name}: ${echo.sent} sent, ${echo.returned} came back`);
    }
    for (const address of ["10.91.0.11", "fd91::11"]) await echoMode(lab, "no echo-mode", address);
  });

  it("a router that forwards no longer, but whose BFD goes on, is found down by echo alone, IPv4 and IPv6", async (lab) => {
    for (const [name, forwarding] of [
      ["frr", "net.ipv4.ip_forward"],
      ["frr6", "net.ipv6.conf.all.forwarding"],
    ] as const) {
      await everybodyUp(lab);
      await lab.exec("frr", "sysctl", "-w", `${forwarding}=0`);
      const down = await waitFor(`${name} to be found down`, async () => {
        const details = await detailsOf(lab, node);
        return details.find((one) => one.name === name && one.state === "down") === undefined ? undefined : details;
      });
      const { diagnostic, remoteState } = down.find((one) => one.name === name) ?? {};
      assert.equal(diagnostic, "echoFailed", name);
      assert.notEqual(remoteState, undefined);
      // The others' control packets run through the same cable.
      assert.equal(down.find((one) => one.name === (name === "frr" ? "frr6" : "frr"))?.state, "up");
      const told = await waitFor("FRR to be told why", async () =>
        (await frrPeers(lab)).find((peer) => peer["remote-diagnostic"] === "echo function failed"),
      );
      assert.equal(told.peer, name === "frr" ? "10.91.0.11" : "fd91::11");
      await lab.exec("frr", "sysctl", "-w", `${forwarding}=1`);
      await everybodyUp(lab);
    }
  });

  it("a packet that was routed on the way is none of a single hop's: it may say Down as it likes", async (lab) => {
    // FRR's own discriminators, said by somebody else, with the TTL of a routed packet.
    const [frr] = await detailsOf(lab, node);
    assert.ok(frr);
    const packet = `20400318${word(frr.yourDiscriminator)}${word(frr.myDiscriminator)}000f4240000493e000000000`;
    const escaped = packet.replaceAll(/../g, (byte) => `\\x${byte}`);
    for (let i = 0; i < 5; i += 1)
      await lab.exec("frr", "bash", "-c", `printf '${escaped}' > /dev/udp/10.91.0.11/3784`);
    const [after] = await detailsOf(lab, node);
    assert.deepEqual([after?.state, after?.flaps], ["up", frr.flaps]);
  });

  it("a program that computes without pause keeps its sessions", async (lab) => {
    await endSpeaker(node, "SIGINT");
    node = await startSpeaker(lab, "--busy", String(BUSY_MILLISECONDS));
    await everybodyUp(lab);
    const before = await upSince(lab);
    await sleep(3 * BUSY_MILLISECONDS);
    assert.deepEqual(await upSince(lab), before);
    const details = await detailsOf(lab, node);
    assert.deepEqual(
      details.map(({ state, flaps }) => [state, flaps]),
      [
        ["up", 0],
        ["up", 0],
        ["up", 0],
        ["up", 0],
      ],
    );
  });

  it("a planned restart, twice, is noticed by no peer", async (lab) => {
    const before = await upSince(lab);
    for (const round of [1, 2]) {
      await endSpeaker(node, "SIGTERM");
      // Longer than any of them waits for a packet otherwise.
      await sleep(2500);
      assert.deepEqual(await upSince(lab), before, `away, round ${round}`);
      node = await startSpeaker(lab);
      const details = await waitFor("all sessions to be taken over", async () => {
        const found = await detailsOf(lab, node);
        return found.every(({ state, received }) => state === "up" && received > 3) ? found : undefined;
      });
      assert.deepEqual(
        details.map(({ flaps }) => flaps),
        [0, 0, 0, 0],
      );
      assert.deepEqual(await upSince(lab), before, `back, round ${round}`);
    }
  });

  it("a program that hangs is found down by all", async (lab) => {
    await signalProgram(node, "SIGSTOP");
    await waitFor("every router to find the node down", async () => {
      const peers = await frrPeers(lab);
      const down = peers.every(
        ({ status, diagnostic }) => status === "down" && diagnostic === "control detection time expired",
      );
      return down && (await birdState(lab)) === "Down" ? true : undefined;
    });
    await signalProgram(node, "SIGCONT");
    await everybodyUp(lab);
    for (const { state, flaps, diagnostic } of await detailsOf(lab, node))
      assert.deepEqual([state, flaps > 0, diagnostic], ["up", true, "none"]);
  });

  it("a program that leaves says AdminDown", async (lab) => {
    await endSpeaker(node, "SIGINT");
    const peers = await waitFor("FRR to hear of it", async () => {
      const found = await frrPeers(lab);
      return found.every(({ status }) => status === "down") ? found : undefined;
    });
    // Signalled, not found out: the peer did not have to wait.
    for (const peer of peers) assert.equal(peer.diagnostic, "neighbor signaled session down", JSON.stringify(peer));
    assert.equal(await birdState(lab), "Down");
  });
});

interface FrrPeer {
  readonly peer: string;
  readonly status: string;
  readonly diagnostic?: string;
  readonly "remote-diagnostic"?: string;
  readonly uptime?: number;
}

interface FrrCounters {
  readonly peer: string;
  readonly multihop: boolean;
  readonly "session-down": number;
  readonly "echo-packet-input": number;
  readonly "echo-packet-output": number;
}

/** When the promise resolves it has sessions and hears signals. */
async function startSpeaker(lab: TestLab, ...options: readonly string[]): Promise<Program> {
  const before = (await saidBy(lab, "changed")).length;
  const program = await startProgram(lab.lab.paths.programs, {
    host: "node",
    program: "speaker",
    namespace: memberPlan(lab.lab, "node").namespace,
    command: [process.execPath, SPEAKER, join(lab.lab.paths.root, "parked.json"), ...options],
    log: lab.lab.paths.log("node", "speaker"),
  });
  await waitFor("the speaker to begin", async () => (await saidBy(lab, "changed"))[before]);
  return program;
}

/** Its lines of one kind; none before its first start. */
async function saidBy(lab: TestLab, kind: "changed" | "details"): Promise<readonly string[]> {
  const text = await readFile(lab.lab.paths.log("node", "speaker"), "utf8").catch(() => "");
  return text.split("\n").filter((line) => line.startsWith(`{"${kind}"`) && line.endsWith("}"));
}

async function endSpeaker(program: Program, signal: NodeJS.Signals): Promise<void> {
  await signalProgram(program, signal);
  assert.equal(await waitForEnd(program, 15_000), "ended");
}

async function detailsOf(lab: TestLab, program: Program): Promise<readonly BfdDetails[]> {
  const before = (await saidBy(lab, "details")).length;
  await signalProgram(program, "SIGUSR2");
  const line = await waitFor("the speaker to answer", async () => (await saidBy(lab, "details"))[before]);
  return (JSON.parse(line) as { readonly details: readonly BfdDetails[] }).details;
}

async function everybodyUp(lab: TestLab): Promise<void> {
  await waitFor("both routers to find the node up", async () => {
    const peers = await frrPeers(lab);
    const up = peers.length === 3 && peers.every(({ status }) => status === "up");
    return up && (await birdState(lab)) === "Up" ? true : undefined;
  });
}

/** Since when each router has had the node up: unchanged, nothing has happened in between. FRR counts what went down instead. */
async function upSince(lab: TestLab): Promise<readonly string[]> {
  const counters = await frrCounters(lab);
  const peers = await frrPeers(lab);
  const frr = counters.map((one) => `${one.peer} went down ${one["session-down"]} times`);
  const bird = (await birdLine(lab))?.[3];
  return [...frr.toSorted(), ...peers.map(({ peer, status }) => `${peer} ${status}`).toSorted(), `bird since ${bird}`];
}

async function echoMode(
  lab: TestLab,
  command: "echo-mode" | "no echo-mode",
  peer: string = "10.91.0.11",
): Promise<void> {
  const local = peer.includes(":") ? "fd91::1" : "10.91.0.1";
  const commands = ["configure", "bfd", `peer ${peer} local-address ${local} interface eth0`, command];
  await lab.exec("frr", "vtysh", ...commands.flatMap((one) => ["-c", one]));
}

async function frrCounters(lab: TestLab): Promise<readonly FrrCounters[]> {
  const { stdout } = await lab.exec("frr", "vtysh", "-c", "show bfd peers counters json");
  return JSON.parse(stdout) as FrrCounters[];
}

async function frrPeers(lab: TestLab): Promise<readonly FrrPeer[]> {
  const { stdout } = await lab.exec("frr", "vtysh", "-c", "show bfd peers json");
  return JSON.parse(stdout) as FrrPeer[];
}

async function birdState(lab: TestLab): Promise<string | undefined> {
  return (await birdLine(lab))?.[2];
}

/** Address, interface, state, since, interval, timeout. */
async function birdLine(lab: TestLab): Promise<readonly string[] | undefined> {
  const { stdout } = await lab.exec("bird", "birdc", "show bfd sessions");
  return stdout
    .split("\n")
    .find((line) => line.startsWith("10.91.0.11"))
    ?.split(/\s+/);
}

function word(value: number): string {
  return value.toString(16).padStart(8, "0");
}
