/**
 * `npm run image`: an OCI image archive of Fairlead, without a container engine: build/fairlead-VERSION-ARCH.oci.tar, which
 * `ctr images import`, `podman load`, `skopeo` and registries take.
 *
 *     layer 1   a minimal Debian with libbpf, iproute2 and certificates (mmdebstrap)
 *     layer 2   Node.js and the packages that are needed at run time
 *     layer 3   src/ without tests and types, the compiled BPF objects, bin/
 *
 * No compiler and no package manager's lists are in it. Files have the time of the last commit, so that the same commit and
 * the same packages give the same archive.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { stripTypes } from "./strip-types.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const APP = "opt/fairlead";
const DEBIAN = { suite: "bookworm", packages: "libbpf1,iproute2,ca-certificates,libatomic1" };
/** Of bpf/, those that the agent loads. */
const OBJECTS = ["xdp", "netdev", "pod"];

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

interface Layer extends Blob {
  /** Of what is inside the compression, as the image's configuration names it. */
  readonly diffId: string;
}

/** Returns the path of the archive. */
function buildImage(): string {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { readonly version: string };
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  const created = new Date(Number(run("git", ["log", "-1", "--format=%ct"]).trim()) * 1000);
  const work = mkdtempSync(join(tmpdir(), "fl-image-"));
  try {
    const image = join(work, "image");
    mkdirSync(join(image, "blobs/sha256"), { recursive: true });
    const layers = [
      addLayer(image, debianLayer(work)),
      addLayer(image, packedFolder(work, "packages", stagePackages, created)),
      addLayer(image, packedFolder(work, "program", stageProgram, created)),
    ];
    writeIndex(image, { version, architecture, created, layers });
    const archive = join(ROOT, "build", `fairlead-${version}-${architecture}.oci.tar`);
    mkdirSync(join(ROOT, "build"), { recursive: true });
    pack(image, archive, created);
    return archive;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function debianLayer(work: string): string {
  const tar = join(work, "debian.tar");
  console.log(`image: a minimal Debian ${DEBIAN.suite} with ${DEBIAN.packages}`);
  // As Debian's own slim image: licences stay.
  const leftOut = ["doc", "groff", "info", "linda", "lintian", "locale", "man"];
  const leaveOut = leftOut.map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
  leaveOut.push("--dpkgopt=path-include=/usr/share/doc/*/copyright");
  const clean = "--customize-hook=rm -rf $1/var/lib/apt/lists/* $1/var/cache/* $1/var/log/*";
  run("mmdebstrap", [
    "--quiet",
    "--mode=root",
    "--variant=minbase",
    `--include=${DEBIAN.packages}`,
    ...leaveOut,
    clean,
    DEBIAN.suite,
    tar,
  ]);
  return tar;
}

function packedFolder(work: string, name: string, stage: (folder: string) => void, created: Date): string {
  console.log(`image: ${name}`);
  const folder = join(work, name);
  mkdirSync(join(folder, APP), { recursive: true });
  stage(join(folder, APP));
  const tar = join(work, `${name}.tar`);
  pack(folder, tar, created);
  return tar;
}

function stagePackages(folder: string): void {
  for (const file of ["package.json", "package-lock.json"]) cpSync(join(ROOT, file), join(folder, file));
  run("npm", ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder);
  // Debian's npm leaves the commands of optional packages out, Node.js among them.
  run("npm", ["rebuild", "--ignore-scripts"], folder);
  rmSync(join(folder, "package-lock.json"));
  // Of Node.js, what others would be compiled with.
  for (const headers of globSync("node_modules/node-linux-*/include", { cwd: folder }))
    rmSync(join(folder, headers), { recursive: true });
  run("find", ["node_modules", "-type", "d", "-empty", "-delete"], folder);
}

function stageProgram(folder: string): void {
  run("make", ["--silent", "-C", "bpf"]);
  const isTest = (path: string): boolean => /\.(test|fixture)\.ts$|\/testdata(\/|$)/.test(path);
  cpSync(join(ROOT, "src"), join(folder, "src"), { recursive: true, filter: (path) => !isTest(path) });
  stripTypes(join(folder, "src"));
  for (const name of OBJECTS) {
    const path = `bpf/build/${name}.bpf.o`;
    cpSync(join(ROOT, path), join(folder, path));
  }
  cpSync(join(ROOT, "bin"), join(folder, "bin"), { recursive: true });
}

/** Always the same bytes for the same files. */
function pack(folder: string, tar: string, created: Date): void {
  const seconds = Math.floor(created.getTime() / 1000);
  run("tar", [
    "--create",
    `--file=${tar}`,
    `--directory=${folder}`,
    "--sort=name",
    `--mtime=@${seconds}`,
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--format=posix",
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
    ".",
  ]);
}

function addLayer(image: string, tar: string): Layer {
  const plain = readFileSync(tar);
  const blob = addBlob(image, gzipSync(plain, { level: 6 }), "application/vnd.oci.image.layer.v1.tar+gzip");
  return { ...blob, diffId: digestOf(plain) };
}

function addBlob(image: string, bytes: Uint8Array, mediaType: string): Blob {
  const digest = digestOf(bytes);
  writeFileSync(join(image, "blobs", digest.replace(":", "/")), bytes);
  return { mediaType, digest, size: bytes.length };
}

interface Contents {
  readonly version: string;
  readonly architecture: string;
  readonly created: Date;
  readonly layers: readonly Layer[];
}

function writeIndex(image: string, { version, architecture, created, layers }: Contents): void {
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const configuration = {
    created: created.toISOString(),
    architecture,
    os: "linux",
    config: {
      Entrypoint: [`/${APP}/bin/fairlead`],
      Env: [`PATH=/${APP}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`],
      Labels: { "org.opencontainers.image.title": "fairlead", "org.opencontainers.image.version": version },
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  };
  const config = addBlob(image, json(configuration), "application/vnd.oci.image.config.v1+json");
  const blobs = layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size }));
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = addBlob(image, json({ schemaVersion: 2, mediaType, config, layers: blobs }), mediaType);
  const annotations = {
    "io.containerd.image.name": `docker.io/library/fairlead:${version}`,
    "org.opencontainers.image.ref.name": version,
  };
  const manifests = [{ ...manifest, platform: { architecture, os: "linux" }, annotations }];
  writeFileSync(join(image, "index.json"), json({ schemaVersion: 2, manifests }));
  writeFileSync(join(image, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function run(program: string, args: readonly string[], cwd = ROOT): string {
  return execFileSync(program, args, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 1 << 26,
  });
}

const archive = buildImage();
console.log(`image: ${archive}, ${Math.round(statSync(archive).size / 1e6)} MB`);
