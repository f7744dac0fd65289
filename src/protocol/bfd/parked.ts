/** Parked sessions as they are read back by the next process: from a file, so anything may be in it. */
import * as z from "zod";
import { instant } from "../../time/instant.ts";
import { STATES } from "./packet.ts";
import type { ParkedSession } from "./view.ts";

const number32 = z.int().min(0).max(0xffff_ffff);

const remoteSchema = z.object({
  discriminator: number32.min(1),
  state: z.enum(STATES),
  diagnostic: z.custom<ParkedSession["remote"]["diagnostic"]>((value) => ["string", "number"].includes(typeof value)),
  desiredMinTxMicros: number32,
  requiredMinRxMicros: number32,
  requiredMinEchoRxMicros: number32,
  detectMult: z.int().min(1).max(255),
  demand: z.boolean(),
});

const parkedSchema = z.object({
  peer: z.string(),
  multihop: z.boolean(),
  myDiscriminator: number32.min(1),
  sourcePort: z.int().min(0).max(65535),
  sequence: number32,
  remote: remoteSchema,
  until: z.number().transform(instant),
});

/** What is none is left out: such a session begins anew, and the peer notices. */
export function parseParked(value: unknown): readonly ParkedSession[] {
  const rows: readonly unknown[] = Array.isArray(value) ? value : [];
  return rows.flatMap((row) => {
    const read = parkedSchema.safeParse(row);
    return read.success ? [read.data] : [];
  });
}
