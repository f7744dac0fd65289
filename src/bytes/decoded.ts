/** What every codec answers: a value, or the reason why these bytes are none. Never both, never an exception. */

export type Decoded<Value, Fault extends string> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly fault: Fault };

export function decoded<Value>(value: Value): { readonly ok: true; readonly value: Value } {
  return { ok: true, value };
}

export function faulty<Fault extends string>(fault: Fault): { readonly ok: false; readonly fault: Fault } {
  return { ok: false, fault };
}
