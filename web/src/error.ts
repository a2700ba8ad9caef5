/** What a person reads when something does not work: what was wanted, what was found, where. One class on both sides of
 *  the worker; `status` is one of the C library's. */
import type { SoloErrorLike } from "./api.js";

export type Status = SoloErrorLike["status"];

export class SoloError extends Error implements SoloErrorLike {
  override readonly name = "SoloError";
  constructor(
    readonly status: Status,
    message: string,
  ) {
    super(message);
  }
}

/** As it may travel between threads. What nobody foresaw is a bug. */
export const statusOf = (error: unknown): Status => (error instanceof SoloError ? error.status : "BUG");
export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
