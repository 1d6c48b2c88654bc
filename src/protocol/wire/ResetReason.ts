/**
 * Why a stream was reset (wire §17 bit 1): one byte, the whole payload of an RST between peers that both announced it. An
 * RST without payload, or with a byte that nobody here knows, gives no reason. Peers of the reference get none (wire §9.4).
 *
 * ```
 * 1 nothing listens there     4 aborted by the application      7 no such stream here (restarted)   10 the node stops
 * 2 the listener refused      5 nobody reads any more           8 a limit is reached
 * 3 not trusted (any more)    6 gave up waiting for the peer    9 the peer broke the protocol
 * ```
 */

/** The closed set of reasons. */
export type ResetReason =
  | "NoListener"
  | "Refused"
  | "NotTrusted"
  | "Aborted"
  | "Closed"
  | "Timeout"
  | "NoConnection"
  | "ResourceLimit"
  | "ProtocolError"
  | "Shutdown"

/** Every reason; its code is its place, counted from 1. */
export const reasons: ReadonlyArray<ResetReason> = [
  "NoListener",
  "Refused",
  "NotTrusted",
  "Aborted",
  "Closed",
  "Timeout",
  "NoConnection",
  "ResourceLimit",
  "ProtocolError",
  "Shutdown"
]

/** The payload of an RST. */
export const encode = (self: ResetReason): Uint8Array => Uint8Array.of(reasons.indexOf(self) + 1)

/** The reason that a payload gives; later bytes are ignored, so that a reason may one day say more. */
export const decode = (payload: Uint8Array): ResetReason | undefined => {
  const code = payload[0]
  return code === undefined ? undefined : reasons[code - 1]
}
