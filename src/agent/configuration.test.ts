import assert from "node:assert/strict";
import { test } from "node:test";
import { l2AdvertisementSchema } from "../announce/objects.ts";
import { formatProblem, type Problem } from "../net/problem.ts";
import { ipAddressPoolSchema, type IPAddressPool } from "../pool/objects.ts";
import type { ConfigurationStateWrite, Snapshot } from "../source/source.ts";
import { ConfigurationJudge, ConfigurationReporter } from "./configuration.ts";
import { world } from "./world.fixture.ts";

const NAMESPACE = "metallb-system";
const problem: Problem = { subject: "BGPPeer metallb-system/a", path: "spec.myASN", message: "missing local ASN" };

function pool(name: string, range: string): readonly [string, IPAddressPool] {
  const metadata = { name, namespace: NAMESPACE };
  return [`${NAMESPACE}/${name}`, ipAddressPoolSchema.parse({ metadata, spec: { addresses: [range] } })];
}

const judged = (
  judge: ConfigurationJudge,
  changed: Partial<Snapshot>,
  bgp: readonly Problem[] = [],
): readonly string[] => judge.judge(world({}, changed).snapshot, bgp).map(formatProblem);

test("configuration: pools, layer 2 and BGP are judged together, and anew when they change", () => {
  const judge = new ConfigurationJudge();
  const twice = l2AdvertisementSchema.parse({
    metadata: { name: "a", namespace: NAMESPACE },
    spec: { ipAddressPools: ["p", "p"] },
  });
  const changed = {
    ipAddressPools: new Map([pool("p", "10.0.0.0/24"), pool("q", "10.0.0.0/25")]),
    l2Advertisements: new Map([[`${NAMESPACE}/a`, twice]]),
  };
  const texts = judged(judge, changed, [problem]);
  assert.match(texts[0] ?? "", /^IPAddressPool metallb-system\/q: spec.addresses\[0\]: 10.0.0.0\/25 overlaps/);
  assert.match(texts[1] ?? "", /^L2Advertisement metallb-system\/a: spec.ipAddressPools\[1\]: duplicate definition/);
  assert.deepEqual(texts.slice(2), ["BGPPeer metallb-system/a: spec.myASN: missing local ASN"]);
  assert.deepEqual(judged(judge, {}), []);
});

test("configuration: objects that could not be read count, Services among them do not", () => {
  const problems = [
    { subject: "a.yaml document 1 (BGPPeer metallb-system/x)", message: "unreadable" },
    { subject: "a.yaml document 2 (Service default/web)", message: "unreadable" },
  ];
  assert.deepEqual(judged(new ConfigurationJudge(), { problems }), [
    "a.yaml document 1 (BGPPeer metallb-system/x): unreadable",
  ]);
});

interface Recorded {
  readonly writes: ConfigurationStateWrite[];
  readonly reporter: ConfigurationReporter;
  failing: boolean;
}

function recorded(): Recorded {
  const writes: ConfigurationStateWrite[] = [];
  const writeConfigurationState = async (write: ConfigurationStateWrite): Promise<void> => {
    if (bench.failing) throw new Error("the disk is full");
    writes.push(write);
  };
  const bench = { writes, reporter: new ConfigurationReporter({ writeConfigurationState }), failing: false };
  return bench;
}

const at = (seconds: number): Date => new Date(Date.UTC(2026, 0, 1) + seconds * 1000);

test("configuration state: written when the verdict changes, and not when it does not", async () => {
  const { reporter, writes } = recorded();
  for (const [seconds, problems] of [
    [0, []],
    [1, []],
    [2, [problem]],
    [3, [problem]],
    [4, []],
  ] as const)
    await reporter.report(problems, at(seconds));
  assert.deepEqual(
    writes.map(({ result, conditions }) => [result, conditions[0]?.type, conditions[0]?.lastTransitionTime]),
    [
      ["Valid", "configReconcilerValid", at(0).toISOString()],
      ["Invalid", "configReconcilerValid", at(2).toISOString()],
      ["Valid", "configReconcilerValid", at(4).toISOString()],
    ],
  );
});

test("configuration state: deleted by somebody, it comes back with the same verdict", async () => {
  const { reporter, writes } = recorded();
  await reporter.report([problem], at(0));
  await reporter.report([problem], at(299));
  assert.equal(writes.length, 1);
  await reporter.report([problem], at(300));
  assert.deepEqual(writes[1], writes[0]);
});

test("configuration state: what could not be written is tried again", async () => {
  const bench = recorded();
  bench.failing = true;
  await assert.rejects(bench.reporter.report([], at(0)), /the disk is full/);
  bench.failing = false;
  await bench.reporter.report([], at(1));
  assert.equal(bench.writes.length, 1);
});
