/**
 * Certificates for the webhook: an authority of our own and a server certificate by it, both made anew when two thirds of their time
 * are over. An authority that was replaced is trusted until it ends, so that replicas may change one after the other.
 */
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

/** PEM texts. */
export interface Certificates {
  /** Trusted: the newest authority first. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;
const LIFETIME_MS = 365 * DAY_MS;
/** Clocks of machines differ. */
const BACKDATE_MS = 60 * 60_000;
const SERVER_AUTHENTICATION = "1.3.6.1.5.5.7.3.1";

/** `names`: DNS names of the webhook; `before`: what is replaced. */
export async function makeCertificates(
  names: readonly string[],
  now: Date,
  before?: Pick<Certificates, "ca">,
): Promise<Certificates> {
  const period = { notBefore: new Date(now.getTime() - BACKDATE_MS), notAfter: new Date(now.getTime() + LIFETIME_MS) };
  const authorityKeys = await makeKeys();
  const authority = await X509CertificateGenerator.createSelfSigned({
    ...period,
    serialNumber: serialNumber(),
    name: "CN=fairlead-webhook",
    keys: authorityKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  const keys = await makeKeys();
  const certificate = await X509CertificateGenerator.create({
    ...period,
    serialNumber: serialNumber(),
    subject: `CN=${names[0] ?? "fairlead"}`,
    issuer: authority.subject,
    publicKey: keys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([SERVER_AUTHENTICATION]),
      new SubjectAlternativeNameExtension(names.map((value) => ({ type: isAddress(value) ? "ip" : "dns", value }))),
    ],
  });
  const trusted = [authority.toString("pem"), ...stillValid(before?.ca ?? "", now)];
  return {
    ca: `${trusted.join("\n")}\n`,
    cert: `${certificate.toString("pem")}\n`,
    key: await keyText(keys.privateKey),
  };
}

/** Whether they are for these names and have more than a third of their time before them. */
export function areCurrent(certificates: Certificates, names: readonly string[], now: Date): boolean {
  try {
    const certificate = new X509Certificate(certificates.cert);
    const left = certificate.notAfter.getTime() - now.getTime();
    const extension = certificate.getExtension(SubjectAlternativeNameExtension);
    const found = new Set(extension?.names.items.map(({ value }) => value));
    return left > LIFETIME_MS / 3 && names.every((name) => found.has(name)) && certificates.key.includes("PRIVATE KEY");
  } catch {
    // Not as we write them: made anew.
    return false;
  }
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

async function keyText(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${bytes.replaceAll(/(.{64})/g, "$1\n")}\n-----END PRIVATE KEY-----\n`;
}

function stillValid(authorities: string, now: Date): readonly string[] {
  const texts = authorities.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return texts.filter((text) => {
    try {
      return new X509Certificate(text).notAfter > now;
    } catch {
      return false;
    }
  });
}

function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  // Positive, as serial numbers must be.
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return Buffer.from(bytes).toString("hex");
}

function isAddress(name: string): boolean {
  return /^[\d.]+$/.test(name) || name.includes(":");
}
