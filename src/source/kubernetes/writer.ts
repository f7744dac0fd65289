/**
 * What was decided, written into the status of objects by server-side apply: only fields of ours, under our own name, and only
 * on the version of the object that the decision was made about. Whoever decides from an old copy is told so (409) and
 * changes nothing, also where two controllers take themselves for the active one.
 */
import type { PoolStatusWrite, ServiceStatusWrite } from "../source.ts";
import type { Connection, Response } from "./connection.ts";
import { UNKNOWN_KIND, type Raw } from "./reflector/machine.ts";

export interface Target {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Of the copy that was decided about. */
  readonly resourceVersion: string;
  /** Of the object: `/api/v1/namespaces/default/services/web` */
  readonly path: string;
}

/** Conditions of this prefix are ours. */
const OURS = "fairlead.io/";
const INT64_MAX = (1n << 63n) - 1n;

/** The fields of a Service that are ours. */
export function serviceFields(write: ServiceStatusWrite): Raw {
  const annotations = Object.entries(write.annotations).filter(([, value]) => value !== undefined);
  return {
    metadata: { annotations: Object.fromEntries(annotations) },
    status: {
      loadBalancer: { ingress: write.ingress },
      conditions: write.conditions.filter(({ type }) => type.startsWith(OURS)),
    },
  };
}

/** The fields of an IPAddressPool that are ours. */
export function poolFields({ conditions, coolDown, ...counts }: PoolStatusWrite): Raw {
  const capped = Object.entries(counts).map(([name, count]) => [name, rawInteger(count)] as const);
  return { status: { ...Object.fromEntries(capped), conditions, ...(coolDown === undefined ? {} : { coolDown }) } };
}

/**
 * Applies fields to the status of an object; resolves with the object as it is then.
 * Rejects with an Error that says what the API server found.
 */
export async function applyStatus(
  connection: Pick<Connection, "request">,
  target: Target,
  { metadata = {}, ...fields }: Raw,
  fieldManager: string,
): Promise<Raw> {
  const { apiVersion, kind, name, namespace, resourceVersion, path } = target;
  const identity = { name, namespace, resourceVersion };
  const response = await connection.request({
    method: "PATCH",
    path: `${path}/status`,
    query: { fieldManager, force: "true" },
    contentType: "application/apply-patch+yaml",
    body: { apiVersion, kind, metadata: { ...(metadata as Raw), ...identity }, ...fields },
  });
  if (response.status === 200) return response.body as Raw;
  throw new Error(refusalOf(response));
}

/** Creates or changes an object of our own, with its status. Rejects with an Error that says what the API server found. */
export async function applyOwn(
  connection: Pick<Connection, "request">,
  path: string,
  object: Raw & { readonly status: Raw },
  fieldManager: string,
): Promise<void> {
  const { status, ...rest } = object;
  const query = { fieldManager, force: "true" };
  const contentType = "application/apply-patch+yaml";
  const made = await connection.request({ method: "PATCH", path, query, contentType, body: rest });
  if (made.status !== 200 && made.status !== 201) throw new Error(refusalOf(made));
  const { apiVersion, kind, metadata } = rest;
  const body = { apiVersion, kind, metadata, status };
  const written = await connection.request({ method: "PATCH", path: `${path}/status`, query, contentType, body });
  if (written.status !== 200) throw new Error(refusalOf(written));
}

/** What an answer that is not a success says, for people. */
export function refusalOf({ status, body }: Response): string {
  const message = typeof body === "object" && body !== null && "message" in body ? String(body.message) : "";
  if (status === 409) return `it was changed by somebody else meanwhile, and is decided about again (409 ${message})`;
  if (status === 403) return `${message} (403); give this program the role that is made for it`;
  // Of an object that is not there a Status speaks; of a kind that is not there nobody does, or in these words.
  if (status === 404 && (message === "" || message.includes("could not find the requested resource")))
    return UNKNOWN_KIND;
  if (status === 404) return `it is gone (404 ${message})`;
  return `the API server answers ${status}: ${message}`;
}

/** Exact, although JSON.stringify knows no bigint. (ES2027; Node has it, TypeScript's library not yet.) */
function rawInteger(value: bigint): unknown {
  const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => unknown };
  return rawJSON(String(value > INT64_MAX ? INT64_MAX : value));
}
