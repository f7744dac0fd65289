/**
 * Dynamic neighbors: peers that call out of a configured prefix have sessions of their own, named `PREFIX-SESSION/ADDRESS`, as long as they
 * come. Pure.
 */
import { address, formatAddress, type Address } from "../../net/address.ts";
import { prefixContains } from "../../net/prefix.ts";
import { later, type Instant } from "../../time/instant.ts";
import type { PeerLocation, SessionConfig } from "./config.ts";
import type { Session } from "./session.ts";

/** A peer of a prefix that does not come back is forgotten. */
const FORGET_MILLISECONDS = 600_000;

type PrefixConfig = SessionConfig & { readonly peer: Extract<PeerLocation, { readonly type: "prefix" }> };

/** Whose caller this is: the configuration with the longest prefix. */
export function parentOf(configs: readonly SessionConfig[], from: Address): PrefixConfig | undefined {
  return configs
    .filter((config): config is PrefixConfig => config.peer.type === "prefix")
    .filter(({ peer }) => prefixContains(peer.prefix, from))
    .toSorted((a, b) => b.peer.prefix.length - a.peer.prefix.length)[0];
}

/** A peer that called, out of a prefix. */
export function childConfig(config: SessionConfig, from: Address): SessionConfig {
  return {
    ...config,
    name: `${config.name}/${formatAddress(from)}`,
    peer: { type: "address", address: from },
    initiation: "accept",
  };
}

/** What it would be by the configuration of its prefix today; undefined: there is none any more. */
export function dynamicConfig(
  config: SessionConfig,
  byName: ReadonlyMap<string, SessionConfig>,
): SessionConfig | undefined {
  const [name = "", text] = config.name.split("/");
  const parent = byName.get(name);
  if (text === undefined || parent?.peer.type !== "prefix") return undefined;
  const from = address(text);
  return prefixContains(parent.peer.prefix, from) ? childConfig(parent, from) : undefined;
}

export function isChild(name: string, { name: parent }: SessionConfig): boolean {
  return name.startsWith(`${parent}/`);
}

/** The configuration that a session is of, or was made by. */
export function parentName(name: string): string {
  return name.split("/")[0] ?? "";
}

/** Peers that went away are forgotten after a while, and at once where another wants their place: names of sessions to end. */
export function forgotten(
  siblings: readonly (readonly [name: string, session: Pick<Session, "connections" | "since">])[],
  sessionsMax: number,
  now: Instant,
): readonly string[] {
  const idle = siblings
    .filter(([, { connections }]) => connections.length === 0)
    .toSorted(([, a], [, b]) => a.since - b.since);
  const before = later(now, -FORGET_MILLISECONDS);
  const surplus = siblings.length - sessionsMax + 1;
  return idle.flatMap(([name, { since }], index) => (index >= surplus && since > before ? [] : [name]));
}
