import assert from "node:assert/strict";
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openConnection, type Connection } from "./connection.ts";
import { Unreachable } from "./unreachable.ts";

type Handler = (stream: ServerHttp2Stream, path: string, headers: Readonly<Record<string, unknown>>) => void;

let server: Http2Server;
let connection: Connection;
let handle: Handler;
const sessions = new Set<ServerHttp2Session>();

before(async () => {
  server = createServer();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {});
    session.once("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    handle(stream as ServerHttp2Stream, headers[":path"] ?? "", headers);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  connection = openConnection({
    url: new URL(`http://127.0.0.1:${port}`),
    namespace: undefined,
    credentials: async () => ({
      verify: true,
      authorization: "Bearer secret",
      headers: { "impersonate-user": "jane", "impersonate-group": ["a", "b"] },
    }),
  });
});
after(() => {
  connection.close();
  for (const session of sessions) session.destroy();
  server.close();
});

function answer(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Handler {
  return (stream) => {
    stream.respond({ ":status": status, ...headers });
    stream.end(body);
  };
}

const get = { method: "GET", path: "/api/v1/services" } as const;

describe("a request", () => {
  it("sends the body of a DELETE as well", async () => {
    const seen = Promise.withResolvers<string>();
    handle = (stream, path, headers) => {
      stream.setEncoding("utf8");
      void stream.toArray().then((texts) => {
        seen.resolve(texts.join(""));
        answer(200, "{}")(stream, path, headers);
      });
    };
    const body = { propagationPolicy: "Foreground" };
    assert.equal((await connection.request({ method: "DELETE", path: "/x", body })).status, 200);
    assert.deepEqual(JSON.parse(await seen.promise), body);
  });

  it("sends its query, its body and who we are", async () => {
    const seen: unknown[] = [];
    handle = (stream, path, headers) => {
      stream.setEncoding("utf8");
      let body = "";
      stream.on("data", (text: string) => (body += text));
      stream.on("end", () => {
        seen.push(path, headers["authorization"], headers["content-type"], body);
        seen.push(headers["impersonate-user"], headers["impersonate-group"]);
        answer(200, "{}")(stream, path, headers);
      });
    };
    await connection.request({
      method: "PATCH",
      path: "/x",
      query: { force: "true" },
      body: { a: 1 },
      contentType: "t/p",
    });
    assert.deepEqual(seen, ["/x?force=true", "Bearer secret", "t/p", '{"a":1}', "jane", "a, b"]);
  });

  it("resolves with what the server answers, whatever it is", async () => {
    handle = answer(429, '{"message":"slow down"}', { "retry-after": "7" });
    assert.deepEqual(await connection.request(get), {
      status: 429,
      retryAfterSeconds: 7,
      body: { message: "slow down" },
      bytes: 23,
    });
    handle = answer(502, "<html>", { "retry-after": "soon" });
    assert.deepEqual(await connection.request(get), {
      status: 502,
      retryAfterSeconds: undefined,
      body: "<html>",
      bytes: 6,
    });
  });

  it("rejects when an answer ends in the middle", async () => {
    handle = (stream) => {
      stream.respond({ ":status": 200 });
      stream.write('{"a":');
      setTimeout(() => stream.session?.destroy(), 5);
    };
    await assert.rejects(connection.request(get), Unreachable);
  });

  it("says what kept it from an answer where nobody listens", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const { port } = closed.address() as { readonly port: number };
    await new Promise((resolve) => closed.close(resolve));
    const credentials = async (): Promise<{ readonly verify: true }> => ({ verify: true });
    const url = new URL(`http://127.0.0.1:${port}`);
    const nowhere = openConnection({ url, namespace: undefined, credentials });
    const message = `the API server cannot be reached: connect ECONNREFUSED 127.0.0.1:${port} (does it run, and is this its address?)`;
    await assert.rejects(nowhere.request(get), { message });
    nowhere.close();
  });

  it("makes a new connection after one was lost", async () => {
    handle = (stream) => stream.session?.destroy();
    await assert.rejects(connection.request(get));
    handle = answer(200, "[]");
    assert.equal((await connection.request(get)).status, 200);
  });

  it("shares one connection with the others that need one at the same moment", async () => {
    for (const session of sessions) session.destroy();
    await sleep(20);
    handle = answer(200, "{}");
    await Promise.all([connection.request(get), connection.request(get), connection.request(get)]);
    assert.equal(sessions.size, 1);
  });
});

describe("credentials", () => {
  /** Takes one token, and says who came with which. */
  const taking = (token: () => string): Handler => {
    return (stream, path, headers) =>
      answer(headers["authorization"] === token() ? 200 : 401, "{}")(stream, path, headers);
  };

  it("are asked for again when they are refused, and not with every refusal", async (context) => {
    let token = "one";
    let asked = 0;
    let now = 0;
    context.mock.method(performance, "now", () => now);
    const { port } = server.address() as { readonly port: number };
    const own = openConnection({
      url: new URL(`http://127.0.0.1:${port}`),
      namespace: undefined,
      credentials: async () => {
        asked += 1;
        return { verify: true, authorization: token };
      },
    });
    handle = taking(() => token);
    assert.equal((await own.request(get)).status, 200);
    const before = asked;
    handle = taking(() => "two");
    for (let n = 0; n < 5; n += 1) assert.equal((await own.request(get)).status, 401);
    assert.equal(asked, before, "what was asked for just now is not asked for again");
    token = "two";
    now = 1001;
    assert.equal((await own.request(get)).status, 401);
    assert.equal((await own.request(get)).status, 200);
    const stop = new AbortController();
    handle = taking(() => "three");
    token = "three";
    now = 2003;
    const watching = { onOpen: () => {}, onLine: () => {}, signal: stop.signal };
    assert.equal((await own.watch(get, watching))?.status, 401, "a watch that is refused counts as well");
    assert.equal((await own.request(get)).status, 200);
    own.close();
  });
});

describe("a watch", () => {
  const follow = async (
    stop = new AbortController(),
  ): Promise<{ lines: readonly string[]; end: unknown; opened: boolean }> => {
    const lines: string[] = [];
    let opened = false;
    const end = await connection.watch(get, {
      onOpen: () => (opened = true),
      onLine: (line) => {
        lines.push(line);
        if (line === "stop") stop.abort();
      },
      signal: stop.signal,
    });
    return { lines, end, opened };
  };

  it("hands on lines however they are cut, and ends with the server's end", async () => {
    handle = (stream) => {
      stream.respond({ ":status": 200 });
      stream.write("on");
      setTimeout(() => stream.write("e\ntwo\n\nthr"), 10);
      setTimeout(() => stream.end("ee\nfour, unfinished"), 20);
    };
    assert.deepEqual(await follow(), { lines: ["one", "two", "three"], end: undefined, opened: true });
  });

  it("resolves with the answer when it is refused", async () => {
    handle = answer(410, '{"code":410}');
    const { end, opened } = await follow();
    assert.deepEqual(end, { status: 410, retryAfterSeconds: undefined, body: { code: 410 } });
    assert.equal(opened, false);
  });

  it("rejects when the connection is lost", async () => {
    handle = (stream) => {
      stream.respond({ ":status": 200 });
      stream.write("one\n");
      setTimeout(() => stream.session?.destroy(), 10);
    };
    await assert.rejects(follow(), Unreachable);
  });

  it("ends when it is told to, in the middle of a line", async () => {
    handle = (stream) => {
      stream.respond({ ":status": 200 });
      stream.write("stop\nhalf");
    };
    const { lines, end } = await follow();
    assert.deepEqual(lines, ["stop"]);
    assert.equal(end, undefined);
  });

  it("rejects a line beyond every bound", async () => {
    handle = (stream) => {
      stream.respond({ ":status": 200 });
      stream.end(Buffer.alloc(9 * 1024 * 1024, 97));
    };
    await assert.rejects(follow(), /^Error: the API server sent a line of more than/);
  });
});
