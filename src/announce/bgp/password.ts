/** The password of a BGPPeer: its own field, or a Secret in the peer's namespace. What it holds appears in no message. */
import { objectKey, type Secret } from "../../service/objects.ts";
import type { Finding } from "./findings.ts";
import type { BGPPeer } from "./objects.ts";

/** The Secrets of a snapshot. */
export interface SecretsRead {
  readonly secrets: ReadonlyMap<string, Secret>;
  /** Of those that are named: `secrets/NAMESPACE/NAME` of each that was not read, or may not be. */
  readonly unread?: ReadonlySet<string>;
}

interface Found {
  readonly value?: string;
  readonly findings: readonly Finding[];
}

const SECRET_TYPE = "kubernetes.io/basic-auth";
const SECRET_KEY = "password";
/** What the message of a missing Secret begins with: the one object that people keep apart from the others. */
export const SECRET_MISSING = "secret ref not found";
/** Of TCP MD5 on Linux (TCP_MD5SIG_MAXKEYLEN). */
const BYTES_MAX = 80;

export function passwordOf(peer: BGPPeer, read: SecretsRead): Found {
  const { password, passwordSecret } = peer.spec;
  if (passwordSecret.name === "") return password === "" ? { findings: [] } : bounded(password, "spec.password");
  if (password === "") return fromSecret(peer, read);
  const message = `can not have both password and secret ref set in peer config ${nameOf(peer)}: remove one`;
  return { findings: [{ path: "spec.passwordSecret", message }] };
}

/** By name alone: as in MetalLB the reference's namespace means nothing. */
function fromSecret(peer: BGPPeer, read: SecretsRead): Found {
  const path = "spec.passwordSecret";
  const key = `${peer.metadata.namespace}/${peer.spec.passwordSecret.name}`;
  const found = passwordInSecret(read, key, { path, config: `peer config ${nameOf(peer)}` });
  return found.value === undefined ? found : bounded(found.value, path);
}

/** What a Secret of type basic-auth holds; `config` is who refers to it, for the message. */
export function passwordInSecret(
  { secrets, unread }: SecretsRead,
  key: string,
  { path, config }: { readonly path: string; readonly config: string },
): Found {
  const secret = secrets.get(key);
  if (secret === undefined) {
    const why =
      unread?.has(`secrets/${key}`) === true
        ? `Secret ${key} was not read; what is said about Kubernetes and its secrets tells why`
        : `there is no Secret ${key}`;
    return fault(path, `${SECRET_MISSING} for ${config}: ${why}`);
  }
  if (secret.type !== SECRET_TYPE)
    return fault(
      path,
      `secret type mismatch on ${key}: type ${SECRET_TYPE} is expected, found ${JSON.stringify(secret.type)}`,
    );
  const plain = secret.stringData[SECRET_KEY];
  const encoded = secret.data[SECRET_KEY];
  const value = plain ?? (encoded === undefined ? undefined : decodeBase64(encoded));
  if (value !== undefined && value !== "") return { value, findings: [] };
  return fault(
    path,
    `password not specified in the secret ${key}: it needs the key "${SECRET_KEY}", in base64 under data`,
  );
}

function bounded(value: string, path: string): Found {
  const bytes = new TextEncoder().encode(value).length;
  if (bytes <= BYTES_MAX) return { value, findings: [] };
  return fault(path, `the password has ${bytes} bytes; TCP MD5 takes up to ${BYTES_MAX}`);
}

/** Text, or undefined for what is neither base64 nor UTF-8. */
function decodeBase64(text: string): string | undefined {
  try {
    const bytes = Uint8Array.from(atob(text.trim()), (character) => character.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function nameOf(peer: BGPPeer): string {
  return objectKey(peer);
}

function fault(path: string, message: string): Found {
  return { findings: [{ path, message }] };
}
