/** Labs as networks, without any of our programs: what is up is connected, what is down has left nothing. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { promisify } from "node:util";
import { bringUp, openLab, takeDown } from "../../lab/lab.ts";
import type { Lab } from "../../lab/lab.ts";
import { LabError } from "../../lab/lab-error.ts";
import { neighborOf } from "../../lab/observe.ts";
import { listPrograms, sameProcess, startProgram } from "../../lab/programs.ts";
import { claim } from "../../lab/run-directory.ts";
import { waitFor } from "../../lab/wait.ts";
import { labSuite, loadScene, TestLab, traces, uniqueName } from "./harness.ts";

const execute = promisify(execFile);

async function raisePlain(name = uniqueName()): Promise<Lab> {
  return bringUp({ name, scene: await loadScene("l2"), agents: false, owner: "self", report: () => undefined });
}

for (const scene of ["l2", "bridged"]) {
  labSuite(`a lab of scene ${scene} without agents`, scene, { agents: false }, (it) => {
    const routes = [
      {
        name: "the client reaches a pod over IPv4",
        from: "client",
        address: "10.244.1.2",
        pod: "web-3",
        sees: /^192\.168\.10\.250$/,
      },
      {
        name: "the client reaches a pod over IPv6",
        from: "client",
        address: "fd00:10:244:2::3",
        pod: "web-6",
        sees: /^fc00:f853:ccd:e799::f250$/,
      },
      {
        name: "a node reaches its own pod",
        from: "worker1",
        address: "10.244.1.3",
        pod: "web-4",
        sees: /^(192\.168\.10\.202|10\.244\.1\.1)$/,
      },
      {
        name: "a node reaches another node's pod",
        from: "worker1",
        address: "10.244.2.2",
        pod: "web-5",
        sees: /^192\.168\.10\.202$/,
      },
      {
        name: "a node reaches another node's pod over IPv6",
        from: "worker1",
        address: "fd00:10:244:2::2",
        pod: "web-5",
        sees: /^fc00:f853:ccd:e799::f202$/,
      },
      {
        name: "a pod reaches its neighbour on the same node",
        from: "web-1",
        address: "10.244.0.3",
        pod: "web-2",
        sees: /^10\.244\.0\.2$/,
      },
      {
        name: "a pod reaches a pod on another node over IPv6",
        from: "web-1",
        address: "fd00:10:244:2::3",
        pod: "web-6",
        sees: /^fd00:10:244::2$/,
      },
    ];
    for (const { name, from, address, pod, sees } of routes) {
      it(name, async (lab) => {
        const result = await lab.ask({ protocol: "HTTP", address, port: 8080 }, from);
        assert.equal(result.pod_name, pod);
        assert.equal(result.pod_ip, address);
        assert.match(result.client_ip ?? "", sees);
      });
    }

    it("a pod answers over TCP and UDP as well", async (lab) => {
      for (const [protocol, port] of [
        ["TCP", 9000],
        ["UDP", 5353],
      ] as const) {
        const result = await lab.ask({ protocol, address: "10.244.0.2", port });
        assert.equal(result.pod_name, "web-1");
        assert.equal(result.client_port, result.sourcePort);
      }
    });

    it("a port on which a pod does not listen is refused", async (lab) => {
      const [result] = await lab.requests({ protocol: "TCP", address: "10.244.0.2", port: 8081 });
      assert.equal(result?.error, "ECONNREFUSED");
    });

    it("no packet leaves a host with an unfinished checksum", async (lab) => {
      for (const [host, device] of [
        ["client", "eth0"],
        ["worker1", "eth0"],
        ["web-1", "eth0"],
        ["lan", "p0"],
      ] as const) {
        const { stdout } = await lab.exec(host, "ethtool", "-k", device);
        assert.match(stdout, /^tx-checksumming: off/m, `${host} ${device}`);
      }
    });

    it("the far end of every node's device passes packets in XDP, the client's has no program", async (lab) => {
      const { stdout } = await lab.exec("lan", "ip", "-j", "link", "show", "type", "veth");
      const links = JSON.parse(stdout) as { ifname: string; xdp?: object }[];
      assert.deepEqual(
        links
          .filter((link) => link.xdp !== undefined)
          .map((link) => link.ifname)
          .toSorted(),
        ["p1", "p2", "p3"],
      );
    });
  });
}

labSuite("faults of a lab without agents", "l2", { agents: false }, (it) => {
  const toPod = { protocol: "HTTP", address: "10.244.1.2", port: 8080, timeoutMilliseconds: 500 } as const;

  it("a node that is down answers nothing and forwards nothing, and works again when it is up", async (lab) => {
    assert.equal((await lab.ask(toPod)).pod_name, "web-3");
    await lab.fault("worker1", "node-down");
    assert.equal((await lab.requests(toPod))[0]?.ok, false);
    assert.equal((await lab.requests({ ...toPod, address: "192.168.10.202", port: 1 }))[0]?.error, "timeout");
    assert.equal((await lab.requests({ ...toPod, address: "10.244.0.3" }, "web-1"))[0]?.ok, true);
    await lab.fault("worker1", "node-up");
    assert.equal((await lab.ask({ ...toPod, timeoutMilliseconds: 3000 })).pod_name, "web-3");
    assert.equal(
      (await lab.ask({ ...toPod, address: "fd00:10:244:1::2", timeoutMilliseconds: 3000 })).pod_name,
      "web-3",
    );
  });

  it("a link that is down carries nothing, and works again when it is up", async (lab) => {
    await lab.fault("worker1", "link-down");
    assert.equal((await lab.requests(toPod))[0]?.ok, false);
    const [link] = JSON.parse((await lab.exec("worker1", "ip", "-j", "link", "show", "dev", "eth0")).stdout) as {
      operstate: string;
      flags: string[];
    }[];
    assert.ok(link?.flags.includes("NO-CARRIER"), JSON.stringify(link));
    await lab.fault("worker1", "link-up", "eth0");
    assert.equal((await lab.ask({ ...toPod, timeoutMilliseconds: 3000 })).pod_name, "web-3");
  });

  const refusals = [
    {
      name: "a host that is not there",
      host: "worker9",
      fault: "node-down",
      device: undefined,
      problem: /no host "worker9" \(there are: lan, client, /,
    },
    {
      name: "an agent's fault on a host without one",
      host: "client",
      fault: "agent-kill",
      device: undefined,
      problem: /client runs no agent \(these do: kind-control-plane, worker1, worker2\)/,
    },
    {
      name: "an agent's fault where none runs",
      host: "worker1",
      fault: "agent-stop",
      device: undefined,
      problem: /No agent runs on worker1/,
    },
    {
      name: "switching off a pod",
      host: "web-1",
      fault: "node-down",
      device: undefined,
      problem: /"web-1" is not a host that can be switched off/,
    },
    {
      name: "a device that is not there",
      host: "worker1",
      fault: "link-down",
      device: "eth7",
      problem: /worker1 has no cable at "eth7" \(there are: eth0, fl-web-3, fl-web-4\)/,
    },
  ] as const;
  for (const { name, host, fault, device, problem } of refusals) {
    it(`${name} is refused with the names there are`, async (lab) => {
      await assert.rejects(
        lab.fault(host, fault, device),
        (error: unknown) => error instanceof LabError && problem.test(error.message),
      );
    });
  }
});

describe("a lab", () => {
  const names: string[] = [];
  after(async () => {
    for (const name of names) await takeDown(name);
  });
  async function raise(): Promise<Lab> {
    const lab = await raisePlain();
    names.push(lab.name);
    return lab;
  }

  test("leaves nothing when it is taken down, and taking it down again is no error", async () => {
    const lab = await raise();
    const programs = await listPrograms(lab.paths.programs);
    assert.ok(programs.length >= 7);
    assert.ok((await traces(lab.name)).length > 11);
    await takeDown(lab.name);
    assert.deepEqual(await traces(lab.name), []);
    for (const program of programs) assert.equal(await sameProcess(program), false, program.program);
    await takeDown(lab.name);
  });

  test("is taken down by two at once without an error", async () => {
    const lab = await raise();
    await Promise.all([takeDown(lab.name), takeDown(lab.name), takeDown(lab.name)]);
    assert.deepEqual(await traces(lab.name), []);
  });

  test("ends what somebody started in it by hand", async () => {
    const lab = await raise();
    const child = spawn("nsenter", [`--net=/run/netns/fl-${lab.name}-client`, "--", "sleep", "600"]);
    const ended = new Promise((resolve) => child.once("exit", (_status, signal) => resolve(signal)));
    await waitFor("the program to enter", async () => {
      const { stdout } = await execute("ip", ["netns", "pids", `fl-${lab.name}-client`]);
      return stdout.split("\n").includes(String(child.pid)) ? true : undefined;
    });
    await takeDown(lab.name);
    assert.equal(await ended, "SIGKILL");
  });

  test("does not kill a process that has got the pid of one of its programs", async () => {
    const lab = await raise();
    const bystander = await startProgram(lab.paths.programs, {
      host: "x",
      program: "y",
      namespace: undefined,
      command: ["sleep", "600"],
      log: "/dev/null",
    });
    await writeFile(join(lab.paths.programs, "x.y"), JSON.stringify({ ...bystander, startTime: "1" }));
    await takeDown(lab.name);
    assert.equal(await sameProcess(bystander), true);
    process.kill(bystander.pid, "SIGKILL");
  });

  test("has a neighbour of the same scene with the same addresses, and neither notices the other", async () => {
    const [one, two] = [await raise(), await raise()];
    for (const lab of [one, two]) await new TestLab(lab).ask({ protocol: "HTTP", address: "10.244.1.2", port: 8080 });
    await takeDown(one.name);
    assert.equal(
      (await new TestLab(two).ask({ protocol: "HTTP", address: "10.244.2.2", port: 8080 })).pod_name,
      "web-5",
    );
    assert.equal(await neighborOf(two, "client", "192.168.10.203"), "worker2");
  });

  test("that is up keeps its name: a second one is refused and says what to do", async () => {
    const lab = await raise();
    await assert.rejects(
      raisePlain(lab.name),
      (error: unknown) => error instanceof LabError && /already up: "fairlead lab down --name/.test(error.message),
    );
    assert.ok((await openLab(lab.name)) !== undefined);
    assert.equal(
      (await new TestLab(lab).ask({ protocol: "HTTP", address: "10.244.1.2", port: 8080 })).pod_name,
      "web-3",
    );
  });

  test("of which only namespaces are left can be started again", async () => {
    const name = uniqueName();
    names.push(name);
    await execute("ip", ["netns", "add", `fl-${name}-client`]);
    await mkdir("/run/netns", { recursive: true });
    const lab = await raisePlain(name);
    assert.equal(
      (await new TestLab(lab).ask({ protocol: "HTTP", address: "10.244.1.2", port: 8080 })).pod_name,
      "web-3",
    );
  });

  test("whose start fails is removed, and the failure says what failed", async () => {
    const name = uniqueName();
    names.push(name);
    const scene = await loadScene("l2");
    const broken = {
      ...scene,
      pods: scene.pods.map((pod) => ({
        ...pod,
        listen: [
          { protocol: "HTTP" as const, port: 8080 },
          { protocol: "TCP" as const, port: 8080 },
        ],
      })),
    };
    await assert.rejects(
      bringUp({ name, scene: broken, agents: false, owner: "self", report: () => undefined }),
      /The server of pod web-\d does not listen:[^]*EADDRINUSE/,
    );
    assert.deepEqual(await traces(name), []);
  });

  test("that somebody else is starting is not taken for a left-over", async () => {
    const name = uniqueName();
    names.push(name);
    const child = spawn("sleep", ["600"]);
    const startTime = (await readFile(`/proc/${child.pid}/stat`, "utf8")).split(") ")[1]?.split(" ")[19] ?? "";
    const record = {
      name,
      startedAt: "",
      phase: "starting",
      owner: { pid: child.pid ?? 0, startTime },
      agents: false,
      agentArguments: [],
    } as const;
    assert.equal(await claim({ ...record, agentArguments: [] }), true);
    await raise();
    assert.ok((await traces(name)).length > 0);
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    await raise();
    assert.deepEqual(await traces(name), []);
  });
});
