import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatProblem } from "../net/problem.ts";
import { EXCLUDED_INTERFACES, parseOptions, type AgentOptions } from "./config.ts";

const options: AgentOptions = { nodeName: "worker1", manifests: ["/etc/fairlead"] };

function problems(changed: Partial<AgentOptions>): string[] {
  const result = parseOptions({ ...options, ...changed });
  return "problems" in result ? result.problems.map(formatProblem) : [];
}

describe("parseOptions", () => {
  test("completes what is absent", () => {
    const config = parseOptions(options);
    assert.ok(!("problems" in config));
    assert.equal(config.bpffs, "/run/fairlead/bpf/worker1");
    assert.equal(config.socket, "/run/fairlead/worker1.sock");
    assert.equal(config.graceSeconds, 60);
    assert.equal(config.membershipPort, 7956);
    assert.equal(config.devices, undefined);
    assert.equal(config.leaveOnStop, false);
  });

  const refused: readonly (readonly [name: string, changed: Partial<AgentOptions>, problem: RegExp])[] = [
    [
      "a node name that would leave its folder",
      { nodeName: "../etc" },
      /^--node-name: "..\/etc" is not the name of a node$/,
    ],
    ["an empty node name", { nodeName: "" }, /^--node-name/],
    ["no manifests", { manifests: [] }, /^--manifests/],
    ["a grace of nothing", { graceSeconds: 0 }, /^--grace-seconds: 0 is less than 2$/],
    ["a grace that is no number", { graceSeconds: Number.NaN }, /^--grace-seconds/],
    ["a port beyond the last", { membershipPort: 65536 }, /^--membership-port/],
    ["half a flow", { flowsMax: 2048.5 }, /^--flows-max/],
    ["a flow table for nobody", { flowsMax: 0 }, /^--flows-max/],
    [
      "an expression that is none",
      { interfacesExclude: "(" },
      /^--interfaces-exclude: "\(" is not a regular expression$/,
    ],
    ["a collector without a port", { bmp: "collector" }, /^--bmp/],
    ["a listen address without a port", { metricsListen: "localhost" }, /^--metrics-listen/],
    ["a health address without a port", { healthListen: "localhost" }, /^--health-listen/],
    ["a DaemonSet without a cluster", { daemonset: "fairlead-agent" }, /^--daemonset: is for agents in a Kubernetes/],
    ["a log level nobody knows", { logLevel: "loud" }, /^--log-level: "loud" is none of trace, /],
  ];
  for (const [name, changed, problem] of refused) {
    test(`refuses ${name}`, () => {
      assert.equal(problems(changed).length, 1);
      assert.match(problems(changed).join(), problem);
    });
  }

  test("reports all problems together", () =>
    assert.equal(problems({ nodeName: "", manifests: [], logLevel: "x" }).length, 3));
});

test("the shipped exclusion list leaves ordinary devices alone", () => {
  const expression = new RegExp(EXCLUDED_INTERFACES);
  for (const name of ["eth0", "enp3s0", "bond0", "br0", "wlan0", "lo1"])
    assert.equal(expression.test(name), false, name);
  for (const name of ["lo", "veth1", "docker0", "cni0", "cali123", "flannel.1"])
    assert.equal(expression.test(name), true, name);
});
