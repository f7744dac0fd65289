/** The container image has all that the programs need, and nothing that builds programs. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

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

  it("runs an agent, which loads its datapath, answers and stops when it is told to", async () => {
    mkdirSync(join(rootfs, "manifests"));
    // A network and mounts of its own, gone with it.
    const script = `
      mount --rbind /sys ${rootfs}/sys && mount -t proc proc ${rootfs}/proc && mount --rbind /dev ${rootfs}/dev
      exec chroot ${rootfs} ${PROGRAM} agent --node-name image --manifests /manifests --leave-on-stop`;
    const agent = spawn("unshare", ["--net", "--mount", "sh", "-ec", script], { stdio: ["ignore", "pipe", "pipe"] });
    let log = "";
    for (const stream of [agent.stdout, agent.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (log += text));
    const exited = new Promise<number | null>((resolve) => agent.once("exit", resolve));
    const ready = new Promise<void>((resolve) => {
      agent.stdout.on("data", () => log.includes('"event":"ready"') && resolve());
    });
    const first = await Promise.race([ready.then(() => "ready"), exited.then(() => "ended")]);
    assert.equal(first, "ready", log);
    const socket = ["status", "--socket", "/run/fairlead/image.sock", "-o", "json"];
    const status = execFileSync("chroot", [rootfs, PROGRAM, ...socket], { encoding: "utf8" });
    assert.match(status, /"node": ?"image"/);
    agent.kill("SIGTERM");
    assert.equal(await exited, 0, log);
  });
});
