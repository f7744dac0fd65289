/** Custom resource definitions as other versions have them, for as long as a test needs them so. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "../../src/source/kubernetes/connection.ts";

const ROOT = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const EFFECT_MS_MAX = 20_000;

/** Of the kinds that are configuration. */
export const CRDS: readonly string[] = [
  "ipaddresspools.metallb.io",
  "l2advertisements.metallb.io",
  "bgpadvertisements.metallb.io",
  "bgppeers.metallb.io",
  "bfdprofiles.metallb.io",
  "communities.metallb.io",
];

export interface Version {
  readonly name: string;
  readonly served: boolean;
  readonly schema: unknown;
}

interface Definition {
  readonly metadata: { readonly resourceVersion?: string };
  readonly spec: { readonly versions: readonly Version[] };
}

/** Changes every version of a definition; resolves with the way back. */
export async function redefine(
  admin: Connection,
  name: string,
  change: (version: Version) => Version,
): Promise<() => Promise<void>> {
  const original = (await admin.request({ method: "GET", path: `${ROOT}/${name}` })).body as Definition;
  const put = async (versions: readonly Version[]): Promise<void> => {
    // Its status changes by itself: written over whatever version there is.
    const now = (await admin.request({ method: "GET", path: `${ROOT}/${name}` })).body as Definition;
    const { resourceVersion } = now.metadata;
    const body = {
      ...original,
      metadata: { ...original.metadata, resourceVersion },
      spec: { ...original.spec, versions },
    };
    const { status, body: answer } = await admin.request({ method: "PUT", path: `${ROOT}/${name}`, body });
    if (status !== 200) throw new Error(`${name}: the API server answers ${status}: ${JSON.stringify(answer)}`);
  };
  await put(original.spec.versions.map(change));
  return () => put(original.spec.versions);
}

/** Takes everything out of the schemas, so that any object is let in; `tried` is what is let in once that is in effect. */
export async function loosen(
  admin: Connection,
  names: readonly string[],
  tried: () => Promise<void>,
): Promise<() => Promise<void>> {
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  const restores: (() => Promise<void>)[] = [];
  for (const name of names) restores.push(await redefine(admin, name, (version) => ({ ...version, schema })));
  const giveUpAt = performance.now() + EFFECT_MS_MAX;
  for (;;) {
    const refusal = await tried().then(
      () => undefined,
      (error: unknown) => error,
    );
    if (refusal === undefined) break;
    if (performance.now() > giveUpAt) throw new Error("the loosened schemas have no effect", { cause: refusal });
    await sleep(50);
  }
  return async () => {
    for (const restore of restores) await restore();
  };
}

export async function removeDefinition(admin: Connection, name: string): Promise<void> {
  await admin.request({ method: "DELETE", path: `${ROOT}/${name}` });
  while ((await admin.request({ method: "GET", path: `${ROOT}/${name}` })).status !== 404) await sleep(20);
}
