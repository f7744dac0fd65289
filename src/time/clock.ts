/** Where drivers get the time from: the machine's monotonic clock, or one that a test moves. */
import { instant, later, type Instant } from "./instant.ts";

export interface Clock {
  now(): Instant;
  /** Calls back once at that moment, or as soon after it as it can; never before this call has returned. Returns the way to call it off. */
  at(moment: Instant, callback: () => void): () => void;
}

/** setTimeout's limit: a longer delay would fire at once. */
const DELAY_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => instant(Number(process.hrtime.bigint()) / 1e6),
  at: (moment, callback) => {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const delay = Math.max(0, moment - systemClock.now());
      timer = delay > DELAY_MAX ? setTimeout(arm, DELAY_MAX) : setTimeout(callback, Math.ceil(delay));
    };
    arm();
    return () => clearTimeout(timer);
  },
};

export interface VirtualClock extends Clock {
  /** Moves time on, calling what is due on the way in order, also what is scheduled meanwhile. */
  advance(milliseconds: number): void;
  /** Moves time on without calling anything: the process was not scheduled. What is due is called by the next `advance`. */
  stall(milliseconds: number): void;
}

/** A clock that stands still until it is moved. */
export function virtualClock(start: number = 0): VirtualClock {
  let now = instant(start);
  let order = 0;
  const waiting = new Map<number, { readonly moment: Instant; readonly callback: () => void }>();

  const nextDue = (end: Instant): number | undefined => {
    let found: number | undefined;
    let first = end;
    for (const [id, { moment }] of waiting) {
      if (moment > first || (moment === first && found !== undefined)) continue;
      first = moment;
      found = id;
    }
    return found;
  };

  return {
    now: () => now,
    at: (moment, callback) => {
      const id = (order += 1);
      waiting.set(id, { moment, callback });
      return () => waiting.delete(id);
    },
    advance: (milliseconds) => {
      const end = later(now, milliseconds);
      for (let id = nextDue(end); id !== undefined; id = nextDue(end)) {
        const due = waiting.get(id);
        waiting.delete(id);
        if (due === undefined) continue;
        if (due.moment > now) now = due.moment;
        due.callback();
      }
      if (end > now) now = end;
    },
    stall: (milliseconds) => {
      now = later(now, milliseconds);
    },
  };
}
