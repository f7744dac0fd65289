/** MetalLB in a real cluster, by its own chart, from images of its own programs: what somebody has who comes from it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { Lab } from "../../lab.ts";
import { programArchive } from "../images.ts";
import { helm, SYSTEM_NAMESPACE } from "../install.ts";

const CHART = join(import.meta.dirname, "../../../.cache/kubernetes/metallb/chart");
export const METALLB_RELEASE = "metallb";

/** As its chart names them. */
export function metallbImages(): readonly string[] {
  const { appVersion } = parse(readFileSync(join(CHART, "Chart.yaml"), "utf8")) as { readonly appVersion: string };
  return ["controller", "speaker"].map((file) =>
    programArchive({ program: `metallb-${file}`, file, image: `quay.io/metallb/${file}:${appVersion}` }),
  );
}

/** In its native mode: FRR has no image here. Resolves when its pods are ready. */
export async function installMetallb(lab: Lab): Promise<void> {
  const place = ["--namespace", SYSTEM_NAMESPACE, "--create-namespace"];
  const native = ["--set", "frrk8s.enabled=false", "--set", "speaker.frr.enabled=false"];
  await helm(lab, ["install", METALLB_RELEASE, CHART, ...place, ...native, "--wait", "--timeout=120s"]);
}
