/** Scenes with routers, without any of our programs: the daemons run, each in its host's namespace, with the scene's files unchanged. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { labSuite } from "./harness.ts";

labSuite("the scene bgp as a network", "bgp", { agents: false, capture: false }, (it) => {
  it("the router runs examples/router/frr.conf as it is", async (lab) => {
    const config = await readFile("examples/router/frr.conf", "utf8");
    const running = await lab.exec("router", "vtysh", "-c", "show running-config");
    assert.equal(running.status, 0, running.stderr);
    for (const line of config.split("\n").filter((each) => each !== "" && !each.startsWith("!")))
      assert.ok(running.stdout.split("\n").includes(line), `${line} is not in\n${running.stdout}`);
  });

  it("every host reaches every other across the router, and the pods behind the nodes", async (lab) => {
    for (const from of ["client", "master1", "router"]) {
      const answer = await lab.ask({ protocol: "HTTP", address: "10.244.2.2", port: 8080 }, from);
      assert.equal(answer.pod_name, "web-3", from);
    }
    // BGP's own port, at the address that examples/bgp names, and over IPv6.
    for (const [from, to] of [
      ["worker1", "172.16.1.1"],
      ["client", "fd00:16:2::1"],
    ] as const) {
      const connected = await lab.exec(from, "bash", "-c", `: </dev/tcp/${to}/179`);
      assert.equal(connected.status, 0, `${from} does not reach ${to}\n${connected.stderr}`);
    }
  });

  it("a router that loses its power comes back with its daemons and its configuration", async (lab) => {
    await lab.fault("router", "node-down");
    assert.notEqual((await lab.exec("router", "vtysh", "-c", "show bgp summary")).status, 0);
    await lab.fault("router", "node-up");
    const summary = await lab.exec("router", "vtysh", "-c", "show bgp summary");
    assert.match(summary.stdout, /172\.16\.2\.21 +4 +7776/);
  });
});
