/** What went wrong in a lab for a reason that the operator can do something about; the message says what. */
export class LabError extends Error {
  override readonly name = "LabError";
}
