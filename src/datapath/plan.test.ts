import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address, formatAddress } from "../net/address.ts";
import type { Frontend } from "../service/frontends.ts";
import { applyForwarding } from "./apply.ts";
import { planSize } from "./draft.ts";
import { loadBackend } from "./encode.ts";
import { filterBits, filterHash } from "./filter.ts";
import { memoryPorts } from "./memory-ports.fixture.ts";
import { planForwarding } from "./plan.ts";
import { QUARANTINE_MS } from "./regions.ts";
import {
  anySequenceOfWishes,
  bench as benchOn,
  frontend,
  pod,
  SEED,
  served,
  wanted,
  type Bench,
  type Desired,
} from "./tables.fixture.ts";

const SIZES = { frontends: 64, backends: 64, slots: 256, maglev: 8192 };
const bench = (sizes = SIZES): Bench => benchOn(memoryPorts(sizes));

const A = pod("10.0.0.1");
const B = pod("10.0.0.2");
const LOCAL = pod("10.1.0.1");

describe("planForwarding", () => {
  test("an empty wish on empty maps is no work", () => assert.equal(planSize(bench().to(new Map())), 0));

  test("serves a frontend, and claims its address for the refusal of other ports", () => {
    const b = bench();
    b.to(wanted({ web: [frontend("192.168.10.1", [A, LOCAL])] }));
    assert.deepEqual(served(b.ports), {
      "192.168.10.1 0/any": "random flags=1: ",
      "192.168.10.1 80/TCP": "maglev211 flags=0: 10.0.0.1:8080 active, 10.1.0.1:8080 active local",
    });
    assert.deepEqual(b.problems(), []);
  });

  const single = [
    { name: "no backend leaves no slot", frontend: frontend("10.9.0.1", []), row: "random flags=0: " },
    {
      name: "a backend that is not ready gets no slot",
      frontend: frontend("10.9.0.1", [A, pod("10.0.0.2", "notReady")]),
      row: "maglev101 flags=0: 10.0.0.1:8080 active",
    },
    {
      name: "only backends that are not ready leave no slot",
      frontend: frontend("10.9.0.1", [pod("10.0.0.2", "notReady")]),
      row: "random flags=0: ",
    },
    {
      name: "a terminating backend serves when nothing active is left",
      frontend: frontend("10.9.0.1", [pod("10.0.0.2", "terminating"), pod("10.0.0.3", "notReady")]),
      row: "maglev101 flags=0: 10.0.0.2:8080 terminating",
    },
    {
      name: "a terminating backend gets no slot beside an active one",
      frontend: frontend("10.9.0.1", [A, pod("10.0.0.2", "terminating")]),
      row: "maglev101 flags=0: 10.0.0.1:8080 active",
    },
    {
      name: "random needs no table",
      frontend: frontend("10.9.0.1", [A, B], { algorithm: "random" }),
      row: "random flags=0: 10.0.0.1:8080 active, 10.0.0.2:8080 active",
    },
    {
      name: "the Local policy is a flag",
      frontend: frontend("10.9.0.1", [LOCAL], { externalTrafficPolicy: "Local" }),
      row: "maglev101 flags=2: 10.1.0.1:8080 active local",
    },
    {
      name: "IPv6 and UDP are served alike",
      frontend: frontend("fd00::1", [{ ...A, address: address("fd00:10::1"), protocol: "UDP" }], {
        protocol: "UDP",
        algorithm: "random",
      }),
      row: "random flags=0: fd00:10::1:8080 active",
    },
  ];
  for (const row of single) {
    test(row.name, () => {
      const b = bench();
      b.to(wanted({ web: [row.frontend] }));
      assert.equal(served(b.ports)[`${formatAddress(row.frontend.address)} 80/${row.frontend.protocol}`], row.row);
    });
  }

  test("the same wish again writes nothing", () => {
    const b = bench();
    const desired = wanted({ web: [frontend("192.168.10.1", [A, B])] });
    b.to(desired);
    assert.equal(planSize(b.to(desired)), 0);
    assert.equal(planSize(b.to(wanted({ web: [frontend("192.168.10.1", [A, B])] }))), 0);
  });

  test("a restart with the same wish writes nothing and moves no id", () => {
    const b = bench();
    const services = (): Desired =>
      wanted({
        web: [frontend("192.168.10.1", [A, B])],
        dns: [frontend("192.168.10.2", [B, LOCAL]), frontend("192.168.10.2", [B], { port: 443 })],
      });
    b.to(services());
    const ids = [...b.tables.services].map(([name, { id }]) => [name, id]);
    b.restart();
    assert.equal(planSize(b.to(new Map([...services()].toReversed()))), 0);
    assert.deepEqual([...b.tables.services].map(([name, { id }]) => [name, id]).toReversed(), ids);
  });

  test("a restart gives up what nobody wants any more", () => {
    const b = bench();
    b.to(wanted({ web: [frontend("192.168.10.1", [A])], old: [frontend("192.168.10.2", [B])] }));
    b.restart();
    const plan = b.to(wanted({ web: [frontend("192.168.10.1", [A])] }));
    assert.equal(plan.frontendsGone.length, 2);
    assert.equal(plan.backendsGone.length, 1);
    assert.deepEqual(filterBits(b.ports.filter, "frontends"), [filterHash(address("192.168.10.1"))]);
    assert.deepEqual(Object.keys(served(b.ports)), ["192.168.10.1 0/any", "192.168.10.1 80/TCP"]);
  });

  test("a restart replaces a Maglev table that is not the one we would write", () => {
    const b = bench();
    b.to(wanted({ web: [frontend("192.168.10.1", [A, B])] }));
    b.ports.maglev.window(0, b.ports.maglev.length).fill(0);
    b.restart();
    const plan = planForwarding(b.tables, wanted({ web: [frontend("192.168.10.1", [A, B])] }), { seed: SEED, now: 0 });
    assert.equal(plan.maglev.length, 1);
    applyForwarding(plan, b.ports, SEED);
    assert.equal(Object.keys(served(b.ports)).length, 2);
  });

  test("a restart survives rows that point nowhere", () => {
    const b = bench();
    b.to(wanted({ web: [frontend("192.168.10.1", [A, B])] }));
    b.ports.slots.window(0, b.ports.slots.length).fill(0xffff_ffff);
    b.restart();
    const plan = planForwarding(b.tables, wanted({ web: [frontend("192.168.10.1", [A, B])] }), { seed: SEED, now: 0 });
    applyForwarding(plan, b.ports, SEED);
    assert.equal(
      served(b.ports)["192.168.10.1 80/TCP"],
      "maglev211 flags=0: 10.0.0.1:8080 active, 10.0.0.2:8080 active",
    );
  });

  test("one endpoint more writes one backend, one table and one row, whatever else there is", () => {
    const b = bench();
    const others = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`s${i}`, [frontend(`10.8.0.${i}`, [A])]]));
    b.to(wanted({ ...others, web: [frontend("192.168.10.1", [A])] }));
    const plan = b.to(wanted({ ...others, web: [frontend("192.168.10.1", [A, B])] }));
    assert.equal(plan.backends.length, 1);
    assert.equal(plan.slots.length, 1);
    assert.equal(plan.maglev.length, 1);
    assert.equal(plan.frontends.length, 1);
    assert.equal(planSize(plan), 4);
  });

  test("a removed backend is gone at once and its row rests before it stands for another", () => {
    const b = bench({ ...SIZES, backends: 3 });
    b.to(wanted({ web: [frontend("192.168.10.1", [A, B])] }));
    const before = loadBackend(b.ports.backends, 2);
    b.to(wanted({ web: [frontend("192.168.10.1", [A])] }));
    assert.equal(loadBackend(b.ports.backends, 2), undefined);
    const C = pod("10.0.0.3");
    b.to(wanted({ web: [frontend("192.168.10.1", [A, C])] }));
    assert.match(b.problems().join(), /Service web: .*1 of 2 backends found no room in the map "backends"/);
    b.now += QUARANTINE_MS;
    b.to(b.tables.services.size > 0 ? new Map([["web", [frontend("192.168.10.1", [A, C])]]]) : new Map());
    assert.deepEqual(b.problems(), []);
    const after = loadBackend(b.ports.backends, 2);
    assert.equal(after?.generation, (before?.generation ?? 0) + 1);
  });

  test("a backend of two Services has one row, in the best state anyone sees", () => {
    const b = bench();
    b.to(
      wanted({ web: [frontend("192.168.10.1", [A])], raw: [frontend("192.168.10.2", [pod("10.0.0.1", "notReady")])] }),
    );
    assert.equal(b.tables.rows.count, 1);
    assert.equal(b.tables.rows.get(1)?.state, 1);
    b.to(wanted({ raw: [frontend("192.168.10.2", [pod("10.0.0.1", "notReady")])] }));
    assert.equal(loadBackend(b.ports.backends, 1)?.state, 2);
  });

  test("a backend that becomes unready leaves the slots and keeps its row", () => {
    const b = bench();
    b.to(wanted({ web: [frontend("192.168.10.1", [A, B])] }));
    const plan = b.to(wanted({ web: [frontend("192.168.10.1", [A, pod("10.0.0.2", "notReady")])] }));
    assert.deepEqual(
      plan.backends.map(({ id, fresh, state }) => [id, fresh, state]),
      [[2, false, 2]],
    );
    assert.deepEqual(plan.backendsGone, []);
  });

  test("while not everything is known, what nobody wants stays, and what is wanted is served", () => {
    const b = bench();
    b.to(wanted({ web: [frontend("192.168.10.1", [A])], old: [frontend("192.168.10.2", [B])] }));
    b.restart();
    const web = [frontend("192.168.10.1", [LOCAL])];
    b.to(wanted({ web }), { keep: true });
    assert.equal(served(b.ports)["192.168.10.2 80/TCP"], "maglev101 flags=0: 10.0.0.2:8080 active");
    assert.equal(served(b.ports)["192.168.10.1 80/TCP"], "maglev101 flags=0: 10.1.0.1:8080 active local");
    b.to(wanted({ web }));
    assert.deepEqual(Object.keys(served(b.ports)), ["192.168.10.1 0/any", "192.168.10.1 80/TCP"]);
    assert.equal(b.tables.rows.count, 1);
  });

  test("a table kept larger than needed gives way before anything is balanced at random", () => {
    const b = bench({ ...SIZES, maglev: 1009 + 503 });
    const pods = Array.from({ length: 10 }, (_, i) => pod(`10.0.0.${i + 1}`));
    b.to(wanted({ web: [frontend("192.168.10.1", pods)] }));
    b.to(wanted({ web: [frontend("192.168.10.1", pods.slice(0, 5))] }));
    assert.match(served(b.ports)["192.168.10.1 80/TCP"] ?? "", /^maglev503 /);
    assert.deepEqual(b.problems(), []);
  });

  test("an address shared by two Services stays ours until both left", () => {
    const b = bench();
    const web = [frontend("192.168.10.1", [A])];
    const ssh = [frontend("192.168.10.1", [B], { port: 22, service: "default/ssh" })];
    b.to(wanted({ web, ssh }));
    b.to(wanted({ ssh }));
    assert.deepEqual(Object.keys(served(b.ports)).toSorted(), ["192.168.10.1 0/any", "192.168.10.1 22/TCP"]);
    b.to(wanted({}));
    assert.deepEqual(served(b.ports), {});
    assert.deepEqual(filterBits(b.ports.filter, "frontends"), []);
  });

  test("two Services that claim one port: the first keeps it, the second is told, and gets it when the first leaves", () => {
    const b = bench();
    const first = [frontend("192.168.10.1", [A])];
    const second = [frontend("192.168.10.1", [B])];
    b.to(wanted({ first, second }));
    assert.deepEqual(b.problems(), [
      "Service second: 192.168.10.1 80/TCP already belongs to Service first; give one of them another address or port",
    ]);
    assert.match(served(b.ports)["192.168.10.1 80/TCP"] ?? "", /10\.0\.0\.1/);
    b.to(wanted({ second }));
    assert.deepEqual(b.problems(), []);
    assert.match(served(b.ports)["192.168.10.1 80/TCP"] ?? "", /10\.0\.0\.2/);
  });

  const full = [
    {
      name: "frontends",
      sizes: { ...SIZES, frontends: 5 },
      problem: /Service s2: .*"frontends" is full \(5 rows\)/,
      served: 4,
    },
    {
      name: "slots",
      sizes: { ...SIZES, slots: 5 },
      problem: /Service s2: 80\/TCP is rejected: no room for 2 rows in the map "slots"/,
      served: 6,
    },
    {
      name: "maglev",
      sizes: { ...SIZES, maglev: 450 },
      problem: /Service s2: 80\/TCP is balanced at random: no room for a table of 211 in the map "maglev"/,
      served: 6,
    },
    {
      name: "backends",
      sizes: { ...SIZES, backends: 6 },
      problem: /Service s2: .*1 of 2 backends found no room in the map "backends"/,
      served: 6,
    },
  ];
  for (const row of full) {
    test(`a full map ${row.name}: the Service that finds no room is named, the others are served`, () => {
      const b = bench(row.sizes);
      const service = (i: number): readonly Frontend[] => [
        frontend(`192.168.10.${i}`, [pod(`10.0.${i}.1`), pod(`10.0.${i}.2`)]),
      ];
      b.to(wanted({ s0: service(0), s1: service(1), s2: service(2) }));
      assert.equal(b.problems().length, 1);
      assert.match(b.problems().join(), row.problem);
      assert.equal(Object.keys(served(b.ports)).length, row.served);
      assert.match(served(b.ports)["192.168.10.1 80/TCP"] ?? "", /^maglev211.*10\.0\.1\.1.*10\.0\.1\.2/);
      b.now += QUARANTINE_MS;
      b.to(wanted({ s0: service(0), s2: service(2) }));
      b.now += QUARANTINE_MS;
      b.to(
        new Map(
          b.tables.services.get("s2") === undefined
            ? []
            : [
                ["s0", service(0)],
                ["s2", service(2)],
              ],
        ),
      );
      assert.deepEqual(b.problems(), [], "room was made and is used");
    });
  }
});

anySequenceOfWishes(() => memoryPorts({ frontends: 32, backends: 64, slots: 200, maglev: 12_000 }), 150);
