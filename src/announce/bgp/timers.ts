/** The timers of a BGPPeer, completed as MetalLB completes them: one of hold and keepalive time follows from the other. */
import { formatDuration } from "../../time/duration.ts";
import type { Finding } from "./findings.ts";

/** Absent: the session's own default. */
export interface Timers {
  readonly holdTimeSeconds?: number;
  readonly keepaliveTimeSeconds?: number;
  readonly connectTimeSeconds?: number;
}

interface Written {
  /** Milliseconds. */
  readonly holdTime?: number | undefined;
  readonly keepaliveTime?: number | undefined;
  readonly connectTime?: number | undefined;
}

/** Sixteen bits of seconds (RFC 4271 §4.2). */
const SECONDS_MAX = 65_535;

export function parseTimers(spec: Written): { readonly value: Timers; readonly findings: readonly Finding[] } {
  const { keepaliveTime, connectTime } = spec;
  const holdTime = spec.holdTime ?? (keepaliveTime === undefined ? undefined : 3 * keepaliveTime);
  const findings = [...holdFindings(holdTime), ...keepaliveFindings(spec), ...connectFindings(connectTime)];
  if (findings.length > 0) return { value: {}, findings };
  const connect = connectTime === undefined ? {} : { connectTimeSeconds: connectTime / 1000 };
  if (holdTime === undefined) return { value: connect, findings };
  const holdTimeSeconds = Math.trunc(holdTime / 1000);
  const keepaliveTimeSeconds = Math.trunc((keepaliveTime ?? holdTime / 3) / 1000);
  // Less than a second, cut off: a hold time without keepalives would end every session. A third is used instead.
  const keepalive = keepaliveTimeSeconds === 0 && holdTimeSeconds > 0 ? {} : { keepaliveTimeSeconds };
  return { value: { holdTimeSeconds, ...keepalive, ...connect }, findings };
}

function holdFindings(holdTime: number | undefined): readonly Finding[] {
  if (holdTime === undefined) return [];
  const seconds = Math.trunc(holdTime / 1000);
  if (holdTime >= 0 && (seconds === 0 || (seconds >= 3 && seconds <= SECONDS_MAX))) return [];
  const found = formatDuration(holdTime);
  return [{ path: "spec.holdTime", message: `invalid hold time ${found}: must be 0, or from 3s to ${SECONDS_MAX}s` }];
}

function keepaliveFindings({ holdTime, keepaliveTime }: Written): readonly Finding[] {
  const path = "spec.keepaliveTime";
  if (keepaliveTime === undefined) return [];
  const found = formatDuration(keepaliveTime);
  if (keepaliveTime < 0) return [{ path, message: `invalid keepaliveTime ${found}: is negative` }];
  if (holdTime === undefined || keepaliveTime <= holdTime) return [];
  return [
    { path, message: `invalid keepaliveTime ${found}: must not exceed the holdTime ${formatDuration(holdTime)}` },
  ];
}

function connectFindings(connectTime: number | undefined): readonly Finding[] {
  if (connectTime === undefined) return [];
  const path = "spec.connectTime";
  const found = formatDuration(connectTime);
  const seconds = connectTime / 1000;
  if (seconds < 1 || seconds > SECONDS_MAX)
    return [{ path, message: `connectTime should be between 1s and ${SECONDS_MAX}s, found ${found}` }];
  if (Number.isInteger(seconds)) return [];
  return [{ path, message: `connectTime should contain a whole number of seconds, found ${found}` }];
}
