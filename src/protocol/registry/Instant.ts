/** One moment, as the registry needs it: it measures by the first clock and shows or stores the second. */

/** The same moment on two clocks. */
export interface Instant {
  /** Monotonic milliseconds; only differences mean anything. */
  readonly nowMs: number
  /** Whole seconds since 1970. */
  readonly unixSeconds: number
}
