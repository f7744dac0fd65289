/** The images of a real cluster, as OCI archives: nothing is pulled from anywhere. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { requireProgram } from "./control-plane.ts";
import { PAUSE_IMAGE } from "./node-files.ts";

const ROOT = join(import.meta.dirname, "../..");
/** What the image of Fairlead is made of. */
const SOURCES = ["src", "bin", "bpf", "package-lock.json", "tools/build-image.ts", "tools/strip-types.ts"];

/** The archive of `npm run image`, built anew when something that goes into it is younger. */
export function fairleadArchive(): string {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { readonly version: string };
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  const archive = join(ROOT, "build", `fairlead-${version}-${architecture}.oci.tar`);
  const youngest = Math.max(...SOURCES.map((source) => youngestIn(join(ROOT, source))));
  if (!existsSync(archive) || statSync(archive).mtimeMs < youngest)
    execFileSync(process.execPath, [join(ROOT, "tools/build-image.ts")], { stdio: ["ignore", "ignore", "inherit"] });
  return archive;
}

/** Folders too: a file that was removed changes the time of its folder. */
function youngestIn(path: string): number {
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  const below = readdirSync(path, { recursive: true, encoding: "utf8" }).filter((name) => !name.includes("build/"));
  return Math.max(mtimeMs, ...below.map((name) => statSync(join(path, name)).mtimeMs));
}

/** The image of every pod's sandbox. */
export function pauseArchive(): string {
  return programArchive({ program: "pause", file: "pause", image: PAUSE_IMAGE });
}

interface ProgramImage {
  /** Of build.sh, with nothing that it needs beside it. */
  readonly program: string;
  /** What it is called in the image, and started as. */
  readonly file: string;
  readonly image: string;
}

/** An image of one file. Its path, outside of /run: there a node has something of its own. */
export function programArchive({ program, file, image: name }: ProgramImage): string {
  const folder = join(ROOT, "build");
  const image = join(folder, `${program}-image`);
  rmSync(image, { recursive: true, force: true });
  mkdirSync(join(image, "blobs/sha256"), { recursive: true });
  mkdirSync(join(image, "rootfs"));
  cpSync(requireProgram(program), join(image, "rootfs", file));
  const layer = execFileSync(
    "tar",
    ["--create", "--owner=0", "--group=0", `--directory=${join(image, "rootfs")}`, "."],
    {
      maxBuffer: 1 << 28,
    },
  );
  rmSync(join(image, "rootfs"), { recursive: true });
  const blob = (bytes: Uint8Array, mediaType: string): object => {
    const hex = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(image, "blobs/sha256", hex), bytes);
    return { mediaType: `application/vnd.oci.image.${mediaType}`, digest: `sha256:${hex}`, size: bytes.length };
  };
  const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
  const platform = { architecture: process.arch === "arm64" ? "arm64" : "amd64", os: "linux" };
  const layers = [blob(layer, "layer.v1.tar")];
  const diffId = `sha256:${createHash("sha256").update(layer).digest("hex")}`;
  const config = { ...platform, config: { Entrypoint: [`/${file}`] }, rootfs: { type: "layers", diff_ids: [diffId] } };
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: blob(json(config), "config.v1+json"),
    layers,
  };
  const annotations = { "io.containerd.image.name": name };
  writeFileSync(
    join(image, "index.json"),
    json({ schemaVersion: 2, manifests: [{ ...blob(json(manifest), "manifest.v1+json"), annotations }] }),
  );
  writeFileSync(join(image, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
  const archive = join(folder, `${program}.oci.tar`);
  execFileSync("tar", ["--create", `--file=${archive}`, `--directory=${image}`, "."]);
  return archive;
}
