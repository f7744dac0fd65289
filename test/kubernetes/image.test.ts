/** The container image has all that the programs need, and nothing that builds programs. */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { EventEmitter } from "node:events";
import { existsSync, globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { waitFor } from "../../lab/wait.ts";

const PROJECT = join(import.meta.dirname, "../..");
const PROGRAM = "/opt/fairlead/bin/fairlead";

let folder: string;
let rootfs: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "fl-rootfs-"));
  rootfs = join(folder, "rootfs");
  const said = execFileSync(process.execPath, [join(PROJECT, "tools/build-image.ts")], { encoding: "utf8" });
  const archive = /image: (?<path>\/\S+\.oci\.tar)/.exec(said)?.groups?.["path"];
  assert.ok(archive !== undefined, said);
  unpack(archive, join(folder, "image"), rootfs);
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** As a container runtime does it: one layer over the other. */
function unpack(archive: string, image: string, to: string): void {
  for (const each of [image, to]) mkdirSync(each);
  execFileSync("tar", ["-xf", archive, "-C", image]);
  const read = (digest: string): unknown =>
    JSON.parse(readFileSync(join(image, "blobs", digest.replace(":", "/")), "utf8"));
  const index = JSON.parse(readFileSync(join(image, "index.json"), "utf8")) as {
    readonly manifests: readonly { readonly digest: string }[];
  };
  const manifest = read(index.manifests[0]?.digest ?? "") as {
    readonly layers: readonly { readonly digest: string }[];
  };
  assert.equal(manifest.layers.length, 3);
  for (const { digest } of manifest.layers)
    execFileSync("tar", ["-xzf", join(image, "blobs", digest.replace(":", "/")), "-C", to]);
}

describe("the image", () => {
  it("runs the command", () => {
    const said = execFileSync("chroot", [rootfs, PROGRAM, "version", "-o", "json"], { encoding: "utf8" });
    const { version } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as { readonly version: string };
    assert.match(said, new RegExp(version.replaceAll(".", "\\.")));
  });

  it("has no compiler and no tests in it", () => {
    const found = ["gcc", "cc", "clang", "make", "npm", "git"].filter((name) =>
      existsSync(join(rootfs, "usr/bin", name)),
    );
    assert.deepEqual(found, []);
    const tests = execFileSync("find", [join(rootfs, "opt/fairlead/src"), "-name", "*.test.ts"], { encoding: "utf8" });
    assert.equal(tests, "");
  });

  it("has no objects of tests in it and no headers, but licences", () => {
    const objects = readdirSync(join(rootfs, "opt/fairlead/bpf/build")).toSorted();
    assert.deepEqual(objects, ["netdev.bpf.o", "pod.bpf.o", "xdp.bpf.o"]);
    assert.deepEqual(globSync("opt/fairlead/node_modules/node-linux-*/include", { cwd: rootfs }), []);
    assert.ok(existsSync(join(rootfs, "usr/share/doc/libbpf1/copyright")));
  });

  it("runs an agent as the chart's pod does: with its capabilities, on a root that cannot be written", async () => {
    const { capabilities, ...context } = containerOf("agent").securityContext;
    assert.deepEqual([context.readOnlyRootFilesystem, context.allowPrivilegeEscalation], [true, false]);
    assert.deepEqual(capabilities.drop, ["ALL"]);
    const kept = (capabilities.add ?? []).map((name) => `+${name.toLowerCase()}`).join();
    const bounds = `--no-new-privs --bounding-set=-all,${kept} --inh-caps=-all`;
    // /bpf as a hostPath gives it: the agent may not mount anything.
    const options = "--node-name image --manifests /manifests --bpffs /bpf/image --health-listen 127.0.0.1:7957";
    await using agent = startIn(
      "mount -t bpf bpf $root/bpf",
      `setpriv ${bounds} ${PROGRAM} agent ${options} --leave-on-stop`,
    );
    await agent.saying('"event":"ready"');
    assert.equal(await agent.get("http://127.0.0.1:7957/readyz"), "ok\n");
    assert.equal(agent.execute("touch", "/opt/fairlead/x").status, 1);
    const status = agent.execute(PROGRAM, "status", "-o", "json");
    assert.match(status.stdout, /"node": ?"image"/, status.stderr);
    assert.equal(await agent.stop(), 0);
  });

  it("runs a controller as the chart's pod does: as nobody, without a capability", async () => {
    const { securityContext, podSecurityContext: user } = containerOf("controller");
    assert.deepEqual(securityContext.capabilities, { drop: ["ALL"] });
    const { runAsUser, runAsGroup } = user;
    const bounds = `--no-new-privs --reuid=${runAsUser} --regid=${runAsGroup} --clear-groups --bounding-set=-all --inh-caps=-all`;
    const options = "--manifests /manifests --state /run/state --health-listen :7957";
    const state = "mkdir $root/run/state && chmod 777 $root/run/state";
    await using controller = startIn(state, `setpriv ${bounds} ${PROGRAM} controller ${options}`);
    await controller.saying('"event":"starting"');
    await waitFor("readiness", async () =>
      (await controller.get("http://127.0.0.1:7957/readyz")) === "ok\n" ? true : undefined,
    );
    assert.equal(await controller.stop(), 0);
  });
});

interface Pod {
  readonly securityContext: {
    readonly readOnlyRootFilesystem: boolean;
    readonly allowPrivilegeEscalation: boolean;
    readonly capabilities: { readonly drop: readonly string[]; readonly add?: readonly string[] };
  };
  readonly podSecurityContext: { readonly runAsUser?: number; readonly runAsGroup?: number };
}

/** As the manifests say, which are the chart's. */
function containerOf(program: "agent" | "controller"): Pod {
  const documents = parseAllDocuments(readFileSync(join(PROJECT, `deploy/kustomize/${program}.yaml`), "utf8"));
  assert.ok(Array.isArray(documents));
  const workload = documents
    .map((document) => document.toJS() as Workload | null)
    .find((object) => object?.spec?.template !== undefined);
  const { containers, securityContext = {} } = workload?.spec?.template?.spec ?? assert.fail(program);
  return { securityContext: (containers[0] ?? assert.fail()).securityContext, podSecurityContext: securityContext };
}

interface Workload {
  readonly spec?: {
    readonly template?: {
      readonly spec: {
        readonly securityContext?: Pod["podSecurityContext"];
        readonly containers: readonly Pick<Pod, "securityContext">[];
      };
    };
  };
}

interface Running extends AsyncDisposable {
  /** Rejects with the log when it ends before it has said this. */
  readonly saying: (words: string) => Promise<void>;
  readonly get: (url: string) => Promise<string>;
  readonly execute: (...command: readonly string[]) => { status: number | null; stdout: string; stderr: string };
  /** The exit status after SIGTERM. */
  readonly stop: () => Promise<number | null>;
}

/** In a network and mounts of its own, gone with it; the root is read-only, as a container's can be. */
function startIn(prepare: string, command: string): Running {
  for (const name of ["manifests", "bpf"]) mkdirSync(join(rootfs, name), { recursive: true });
  const script = `
    root=${rootfs}
    ip link set lo up
    mount --bind $root $root && mount -o remount,bind,ro $root
    mount --rbind /sys $root/sys && mount -t proc proc $root/proc && mount --rbind /dev $root/dev && mount -t tmpfs none $root/run
    ${prepare}
    exec chroot $root ${command}`;
  const child = spawn("unshare", ["--net", "--mount", "sh", "-ec", script], { stdio: ["ignore", "pipe", "pipe"] });
  const texts = new EventEmitter();
  let log = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      log += text;
      texts.emit("text");
    });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const saying = (words: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => void (log.includes(words) && resolve());
      texts.on("text", look);
      look();
      void exited.then(() => reject(new Error(`It ended: ${log}`)));
    });
  const inside = ["--target", String(child.pid), "--net", "--mount"];
  const execute = (...words: readonly string[]): ReturnType<Running["execute"]> =>
    spawnSync("nsenter", [...inside, "chroot", rootfs, ...words], { encoding: "utf8" });
  const stop = (): Promise<number | null> => {
    child.kill("SIGTERM");
    return exited;
  };
  return {
    saying,
    execute,
    stop,
    get: async (url) => spawnSync("nsenter", [...inside.slice(0, 3), "curl", "-s", url], { encoding: "utf8" }).stdout,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
