/** Any bytes as a packet: a defined verdict, and everything that worked before works afterwards. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { arpRequest, frame, icmpError, neighborSolicitation, read } from "./frame.ts";
import { openWorld, type Hook, type World } from "./world.ts";

const RUNS = 1500;
const HOOKS: readonly Hook[] = ["xdp", "ingress", "egress", "pod"];
const POD = "10.244.1.5";
const UNTOUCHED: Readonly<Record<Hook, string>> = { xdp: "pass", ingress: "next", egress: "next", pod: "next" };
let world: World;

before(() => {
  world = openWorld();
  world.announce("192.168.10.0");
  world.announce("fd10:799::");
  for (const [address, remote] of [
    ["192.168.10.0", "10.244.2.5"],
    ["fd10:799::", "fd20:2::5"],
  ] as const)
    for (const protocol of ["tcp", "udp"] as const)
      world.frontend({ address, port: 80, protocol, backends: [{ address: remote, port: 8080 }] });
  world.endpoint(POD);
  world.frontend({
    address: "192.168.10.0",
    port: 81,
    protocol: "tcp",
    backends: [{ address: POD, port: 8080, local: true }],
  });
});
after(() => {
  world.close();
});

const SEEDS = (): readonly Uint8Array[] => {
  const v4 = { source: "192.168.10.250", destination: "192.168.10.0" };
  const v6 = { source: "fd10::250", destination: "fd10:799::" };
  const request = frame({ ...v4, source: "192.168.10.0", destination: "192.168.10.250" });
  return [
    frame(v4),
    frame({ ...v4, protocol: "udp" }),
    frame(v6),
    frame({ ...v6, protocol: "udp" }),
    frame({ ...v4, options: 12 }),
    frame({ ...v4, protocol: "udp", identification: 3, fragment: { offset: 0, more: true } }),
    frame({ ...v4, protocol: "udp", identification: 3, fragment: { offset: 24, more: false } }),
    frame({ ...v4, protocol: "icmp", payload: Uint8Array.of(8, 0, 0, 0, 0, 1, 0, 1) }),
    icmpError("192.168.10.250", "192.168.10.0", 3, 4, request),
    arpRequest("02:00:00:00:02:50", "192.168.10.250", "192.168.10.0"),
    neighborSolicitation("02:00:00:00:02:50", "fd10::250", "fd10:799::"),
    frame({ source: "10.244.2.5", destination: "192.168.10.201", sourcePort: 8080, destinationPort: 12288 }),
    frame({ ...v4, destinationPort: 81 }),
    frame({ source: POD, destination: v4.source, sourcePort: 8080, destinationPort: 40000, flags: "A" }),
    icmpError(POD, v4.source, 3, 3, frame({ ...v4, destination: POD, destinationPort: 8080 })),
  ];
};

function stillForwards(): void {
  for (const [source, destination] of [
    ["192.168.10.251", "192.168.10.0"],
    ["fd10::251", "fd10:799::"],
  ] as const) {
    const outcome = world.run(frame({ source, destination, sourcePort: 45000 }));
    assert.equal(outcome.verdict, "VERDICT_FORWARDED");
    read(outcome.frame);
  }
}

/** BPF_PROG_TEST_RUN takes no shorter frame: an Ethernet header for XDP, for tc an IP header besides. */
const BYTES_MIN: Readonly<Record<Hook, number>> = { xdp: 14, ingress: 54, egress: 54, pod: 54 };
const padded = (bytes: Uint8Array, hook: Hook): Uint8Array =>
  Uint8Array.from({ length: Math.max(bytes.length, BYTES_MIN[hook]) }, (_, i) => bytes[i] ?? 0);

test("random bytes get a defined verdict", () => {
  let ran = 0;
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 14, maxLength: 200 }),
      fc.constantFrom(0x0800, 0x86dd, 0x0806, 0x8100),
      fc.constantFrom(...HOOKS),
      (bytes, type, hook) => {
        const input = Uint8Array.from(bytes);
        input.set([type >> 8, type & 255], 12);
        assert.notEqual(world.run(padded(input, hook), hook).action, "aborted");
        ran += 1;
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(ran >= RUNS);
  stillForwards();
});

test("mutated good packets get a defined verdict, and a drop always has a name", () => {
  let ran = 0;
  const mutation = fc.record({ at: fc.nat(120), value: fc.nat(255) });
  fc.assert(
    fc.property(
      fc.nat(SEEDS().length - 1),
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      fc.nat(120),
      fc.boolean(),
      fc.constantFrom(...HOOKS),
      (seed, mutations, cut, cuts, hook) => {
        const input = Uint8Array.from(SEEDS()[seed] ?? []);
        for (const { at, value } of mutations) if (at < input.length) input[at] = value;
        const bytes = cuts ? input.subarray(0, Math.max(14, input.length - cut)) : input;
        const outcome = world.run(padded(bytes, hook), hook);
        assert.notEqual(outcome.action, "aborted");
        if (outcome.action === "drop") assert.match(outcome.verdict, /^DROP_/);
        if (outcome.verdict === "VERDICT_FOREIGN") assert.equal(outcome.action, UNTOUCHED[hook]);
        ran += 1;
      },
    ),
    { numRuns: RUNS * 4 },
  );
  assert.ok(ran >= RUNS * 4);
  stillForwards();
});
