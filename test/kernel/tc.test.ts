/** The tc programs: all of XDP's work where XDP is missing, what XDP left, and what backends here send back. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { arpRequest, frame, icmpError, quotedTuple, read } from "./frame.ts";
import {
  ADDRESS,
  CLIENT,
  CLIENT_MAC,
  expect,
  FAMILIES,
  LOCAL_POD,
  NODE,
  PROTOCOLS,
  REMOTE,
  toService,
  tuple,
} from "./scenario.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
before(() => {
  world = openWorld();
});
after(() => {
  world.close();
});
beforeEach(() => {
  world.reset();
});

for (const f of FAMILIES)
  for (const protocol of PROTOCOLS)
    describe(`${f} ${protocol}`, () => {
      const fromPod = (more: object = {}): Uint8Array =>
        frame({
          source: LOCAL_POD[f],
          destination: CLIENT[f],
          protocol,
          sourcePort: 8080,
          destinationPort: 40000,
          flags: "SA",
          ...more,
        });

      test("a device without XDP forwards to a backend elsewhere and translates the reply", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        const there = expect(world.run(toService(f, { protocol }), "ingress"), "redirect", "VERDICT_FORWARDED");
        assert.equal(tuple(there), `${NODE[f]}:${there.sourcePort} > ${REMOTE[f]}:8080`);
        assert.deepEqual([there.destinationMac, there.sourceMac, there.ttl], [world.nextHopMac, world.mac, 63]);
        const reply = frame({
          source: REMOTE[f],
          destination: NODE[f],
          protocol,
          sourcePort: 8080,
          destinationPort: there.sourcePort ?? 0,
          flags: "SA",
        });
        const back = expect(world.run(reply, "ingress"), "redirect", "VERDICT_REPLIED");
        assert.equal(tuple(back), `${ADDRESS[f]}:80 > ${CLIENT[f]}:40000`);
        assert.equal(back.destinationMac, CLIENT_MAC);
      });

      test("a packet that XDP left because of its neighbor is forwarded to the same backend", () => {
        const behind = f === "IPv4" ? "10.244.3.5" : "fd20:3::5";
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: behind, port: 8080 }] });
        assert.equal(world.run(toService(f, { protocol })).verdict, "VERDICT_LEFT_TO_TC");
        const out = expect(world.run(toService(f, { protocol }), "ingress"), "redirect", "VERDICT_FORWARDED");
        assert.equal(tuple(out), `${NODE[f]}:12288 > ${behind}:8080`);
      });

      test("a pod's reply becomes the frontend's and goes to the client's neighbor", () => {
        world.endpoint(LOCAL_POD[f]);
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: LOCAL_POD[f], port: 8080, local: true }],
        });
        assert.equal(world.run(toService(f, { protocol }), "ingress").action, "redirect");
        const out = expect(world.run(fromPod(), "pod"), "redirect", "VERDICT_REPLIED");
        assert.equal(tuple(out), `${ADDRESS[f]}:80 > ${CLIENT[f]}:40000`);
        assert.deepEqual([out.destinationMac, out.sourceMac, out.ttl], [CLIENT_MAC, world.mac, 63]);
      });

      test("a reply that came through the stack is translated as it leaves, its hop already taken", () => {
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: LOCAL_POD[f], port: 8080, local: true }],
        });
        assert.equal(
          expect(world.run(toService(f, { protocol }), "ingress"), "next", "VERDICT_DELIVERED_BY_STACK").ttl,
          64,
        );
        const out = expect(world.run(fromPod({ ttl: 63 }), "egress"), "next", "VERDICT_REPLIED");
        assert.equal(tuple(out), `${ADDRESS[f]}:80 > ${CLIENT[f]}:40000`);
        assert.equal(out.ttl, 63);
      });

      test("what a pod sends on its own is not touched", () => {
        world.endpoint(LOCAL_POD[f]);
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: LOCAL_POD[f], port: 8080, local: true }],
        });
        world.run(toService(f, { protocol }), "ingress");
        for (const more of [{ sourcePort: 8081 }, { destinationPort: 40001 }, { destination: NODE[f] }])
          for (const hook of ["pod", "egress"] as const) {
            const input = fromPod(more);
            const outcome = world.run(input, hook);
            assert.deepEqual([outcome.action, outcome.verdict], ["next", "VERDICT_FOREIGN"]);
            assert.deepEqual(Buffer.from(outcome.frame), Buffer.from(input));
          }
      });

      if (protocol === "tcp")
        test("a pod that the client reaches directly, from a port it used for a connection before, is not taken for the backend", () => {
          world.endpoint(LOCAL_POD[f]);
          world.frontend({
            address: ADDRESS[f],
            port: 80,
            protocol,
            backends: [{ address: LOCAL_POD[f], port: 8080, local: true }],
          });
          const replied = (flags: string): void => {
            expect(world.run(fromPod({ flags }), "pod"), "redirect", "VERDICT_REPLIED");
          };
          const untranslated = (flags: string): void => {
            const input = fromPod({ flags });
            const outcome = world.run(input, "pod");
            assert.deepEqual([outcome.action, outcome.verdict], ["next", "VERDICT_FOREIGN"], flags);
            assert.deepEqual(Buffer.from(outcome.frame), Buffer.from(input));
          };
          world.run(toService(f, { protocol, flags: "S" }), "ingress");
          for (const flags of ["SA", "SA", "A", "A", "FA", "A"]) replied(flags);
          for (const flags of ["SA", "A", "PA", "FA"]) untranslated(flags);
          world.run(toService(f, { protocol, flags: "S" }), "ingress");
          for (const flags of ["SA", "A"]) replied(flags);
        });

      test("a pod's error about a request reaches the client, quoting what the client sent", () => {
        world.endpoint(LOCAL_POD[f]);
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: LOCAL_POD[f], port: 8080, local: true }],
        });
        const there = world.run(toService(f, { protocol }), "ingress").frame;
        const [type, code] = f === "IPv4" ? [3, 3] : [1, 4];
        const out = expect(
          world.run(icmpError(LOCAL_POD[f], CLIENT[f], type, code, there), "pod"),
          "redirect",
          "VERDICT_TRANSLATED_ICMP",
        );
        assert.deepEqual([out.source, out.destination, out.destinationMac], [ADDRESS[f], CLIENT[f], CLIENT_MAC]);
        assert.equal(quotedTuple(out.icmp?.body ?? new Uint8Array()), `${CLIENT[f]}:40000 > ${ADDRESS[f]}:80`);
      });

      test("nobody to answer is told at once, by tc as by XDP", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [] });
        const out = expect(world.run(toService(f, { protocol }), "ingress"), "redirect", "VERDICT_REJECTED_NO_BACKEND");
        assert.equal(quotedTuple(out.icmp?.body ?? new Uint8Array()), `${CLIENT[f]}:40000 > ${ADDRESS[f]}:80`);
      });
    });

test("ARP is answered by tc where XDP is missing", () => {
  world.announce(ADDRESS.IPv4);
  const outcome = world.run(arpRequest(CLIENT_MAC, CLIENT.IPv4, ADDRESS.IPv4), "ingress");
  assert.deepEqual([outcome.action, outcome.verdict], ["redirect", "VERDICT_ANSWERED_ARP"]);
  assert.equal(read(world.run(toService("IPv4"), "ingress").frame).destination, ADDRESS.IPv4);
});
