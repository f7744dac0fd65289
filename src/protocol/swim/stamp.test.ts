import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { instant, later, type Instant } from "../../time/instant.ts";
import { SETTLE_MILLISECONDS } from "./config.ts";
import { initialStamp, isSettled, mayTake, stepStamp, type StampEvent, type StampState } from "./stamp.ts";

const OPTIONS = { graceMilliseconds: 60_000, marginMilliseconds: 1000, awayMilliseconds: 5000 };
const START = 100_000;

/** `clock` while the agents of all others have been seen, `unseen` while they have not. */
type Word = "clock" | "unseen" | "withdrawn" | "informed";
type Step = readonly [at: number, event: Word];

function eventOf(word: Word): StampEvent {
  return word === "withdrawn" || word === "informed" ? { type: word } : { type: "clock", othersSeen: word === "clock" };
}

/** Effects as text, with their times counted from the start. */
function run(found: number, steps: readonly Step[]): { readonly log: readonly string[]; readonly state: StampState } {
  let state = initialStamp(OPTIONS, instant(found), instant(START));
  const log: string[] = [];
  for (const [at, word] of steps) {
    const [next, effects] = stepStamp(state, eventOf(word), instant(START + at));
    state = next;
    for (const effect of effects)
      log.push(effect.type === "write" ? `${at} write ${effect.validUntil - START}` : `${at} ${effect.type}`);
  }
  return { log, state };
}

describe("a stamp", () => {
  const rows: { name: string; found: number; steps: readonly Step[]; log: readonly string[]; settled: boolean }[] = [
    {
      name: "left valid by an earlier run is renewed at once: a restart costs nothing",
      found: START + 5000,
      steps: [[0, "clock"]],
      log: ["0 write 60000"],
      settled: true,
    },
    {
      name: "left ten minutes ahead by a stop is renewed to the grace",
      found: START + 590_000,
      steps: [[0, "clock"]],
      log: ["0 write 60000"],
      settled: true,
    },
    {
      name: "is renewed every half second, not more often",
      found: START + 59_500,
      steps: [
        [0, "clock"],
        [499, "clock"],
        [500, "clock"],
        [501, "clock"],
        [1003, "clock"],
      ],
      log: ["0 write 60000", "500 write 60500", "1003 write 61003"],
      settled: true,
    },
    {
      name: "that was never written asks to withdraw first",
      found: 0,
      steps: [
        [0, "clock"],
        [500, "clock"],
        [90_000, "clock"],
      ],
      log: ["0 withdraw"],
      settled: false,
    },
    {
      name: "left with only the margin counts as run out",
      found: START + 1000,
      steps: [[0, "clock"]],
      log: ["0 withdraw"],
      settled: false,
    },
    {
      name: "left with a moment more than the margin does not",
      found: START + 1001,
      steps: [[0, "clock"]],
      log: ["0 write 60000"],
      settled: true,
    },
    {
      name: "is written when the announcements are withdrawn, and renewed while it settles",
      found: 0,
      steps: [
        [0, "clock"],
        [40, "withdrawn"],
        [540, "clock"],
        [839, "clock"],
      ],
      log: ["0 withdraw", "40 write 1040", "540 write 1540"],
      settled: false,
    },
    {
      name: "is settled when the others have had time to see it",
      found: 0,
      steps: [
        [0, "clock"],
        [40, "withdrawn"],
        [540, "clock"],
        [840, "clock"],
      ],
      log: ["0 withdraw", "40 write 1040", "540 write 1540", "840 write 60840", "840 settled"],
      settled: true,
    },
    {
      name: "is not settled before the agents of the others were seen, but renewed all the time",
      found: 0,
      steps: [
        [0, "clock"],
        [40, "withdrawn"],
        [840, "unseen"],
        [1340, "unseen"],
        [1840, "clock"],
      ],
      log: ["0 withdraw", "40 write 1040", "840 write 1840", "1340 write 2340", "1840 write 61840", "1840 settled"],
      settled: true,
    },
    {
      name: "that is settled does not care whether the others are seen",
      found: START + 5000,
      steps: [
        [0, "unseen"],
        [500, "unseen"],
      ],
      log: ["0 write 60000", "500 write 60500"],
      settled: true,
    },
    {
      name: "that ran out while we did not run asks to withdraw again",
      found: START + 5000,
      steps: [
        [0, "clock"],
        [59_500, "clock"],
        [60_000, "withdrawn"],
      ],
      log: ["0 write 60000", "59500 withdraw", "60000 write 61000"],
      settled: false,
    },
    {
      name: "that ran out while settling starts over",
      found: 0,
      steps: [
        [0, "clock"],
        [1, "withdrawn"],
        [1001, "clock"],
        [1002, "clock"],
      ],
      log: ["0 withdraw", "1 write 1001", "1001 withdraw"],
      settled: false,
    },
    {
      name: "does not care for a withdrawal nobody asked for",
      found: START + 5000,
      steps: [
        [0, "clock"],
        [10, "withdrawn"],
      ],
      log: ["0 write 60000"],
      settled: true,
    },
  ];
  for (const row of rows) {
    test(row.name, () => {
      const { log, state } = run(row.found, [[0, "informed"], ...row.steps]);
      assert.deepEqual(log, row.log);
      assert.equal(isSettled(state), row.settled);
    });
  }

  describe("of an agent that is not informed yet", () => {
    const waiting: { name: string; found: number; steps: readonly Step[]; log: readonly string[]; changes: boolean }[] =
      [
        {
          name: "is put off only when half of the grace is left",
          found: START + 45_000,
          steps: [
            [0, "clock"],
            [500, "clock"],
            [14_999, "clock"],
            [15_000, "clock"],
            [44_999, "clock"],
            [45_000, "clock"],
          ],
          log: ["15000 write 75000", "45000 write 105000"],
          changes: false,
        },
        {
          name: "that has none is not asked for, or the others would leave addresses to a node that does not know them",
          found: 0,
          steps: [
            [0, "clock"],
            [40, "withdrawn"],
            [540, "clock"],
            [90_000, "clock"],
          ],
          log: ["0 withdraw"],
          changes: false,
        },
        {
          name: "that has none is asked for when it is informed",
          found: 0,
          steps: [
            [0, "clock"],
            [40, "withdrawn"],
            [9000, "informed"],
            [9500, "clock"],
            [9800, "clock"],
          ],
          log: ["0 withdraw", "9000 write 10000", "9500 write 10500", "9800 write 69800", "9800 settled"],
          changes: true,
        },
        {
          name: "is asked for after the withdrawal, also where it is informed before that",
          found: 0,
          steps: [
            [0, "clock"],
            [20, "informed"],
            [40, "withdrawn"],
          ],
          log: ["0 withdraw", "40 write 1040"],
          changes: false,
        },
        {
          name: "goes on as before where it is informed before anybody can have missed it",
          found: START + 58_000,
          steps: [
            [0, "clock"],
            [500, "informed"],
            [1000, "clock"],
          ],
          log: ["500 write 60500", "1000 write 61000"],
          changes: true,
        },
        {
          name: "is renewed as always when it is informed later, but others are seen before it takes over more",
          found: START + 58_000,
          steps: [
            [0, "clock"],
            [501, "informed"],
            [1001, "clock"],
            [1301, "unseen"],
            [1801, "clock"],
          ],
          log: ["501 write 60501", "1001 write 61001", "1301 write 61301", "1801 write 61801", "1801 settled"],
          changes: true,
        },
        {
          name: "left ten minutes ahead tells when the agent before stopped",
          found: START + 590_000,
          steps: [
            [0, "clock"],
            [1, "informed"],
            [501, "clock"],
          ],
          log: ["1 write 60001", "501 write 60501"],
          changes: false,
        },
        {
          name: "runs out as any other while nobody looks after it",
          found: START + 5000,
          steps: [
            [0, "clock"],
            [59_001, "clock"],
            [59_050, "withdrawn"],
          ],
          log: ["0 write 60000", "59001 withdraw"],
          changes: false,
        },
      ];
    for (const row of waiting)
      test(row.name, () => {
        const { log, state } = run(row.found, row.steps);
        assert.deepEqual(log, row.log);
        assert.equal(mayTake(state), row.changes);
      });
  });

  test("is never valid again before the announcements of the time before were withdrawn, whatever pauses there are", () => {
    const steps = fc.array(
      fc.tuple(
        fc.oneof(fc.nat({ max: 900 }), fc.nat({ max: 90_000 })),
        fc.constantFrom<Word>("clock", "clock", "unseen", "withdrawn", "informed"),
      ),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(fc.nat({ max: 120_000 }), steps, (found, list) => {
        let now: Instant = instant(START);
        let state = initialStamp(OPTIONS, instant(START - 60_000 + found), now);
        let validUntil = state.validUntil;
        let mayAnnounceSince: Instant | undefined = now;
        let withdrawn = false;
        for (const [pause, type] of list) {
          now = later(now, pause);
          const hadRunOut = now >= validUntil;
          if (type === "withdrawn" && state.phase === "withdrawing") withdrawn = true;
          const [next, effects] = stepStamp(state, eventOf(type), now);
          state = next;
          for (const effect of effects) {
            if (effect.type === "withdraw") withdrawn = false;
            if (effect.type !== "write") continue;
            assert.ok(!hadRunOut || withdrawn, "a stamp that had run out was written without a withdrawal");
            validUntil = effect.validUntil;
            if (withdrawn) mayAnnounceSince = later(now, SETTLE_MILLISECONDS);
            withdrawn = false;
          }
          if (!isSettled(state)) continue;
          assert.ok(
            mayAnnounceSince !== undefined && now >= mayAnnounceSince,
            "settled before the others could see it",
          );
        }
      }),
    );
  });

  test("always asks to be woken in time, or waits for the withdrawal", () => {
    let [state] = stepStamp(initialStamp(OPTIONS, instant(0), instant(START)), { type: "informed" }, instant(START));
    let now = instant(START);
    const seen: string[] = ["withdraw"];
    for (let i = 0; i < 200; i += 1) {
      const [next, effects] = stepStamp(state, eventOf(state.wakeAt === undefined ? "withdrawn" : "clock"), now);
      state = next;
      seen.push(...effects.map(({ type }) => type));
      const { wakeAt } = state;
      if (wakeAt === undefined) continue;
      assert.ok(wakeAt > now && wakeAt <= later(now, 500));
      now = wakeAt;
    }
    assert.deepEqual(
      Object.entries(Object.groupBy(seen, (type) => type)).map(([type, list]) => [type, list?.length]),
      [
        ["withdraw", 1],
        ["write", 200],
        ["settled", 1],
      ],
    );
  });
});
