/** A Secret whose only point is that several programs have the same: made once, by whoever finds none. */
import type { Connection } from "./connection.ts";
import { refusalOf } from "./writer.ts";

export interface SharedSecret {
  readonly connection: Pick<Connection, "request">;
  readonly namespace: string;
  readonly name: string;
  /** Of its data. */
  readonly key: string;
  readonly make: () => Uint8Array;
}

/** Resolves when it is there. One that is there stays as it is. Rejects with what the API server found. */
export async function ensureSharedSecret({
  connection,
  namespace,
  name,
  key,
  make,
}: SharedSecret): Promise<"found" | "made"> {
  const secrets = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
  const found = await connection.request({ method: "GET", path: `${secrets}/${encodeURIComponent(name)}` });
  if (found.status === 200) return "found";
  if (found.status !== 404) throw new Error(refusalOf(found));
  const body = {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: { name, namespace },
    data: { [key]: Buffer.from(make()).toString("base64") },
  };
  const made = await connection.request({ method: "POST", path: secrets, body });
  // 409: another replica was quicker.
  if (made.status === 409) return "found";
  if (made.status !== 201) throw new Error(refusalOf(made));
  return "made";
}
