import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { address } from "../net/address.ts";
import { BadRequest } from "../observe/api.ts";
import type { LogEvent } from "../observe/log.ts";
import { established, sessionTo, speakerAt, until } from "../protocol/bgp/driver.fixture.ts";
import type { Speaker } from "../protocol/bgp/speaker.ts";
import type { Traffic } from "../protocol/bgp/traffic.ts";
import { captureBgp } from "./bgp-pcap.ts";
import type { AgentState } from "./state.ts";

/** A state with nothing but this speaker. */
function stateOf(speaker: Pick<Speaker, "view" | "observe">): Pick<AgentState, "bgp"> {
  return { bgp: { speaker, desired: { sessions: [] } } } as unknown as Pick<AgentState, "bgp">;
}

describe("a capture", () => {
  test("has what two speakers say, notification included, and not the password they share", async (t) => {
    const [a, b] = [speakerAt("127.3.1.1", 65001), speakerAt("127.3.1.2", 65002)];
    t.after(() => Promise.all([a, b].map(({ speaker }) => speaker.stop("restart"))));
    const password = "not-to-be-seen";
    const logged: [LogEvent, unknown][] = [];
    const pieces: Uint8Array[] = [];
    a.speaker.configure([sessionTo(a, b, { initiation: "dial", password })]);
    const capture = captureBgp(stateOf(a.speaker), (event, fields) => void logged.push([event, fields]));
    const stop = capture("to-127.3.1.2", (piece) => pieces.push(piece) > 0);
    b.speaker.configure([sessionTo(b, a, { initiation: "accept", password })]);
    await established(a.speaker);
    a.speaker.reset("to-127.3.1.2", "for the test");
    await until("it came up again", () => a.speaker.view()[0]?.counters.established === 2);
    stop();
    const file = Buffer.concat(pieces);
    assert.ok(!file.includes(password));
    // Beside the head of the file.
    assert.deepEqual(logged, [["bgpCaptured", { peer: "to-127.3.1.2", written: pieces.length - 1, dropped: 0 }]]);
    const { stdout } = spawnSync("tcpdump", ["-nn", "-vv", "-S", "-r", "-"], { input: file, encoding: "utf8" });
    assert.match(stdout, /127\.3\.1\.1\.\d+ > 127\.3\.1\.2\.\d+: Flags \[P\.\], cksum 0x[0-9a-f]+ \(correct\), seq 1:/);
    assert.match(stdout, /127\.3\.1\.2\.\d+ > 127\.3\.1\.1\.\d+: Flags \[P\.\], cksum 0x[0-9a-f]+ \(correct\), seq 1:/);
    assert.ok(
      file.includes(Buffer.from([...Buffer.alloc(16, 0xff), 0, 34, 3, 6, 4, 12, ...Buffer.from("for the test")])),
    );
  });

  const view = (): never => [{ name: "nodes/192.0.2.1" }, { name: "router" }] as never;

  test("of a peer that is a prefix has those who called out of it, and a reader who is too slow is counted", () => {
    let emit: (traffic: Traffic) => void = () => {};
    const speaker = {
      view,
      observe: (listener: (traffic: Traffic) => void) => {
        emit = listener;
        return () => undefined;
      },
    };
    const logged: unknown[] = [];
    let taken = 0;
    const stop = captureBgp(stateOf(speaker), (_, fields) => void logged.push(fields))("nodes", () => (taken += 1) < 3);
    const ends = {
      local: { address: address("192.0.2.9"), port: 179 },
      remote: { address: address("192.0.2.1"), port: 4000 },
    };
    for (const session of ["router", "nodes/192.0.2.1", "nodes2", "nodes/192.0.2.1"])
      emit({ type: "bytes", session, direction: "sent", bytes: new Uint8Array(19), ends });
    stop();
    assert.deepEqual([taken, logged], [3, [{ peer: "nodes", written: 1, dropped: 1 }]]);
  });

  test("of a peer that is not there is refused with those that are", () => {
    const capture = captureBgp(stateOf({ view, observe: () => () => undefined }), () => undefined);
    assert.throws(
      () => capture("nobody", () => true),
      new BadRequest("there is no BGP session of peer nobody: there are nodes/192.0.2.1, router"),
    );
    assert.throws(
      () => captureBgp({ bgp: undefined }, () => undefined)(undefined, () => true),
      /has not read its objects yet/,
    );
  });
});
