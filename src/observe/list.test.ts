import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { text } from "node:stream/consumers";
import { SILENCE_MS, sendRows } from "./list.ts";

const WIDE = "x".repeat(1000);

let server: Server;
let answer: (response: ServerResponse) => void;

before(async () => {
  server = createServer((_, response) => answer(response)).listen(0, "127.0.0.1");
  await once(server, "listening");
});
after(() => {
  server.closeAllConnections();
  server.close();
});

async function ask(): Promise<IncomingMessage> {
  const asked = request({ host: "127.0.0.1", port: (server.address() as AddressInfo).port }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  return response;
}

/** Every second one is no row, only a place for a pause. */
function* rows(count: number, made: () => void = () => {}): Generator<object | undefined, void, void> {
  for (let row = 0; row < count; row += 1) {
    made();
    yield { row, WIDE };
    yield undefined;
  }
}

describe("a list as an answer", () => {
  for (const count of [0, 1, 2, 500]) {
    test(`of ${count} rows is what they are together as JSON`, async () => {
      answer = (response) => void sendRows(response, rows(count));
      const response = await ask();
      assert.equal(response.headers["content-type"], "application/json");
      const all = [...rows(count)].filter((row) => row !== undefined);
      assert.equal(await text(response), `${JSON.stringify(all)}\n`);
    });
  }

  test("lets others have their turn between rows", async () => {
    let [now, pauses] = [0, 0];
    const pace = { sliceMilliseconds: 10, now: () => (now += 4), pause: async () => void (pauses += 1) };
    answer = (response) => void sendRows(response, rows(30), pace);
    await text(await ask());
    assert.ok(pauses >= 10, `${pauses} pauses in ${now} ms`);
  });

  test("says something now and then while there is no row yet", async () => {
    let now = 0;
    const pace = { sliceMilliseconds: 10, now: () => now, pause: async () => {} };
    const late = async function* (): AsyncGenerator<object | undefined, void, void> {
      for (; now < 7 * SILENCE_MS; now += SILENCE_MS / 2) yield undefined;
      yield { row: 1 };
    };
    answer = (response) => void sendRows(response, late(), pace);
    const said = await text(await ask());
    assert.deepEqual(JSON.parse(said), [{ row: 1 }]);
    assert.match(said, /^\[ {5,7}\{/);
  });

  test("is made no faster than somebody reads, and not to its end when nobody does any more", async () => {
    let made = 0;
    const ended = Promise.withResolvers<void>();
    answer = (response) =>
      void sendRows(
        response,
        rows(1_000_000, () => (made += 1)),
      ).then(ended.resolve);
    const response = await ask();
    response.destroy();
    await ended.promise;
    assert.ok(made < 1_000_000, "all rows were made for nobody");
  });

  test("of which a row cannot be made is none", async () => {
    const failed = Promise.withResolvers<unknown>();
    answer = (response) =>
      void sendRows(
        response,
        rows(3, () => {
          throw new Error("the map is gone");
        }),
      ).catch((error: unknown) => {
        failed.resolve(error);
        assert.equal(response.headersSent, false);
        response.writeHead(500).end();
      });
    assert.equal((await ask()).statusCode, 500);
    assert.match(String(await failed.promise), /the map is gone/);
  });
});
