/** Packets in, verdict and packet out: the XDP program on a real kernel, run by BPF_PROG_TEST_RUN. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { frame, icmpError, quotedTuple, read } from "./frame.ts";
import {
  ADDRESS,
  CLIENT,
  CLIENT_MAC,
  expect,
  FAMILIES,
  FOREIGN_POD,
  LOCAL_POD,
  NODE,
  OTHER_REMOTE,
  PROTOCOLS,
  REMOTE,
  SECOND,
  toService,
  tuple,
  untouched,
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
      test("a backend elsewhere gets the packet from this node's address, and the client the reply from the frontend's", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        const there = expect(world.run(toService(f, { protocol })), "tx", "VERDICT_FORWARDED");
        const port = there.sourcePort ?? 0;
        assert.equal(tuple(there), `${NODE[f]}:${port} > ${REMOTE[f]}:8080`);
        assert.ok(port >= 12288 && port < 12288 + 16384, `source port ${port}`);
        assert.equal(there.destinationMac, world.nextHopMac);
        assert.equal(there.sourceMac, world.mac);
        assert.equal(there.ttl, 63);
        assert.equal(new TextDecoder().decode(there.payload), "fairlead");

        const reply = frame({
          sourceMac: world.nextHopMac,
          destinationMac: world.mac,
          source: REMOTE[f],
          destination: NODE[f],
          protocol,
          sourcePort: 8080,
          destinationPort: port,
          flags: "SA",
        });
        const back = expect(world.run(reply), "tx", "VERDICT_REPLIED");
        assert.equal(tuple(back), `${ADDRESS[f]}:80 > ${CLIENT[f]}:40000`);
        assert.equal(back.destinationMac, CLIENT_MAC);
        assert.equal(back.ttl, 63);
      });

      test("a pod here whose veth is ours gets the packet with the client's address", () => {
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: LOCAL_POD[f], port: 8080, local: true }],
        });
        world.endpoint(LOCAL_POD[f]);
        const out = expect(world.run(toService(f, { protocol })), "pass", "VERDICT_DELIVERED");
        assert.equal(tuple(out), `${CLIENT[f]}:40000 > ${LOCAL_POD[f]}:8080`);
        assert.equal(out.ttl, 63);
      });

      test("a pod here on a foreign pod network is left to the stack, which takes the hop itself", () => {
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: FOREIGN_POD[f], port: 8080, local: true }],
        });
        const out = expect(world.run(toService(f, { protocol })), "pass", "VERDICT_DELIVERED_BY_STACK");
        assert.equal(tuple(out), `${CLIENT[f]}:40000 > ${FOREIGN_POD[f]}:8080`);
        assert.equal(out.ttl, 64);
      });

      test("without a backend the client is told at once", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [] });
        const out = expect(world.run(toService(f, { protocol })), "tx", "VERDICT_REJECTED_NO_BACKEND");
        assert.deepEqual([out.source, out.destination, out.destinationMac], [ADDRESS[f], CLIENT[f], CLIENT_MAC]);
        assert.deepEqual([out.icmp?.type, out.icmp?.code], f === "IPv4" ? [3, 3] : [1, 4]);
        assert.equal(quotedTuple(out.icmp?.body ?? new Uint8Array()), `${CLIENT[f]}:40000 > ${ADDRESS[f]}:80`);
      });

      test("a port that no Service has on the address is refused", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        const out = expect(
          world.run(toService(f, { protocol, destinationPort: 81 })),
          "tx",
          "VERDICT_REJECTED_UNKNOWN_PORT",
        );
        assert.equal(quotedTuple(out.icmp?.body ?? new Uint8Array()), `${CLIENT[f]}:40000 > ${ADDRESS[f]}:81`);
      });

      test("the same port of the other protocol is refused", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        expect(
          world.run(toService(f, { protocol: protocol === "tcp" ? "udp" : "tcp" })),
          "tx",
          "VERDICT_REJECTED_UNKNOWN_PORT",
        );
      });

      test("a flow keeps its backend when the choice would now be another", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        const first = expect(world.run(toService(f, { protocol })), "tx", "VERDICT_FORWARDED");
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: OTHER_REMOTE[f], port: 8080 }],
        });
        const second = expect(world.run(toService(f, { protocol, flags: "A" })), "tx", "VERDICT_FORWARDED");
        assert.equal(tuple(second), tuple(first));
      });

      test("a flow whose backend is gone gets another at once", () => {
        const gone = world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: REMOTE[f], port: 8080 }],
        });
        world.run(toService(f, { protocol }));
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: OTHER_REMOTE[f], port: 8080 }],
        });
        world.backendState(gone[0] ?? 0, "BACKEND_GONE");
        const out = expect(world.run(toService(f, { protocol, flags: "A" })), "tx", "VERDICT_FORWARDED");
        assert.equal(out.destination, OTHER_REMOTE[f]);
      });

      test("a row given to another backend does not catch the old one's flows", () => {
        const [id = 0] = world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: REMOTE[f], port: 8080 }],
        });
        world.run(toService(f, { protocol }));
        world.giveBackend(id, OTHER_REMOTE[f], 9090);
        const out = expect(world.run(toService(f, { protocol, flags: "A" })), "tx", "VERDICT_FORWARDED");
        assert.equal(`${out.destination}:${out.destinationPort}`, `${OTHER_REMOTE[f]}:9090`);
      });

      test("in maps that are new the ports towards a backend do not begin where they began last: it may rest on those", () => {
        const [id = 0] = world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: REMOTE[f], port: 8080 }],
        });
        const portOf = (sourcePort: number): number =>
          expect(world.run(toService(f, { protocol, sourcePort })), "tx", "VERDICT_FORWARDED").sourcePort ?? 0;
        const pairs = Array.from({ length: 8 }, (_, n) => {
          world.forgetPorts(id);
          return [portOf(41000 + 2 * n), portOf(41001 + 2 * n)] as const;
        });
        const begun = pairs.map(([first]) => first);
        assert.ok(new Set(begun).size > 4, `begun at ${begun.join(", ")}`);
        assert.ok(begun.every((port) => port >= 12288 && port < 12288 + 16384));
        for (const [first, second] of pairs) assert.equal(second, first === 28671 ? 12288 : first + 1);
      });

      test("two addresses in front of one pod do not mix up a client that uses the same port for both", () => {
        world.endpoint(LOCAL_POD[f]);
        for (const address of [ADDRESS[f], SECOND[f]])
          world.frontend({
            address,
            port: 80,
            protocol,
            backends: [{ address: LOCAL_POD[f], port: 8080, local: true }],
          });
        const first = expect(world.run(toService(f, { protocol })), "pass", "VERDICT_DELIVERED");
        const second = expect(
          world.run(toService(f, { protocol, destination: SECOND[f] })),
          "pass",
          "VERDICT_DELIVERED",
        );
        assert.deepEqual([first.source, first.sourcePort], [CLIENT[f], 40000]);
        assert.equal(second.source, CLIENT[f]);
        assert.notEqual(second.sourcePort, 40000);
      });

      test("the last hop a packet may take is not taken", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        const outcome = world.run(toService(f, { protocol, ttl: 1 }));
        assert.deepEqual([outcome.action, outcome.verdict], ["drop", "DROP_TTL_EXPIRED"]);
      });

      test("a backend to which no route leads is a drop with that name", () => {
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: f === "IPv4" ? "198.18.0.1" : "2001:db8:dead::1", port: 8080 }],
        });
        const outcome = world.run(toService(f, { protocol }));
        assert.deepEqual([outcome.action, outcome.verdict], ["drop", "DROP_NO_ROUTE"]);
      });

      test("a backend behind an unresolved neighbor is left to tc, untouched", () => {
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: f === "IPv4" ? "10.244.3.5" : "fd20:3::5", port: 8080 }],
        });
        const input = toService(f, { protocol });
        untouched(world.run(input), input, "VERDICT_LEFT_TO_TC");
      });

      test("an error about the reply reaches the backend, quoting what the backend sent", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        const there = read(world.run(toService(f, { protocol })).frame);
        const reply = frame({
          source: ADDRESS[f],
          destination: CLIENT[f],
          protocol,
          sourcePort: 80,
          destinationPort: 40000,
          flags: "A",
        });
        const [type, code] = f === "IPv4" ? [3, 4] : [2, 0];
        const out = expect(
          world.run(icmpError(CLIENT[f], ADDRESS[f], type, code, reply)),
          "tx",
          "VERDICT_TRANSLATED_ICMP",
        );
        assert.deepEqual([out.source, out.destination], [NODE[f], REMOTE[f]]);
        assert.equal(
          quotedTuple(out.icmp?.body ?? new Uint8Array()),
          `${REMOTE[f]}:8080 > ${NODE[f]}:${there.sourcePort}`,
        );
      });

      test("an error about the request reaches the client, quoting what the client sent", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        const there = world.run(toService(f, { protocol })).frame;
        const [type, code] = f === "IPv4" ? [3, 3] : [1, 4];
        const out = expect(
          world.run(icmpError(REMOTE[f], NODE[f], type, code, there)),
          "tx",
          "VERDICT_TRANSLATED_ICMP",
        );
        assert.deepEqual([out.source, out.destination, out.destinationMac], [ADDRESS[f], CLIENT[f], CLIENT_MAC]);
        assert.equal(quotedTuple(out.icmp?.body ?? new Uint8Array()), `${CLIENT[f]}:40000 > ${ADDRESS[f]}:80`);
      });
    });
